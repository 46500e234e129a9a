/// One line of a form: label, control with unit and return-to-preset inside its frame, and a sentence of help.
/// The control is chosen from the field's type; it knows nothing of the config, only of its own value.
#pragma once
#include <QFrame>
#include <QLabel>
#include <QToolButton>
#include <QWidget>

#include "core/config/run_config.h"

class QGridLayout;
class QHBoxLayout;
class QLineEdit;
class QComboBox;
class QCheckBox;
namespace lorikeet::ui {

class NumberEdit;
class SegmentedChoice;
class Sparkline;

/// The box round a control: draws the marker at its left when the value differs from the preset.
class FieldFrame : public QFrame {
  Q_OBJECT
 public:
  explicit FieldFrame(QWidget* parent = nullptr);
  void setChanged(bool changed);
  void watchFocus(QWidget* control);

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  bool changed_ = false;
};

class FieldRow : public QWidget {
  Q_OBJECT
 public:
  explicit FieldRow(const Field& field, QWidget* parent = nullptr);
  const Field& field() const { return field_; }
  void setValue(const Json& value);
  /// `preset` is shown in the return button when `changed`.
  void setChanged(bool changed, const Json& preset);
  void setSuffix(const QString& text);
  void setNote(const QString& text);
  void setWrong(const QString& why);
  /// The small drawing at the right of a control (the schedule).
  void setDrawing(std::vector<float> values);
  bool matches(const QString& words) const;
  void takeFocus();
  QWidget* control() const { return control_; }

 signals:
  void edited(const lorikeet::Json& value, bool typing);
  void returnAsked();

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void makeControl(QHBoxLayout* inside);
  void makeNumber(bool whole);
  void makeChoice();
  void makeText();
  void showHelp();

  const Field& field_;
  QGridLayout* grid_;
  bool help_below_ = false;
  FieldFrame* frame_;
  QLabel *label_, *suffix_, *help_;
  QToolButton* back_;
  QWidget* control_ = nullptr;
  NumberEdit* number_ = nullptr;
  SegmentedChoice* segments_ = nullptr;
  QComboBox* combo_ = nullptr;
  QCheckBox* check_ = nullptr;
  QLineEdit* line_ = nullptr;
  Sparkline* drawing_ = nullptr;
  QString note_, wrong_;
};

}  // namespace lorikeet::ui
