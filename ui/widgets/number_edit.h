/// One number: typed as 16, 0.05 or 2e-4, stepped with the arrow keys (or the wheel while focused). Always with a point,
/// whatever the system's language, because the same text stands in config files and commands.
#pragma once
#include <QLineEdit>

namespace lorikeet::ui {

class NumberEdit : public QLineEdit {
  Q_OBJECT
 public:
  NumberEdit(bool whole, double min, double max, QWidget* parent = nullptr);
  void setNumber(double value);
  double number() const { return value_; }
  /// The value of `text`, or false with the reason for people.
  bool read(const QString& text, double& value, QString& why) const;
  /// The text a number is shown as: 2e-4, 0.05, 512.
  static QString textOf(double value);

 signals:
  void numberEdited(double value);
  /// Empty when what is typed can be used.
  void wrongText(const QString& why);

 protected:
  void keyPressEvent(QKeyEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;

 private:
  void typed(const QString& text);
  void step(int direction);
  bool whole_;
  double min_, max_, value_ = 0;
};

}  // namespace lorikeet::ui
