/// The status bar: device, memory in use, the running job with progress and time left (click: Monitor).
#pragma once
#include <QStatusBar>
#include <QTimer>

#include "ui/viewmodels/studio.h"

class QPushButton;
namespace lorikeet::ui {

class FigureLabel;

class StatusLine : public QStatusBar {
  Q_OBJECT
 public:
  explicit StatusLine(Studio& studio, QWidget* parent = nullptr);

 signals:
  void jobClicked();

 private:
  void refreshJob();
  void askMemory();
  Studio& studio_;
  FigureLabel *device_, *memory_;
  QPushButton* job_;
  QTimer timer_;
};

}  // namespace lorikeet::ui
