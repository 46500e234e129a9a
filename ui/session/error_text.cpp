#include "ui/session/error_text.h"

#include <QCoreApplication>
#include <new>

#include "core/base/error.h"

namespace lorikeet::ui {

QString ErrorText::details() const {
  QString out = message;
  if (!kind.isEmpty()) out += QStringLiteral("\nkind: ") + kind;
  if (!file.isEmpty()) out += QStringLiteral("\nfile: ") + file;
  if (!key.isEmpty()) out += QStringLiteral("\nsetting: ") + key;
  return out + QStringLiteral("\nLorikeet ") + QCoreApplication::applicationVersion();
}

ErrorText describe_current_exception() {
  const auto text = [](const char* s) { return QString::fromUtf8(s); };
  try {
    throw;
  } catch (const ConfigError& e) {
    return {text(e.what()), QStringLiteral("config"), {}, QString::fromStdString(e.where())};
  } catch (const Error& e) {
    return {text(e.what()), QString::fromStdString(e.kind()), QString::fromStdString(e.file()), {}};
  } catch (const std::bad_alloc&) {
    return {QCoreApplication::translate("ErrorText", "There was not enough memory. Close other programs, or choose a "
                                                     "smaller length, rank or batch."),
            QStringLiteral("out_of_memory"), {}, {}};
  } catch (const std::exception& e) {
    return {text(e.what()), QStringLiteral("internal"), {}, {}};
  } catch (...) {
    return {QCoreApplication::translate("ErrorText", "An unknown error happened."), QStringLiteral("internal"), {}, {}};
  }
}

}  // namespace lorikeet::ui
