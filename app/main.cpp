/// The window program: names, options, backends, one window.
#include <QApplication>
#include <QCommandLineParser>
#include <QElapsedTimer>
#include <QSettings>
#include <QTimer>
#include <clocale>
#include <cstdio>

#include "app/backends.h"
#include "core/base/system.h"
#include "core/run/plan.h"
#include "ui/main_window.h"
#include "ui/widgets/theme.h"

namespace {

using namespace lorikeet::ui;

void set_names() {
  QCoreApplication::setOrganizationName(QStringLiteral("Lorikeet"));
  QCoreApplication::setOrganizationDomain(QStringLiteral("lorikeet.github.io"));
  QCoreApplication::setApplicationName(QStringLiteral("Lorikeet"));
  QCoreApplication::setApplicationVersion(QStringLiteral(LORIKEET_VERSION));
  QGuiApplication::setApplicationDisplayName(QStringLiteral("Lorikeet"));
  QGuiApplication::setDesktopFileName(QStringLiteral("io.github.lorikeet.Studio"));
  QSettings::setDefaultFormat(QSettings::IniFormat);
}

void add_options(QCommandLineParser& parser) {
  parser.setApplicationDescription(QCoreApplication::translate("main", "Fine-tunes language models. The same without a window: lorikeet."));
  parser.addHelpOption();
  parser.addVersionOption();
  parser.addPositionalArgument(QStringLiteral("path"), QCoreApplication::translate("main", "A config, data file, model or run folder to open."), QStringLiteral("[path]"));
  parser.addOption({QStringLiteral("page"), QCoreApplication::translate("main", "Page to begin with: home, setup, data, monitor, chat or export."), QStringLiteral("name")});
  parser.addOption({QStringLiteral("theme"), QCoreApplication::translate("main", "light, dark or system; the default is what was chosen last."), QStringLiteral("name")});
  parser.addOption({QStringLiteral("sample"), QCoreApplication::translate("main", "Open the sample project, ready to start.")});
  parser.addOption({QStringLiteral("time-to-window"), QCoreApplication::translate("main", "Print the milliseconds until the window was first drawn, and end.")});
}

ThemeChoice theme_of(const QString& name) {
  return name == "dark" ? ThemeChoice::dark : name == "light" ? ThemeChoice::light : ThemeChoice::system;
}

}  // namespace

int main(int argc, char** argv) {
  QElapsedTimer clock;
  clock.start();
  set_names();
  QApplication app(argc, argv);
  std::setlocale(LC_NUMERIC, "C");  // after QApplication, which sets the user's
  QCommandLineParser parser;
  add_options(parser);
  parser.process(app);
  lorikeet::register_backends();
  const QString theme = parser.isSet(QStringLiteral("theme")) ? parser.value(QStringLiteral("theme")) : QSettings().value(QStringLiteral("theme")).toString();
  Theme::instance().setChoice(theme_of(theme));

  Studio studio;
  studio.home.setDeviceQuery(&lorikeet::machine_information);
  studio.monitor.setGpuQuery(&lorikeet::gpu_information);
  MainWindow window(studio);
  if (parser.isSet(QStringLiteral("page"))) {
    if (!window.page(parser.value(QStringLiteral("page")))) {
      std::fprintf(stderr, "unknown page \"%s\"; known: %s\n", qPrintable(parser.value(QStringLiteral("page"))), qPrintable(window.pageIds().join(QStringLiteral(", "))));
      return 2;
    }
    window.showPage(parser.value(QStringLiteral("page")));
  }
  const bool timing = parser.isSet(QStringLiteral("time-to-window"));
  QObject::connect(&window, &MainWindow::firstPaint, &app, [&] {
    if (timing) {
      std::printf("%lld\n", static_cast<long long>(clock.elapsed()));
      return QCoreApplication::quit();
    }
    lorikeet::set_program_bytes(lorikeet::resident_bytes());  // runs live in this process, beside the window
    studio.setup.loadPresets();
    if (parser.isSet(QStringLiteral("sample"))) studio.openSample();
    for (const QString& path : parser.positionalArguments()) window.openPath(path);
  });
  window.show();
  return app.exec();
}
