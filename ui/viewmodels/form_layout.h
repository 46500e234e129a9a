/// How the field table becomes a form: which of the four sections a setting stands in, and the texts of its choices.
/// A new row of config_fields() appears here by itself.
#pragma once
#include <QString>
#include <QStringList>
#include <vector>

#include "core/config/run_config.h"

namespace lorikeet::ui {

struct FormSection {
  QString id, title;
  std::vector<const Field*> main, advanced;
  /// "template, mapping, hold-out": what the folded part is about.
  QString advancedWords() const;
};
/// Model, Data, Method, Training, with every field of the table in exactly one of them.
std::vector<FormSection> form_sections();

enum class FieldKind { flag, whole, real, text, list, map, choice };
FieldKind field_kind(const Field& field);
/// Of the device also the cards beside the first, where several can be used.
QStringList field_choices(const Field& field);
/// The same with the usual ones first; `shown` of them stand side by side, the rest in a menu (0: no such split).
QStringList ordered_choices(const Field& field, int& shown);
/// The word shown for a choice: "nf4" is "4 NF4", "keep" is "as file".
QString choice_text(const Field& field, const QString& value);
/// A value as one line of text, and back (lists as a, b; maps as name=8, other=16). Throws ConfigError.
QString text_of_value(const Field& field, const Json& value);
Json value_of_text(const Field& field, const QString& text);
QString field_label(const Field& field);
QString field_help(const Field& field);

}  // namespace lorikeet::ui
