/// One of the four sections of the form: its main fields, and its advanced fields folded under a line that names them.
#pragma once
#include <vector>

#include "ui/viewmodels/form_layout.h"
#include "ui/viewmodels/setup_view_model.h"
#include "ui/widgets/card.h"
#include "ui/widgets/field_row.h"

namespace lorikeet::ui {

class SectionCard : public Card {
  Q_OBJECT
 public:
  /// `skip`: keys shown by the page in another way (the model card, the data card).
  SectionCard(SetupViewModel& vm, const FormSection& section, const std::vector<std::string>& skip, QWidget* parent = nullptr);
  const std::vector<FieldRow*>& rows() const { return rows_; }
  /// Shows only rows that match; opens the folded part when something there does. False when nothing matches.
  bool filter(const QString& words);
  /// Opens the advanced part when the row is in it.
  void reveal(FieldRow* row);

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  FieldRow* addRow(const Field& field, QVBoxLayout* into);
  void refresh(FieldRow* row);
  void refreshTexts();
  void setOpen(bool open);

  SetupViewModel& vm_;
  std::vector<FieldRow*> rows_;
  QWidget* advanced_ = nullptr;
  QPushButton* more_ = nullptr;
  QString words_;
  bool wanted_open_ = false;
};

}  // namespace lorikeet::ui
