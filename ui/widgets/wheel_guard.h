/// Keeps combo and spin boxes from changing when the page is scrolled with the wheel over them.
#pragma once
#include <QObject>

class QWidget;
namespace lorikeet::ui {

class WheelGuard : public QObject {
  Q_OBJECT
 public:
  /// The widget takes the wheel only while it has the focus.
  static void protect(QWidget* widget);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  using QObject::QObject;
};

}  // namespace lorikeet::ui
