#include "ui/viewmodels/form_layout.h"

#include <QCoreApplication>
#include <map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/run/queries.h"

namespace lorikeet::ui {
namespace {

QString translate(const char* context, std::string_view text) {
  return QCoreApplication::translate(context, std::string(text).c_str());
}
/// Section of a key by the part before its first dot.
int section_index(std::string_view key) {
  const std::string_view part = key.substr(0, key.find('.'));
  if (part == "model") return 0;
  if (part == "data") return 1;
  if (part == "quantization" || part == "adapter") return 2;
  return 3;
}

}  // namespace

QString FormSection::advancedWords() const {
  QStringList words;
  for (const Field* f : advanced) {
    if (words.size() == 4) break;
    words << field_label(*f).toLower();
  }
  return words.join(QStringLiteral(", "));
}

std::vector<FormSection> form_sections() {
  const auto tr = [](const char* s) { return QCoreApplication::translate("FormSection", s); };
  std::vector<FormSection> sections(4);
  sections[0].id = "model", sections[0].title = tr("Model");
  sections[1].id = "data", sections[1].title = tr("Data");
  sections[2].id = "method", sections[2].title = tr("Method");
  sections[3].id = "training", sections[3].title = tr("Training");
  for (const Field& f : config_fields()) {
    FormSection& s = sections[size_t(section_index(f.key))];
    (f.level == FieldLevel::main ? s.main : s.advanced).push_back(&f);
  }
  return sections;
}

FieldKind field_kind(const Field& field) {
  RunConfig c;
  const FieldRef ref = field.ref(c);
  if (!field.choices.empty()) return FieldKind::choice;
  if (std::holds_alternative<bool*>(ref)) return FieldKind::flag;
  if (std::holds_alternative<int64_t*>(ref)) return FieldKind::whole;
  if (std::holds_alternative<double*>(ref)) return FieldKind::real;
  if (std::holds_alternative<StringList*>(ref)) return FieldKind::list;
  if (std::holds_alternative<NumberMap*>(ref)) return FieldKind::map;
  return FieldKind::text;
}

QStringList field_choices(const Field& field) {
  QStringList out;
  for (const std::string& s : split(field.choices, '|')) out << QString::fromStdString(s);
  if (field.key == "device.kind" && usable_cards().size() > 1)
    for (const UsableCard& card : usable_cards())
      if (card.number > 0) out << QStringLiteral("cuda:%1").arg(card.number);  // cuda is number 0
  return out;
}

namespace {

/// "GPU 1, NVIDIA H200" where there is more than one; else nothing.
QString card_text(const QString& value) {
  const auto cards = usable_cards();
  for (const UsableCard& card : cards)
    if (cards.size() > 1 && (value == QStringLiteral("cuda:%1").arg(card.number) || (value == QLatin1String("cuda") && card.number == 0)))
      return QStringLiteral("%1 %2, %3").arg(QCoreApplication::translate("Choice", "GPU")).arg(card.number).arg(QString::fromStdString(card.name));
  return {};
}

}  // namespace

QStringList ordered_choices(const Field& field, int& shown) {
  QStringList all = field_choices(field), usual;
  shown = 0;
  if (field.key != "quantization.format") return all;
  for (const char* name : {"nf4", "int8", "bf16", "keep"})
    if (all.removeOne(QLatin1String(name))) usual << QLatin1String(name);
  shown = int(usual.size());
  return usual + all;
}

QString choice_text(const Field& field, const QString& value) {
  static const std::map<QString, const char*> kWords = {
      {"nf4", QT_TRANSLATE_NOOP("Choice", "4 NF4")}, {"nf3", QT_TRANSLATE_NOOP("Choice", "3")}, {"nf2", QT_TRANSLATE_NOOP("Choice", "2")},
      {"fp4", QT_TRANSLATE_NOOP("Choice", "4 FP4")}, {"int8", QT_TRANSLATE_NOOP("Choice", "8")}, {"int4", QT_TRANSLATE_NOOP("Choice", "4 int")},
      {"bf16", QT_TRANSLATE_NOOP("Choice", "bf16")}, {"f16", QT_TRANSLATE_NOOP("Choice", "f16")}, {"f32", QT_TRANSLATE_NOOP("Choice", "f32")},
      {"keep", QT_TRANSLATE_NOOP("Choice", "as file")}, {"responses", QT_TRANSLATE_NOOP("Choice", "Responses")},
      {"all", QT_TRANSLATE_NOOP("Choice", "Everything")}, {"truncate", QT_TRANSLATE_NOOP("Choice", "Cut")},
      {"drop", QT_TRANSLATE_NOOP("Choice", "Leave out")}, {"split", QT_TRANSLATE_NOOP("Choice", "Split")},
      {"auto", QT_TRANSLATE_NOOP("Choice", "Automatic")}, {"none", QT_TRANSLATE_NOOP("Choice", "None")}, {"full", QT_TRANSLATE_NOOP("Choice", "Full")}, {"offload", QT_TRANSLATE_NOOP("Choice", "Full, inputs in host memory")},
      {"lora", QT_TRANSLATE_NOOP("Choice", "LoRA")}, {"adamw", QT_TRANSLATE_NOOP("Choice", "AdamW")},
      {"adamw8bit", QT_TRANSLATE_NOOP("Choice", "AdamW, 8 bits")}, {"paged_adamw", QT_TRANSLATE_NOOP("Choice", "AdamW, paged")},
      {"paged_adamw8bit", QT_TRANSLATE_NOOP("Choice", "AdamW, 8 bits, paged")}, {"cpu", QT_TRANSLATE_NOOP("Choice", "CPU")}, {"cuda", QT_TRANSLATE_NOOP("Choice", "GPU")},
      {"norms+swiglu", QT_TRANSLATE_NOOP("Choice", "Norms and SwiGLU")}, {"mlp", QT_TRANSLATE_NOOP("Choice", "Norms and MLP")},
      {"cosine", QT_TRANSLATE_NOOP("Choice", "Cosine")}, {"linear", QT_TRANSLATE_NOOP("Choice", "Linear")},
      {"constant", QT_TRANSLATE_NOOP("Choice", "Constant")}, {"polynomial", QT_TRANSLATE_NOOP("Choice", "Polynomial")},
      {"cosine_with_restarts", QT_TRANSLATE_NOOP("Choice", "Cosine with restarts")}, {"default", QT_TRANSLATE_NOOP("Choice", "Default")}};
  if (field.key == "device.kind")
    if (const QString card = card_text(value); !card.isEmpty()) return card;
  const auto it = kWords.find(value);
  if (it == kWords.end()) return value;
  if (value == "f32" && field.key != "quantization.format") return QStringLiteral("f32");
  return QCoreApplication::translate("Choice", it->second);
}

QString text_of_value(const Field& field, const Json& value) {
  QStringList parts;
  switch (field_kind(field)) {
    case FieldKind::list:
      for (const Json& v : value) parts << QString::fromStdString(v.get<std::string>());
      return parts.join(QStringLiteral(", "));
    case FieldKind::map:
      for (const auto& [k, v] : value.items()) parts << QString::fromStdString(k + "=" + shortest(v.get<double>()));
      return parts.join(QStringLiteral(", "));
    case FieldKind::text:
    case FieldKind::choice: return QString::fromStdString(value.get<std::string>());
    case FieldKind::flag: return value.get<bool>() ? QStringLiteral("true") : QStringLiteral("false");
    default: return QString::fromStdString(shortest(value.get<double>()));
  }
}

Json value_of_text(const Field& field, const QString& text) {
  const std::string s = text.toStdString();
  const auto wrong = [&](const std::string& part) {
    return ConfigError(std::string(field.key), "“" + part + "” cannot be read; write name=8, other=16");
  };
  if (field_kind(field) == FieldKind::list) {
    Json list = Json::array();
    for (const std::string& part : split(s, ',')) {
      const std::string word(trim(part));
      if (!word.empty()) list.push_back(word);
    }
    return list;
  }
  if (field_kind(field) == FieldKind::map) {
    Json map = Json::object();
    for (const std::string& part : split(s, ',')) {
      if (trim(part).empty()) continue;
      const size_t equals = part.rfind('=');
      if (equals == std::string::npos) throw wrong(part);
      const auto number = parse_double(trim(std::string_view(part).substr(equals + 1)));
      const std::string name(trim(std::string_view(part).substr(0, equals)));
      if (!number || name.empty()) throw wrong(part);
      map[name] = *number;
    }
    return map;
  }
  return s;
}

QString field_label(const Field& field) { return translate("Field", field.label); }
QString field_help(const Field& field) { return translate("Field", field.help); }

}  // namespace lorikeet::ui
