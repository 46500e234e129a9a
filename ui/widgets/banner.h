/// What went wrong on this page: what, why and what to do in words; details folded; a button to copy them all.
#pragma once
#include <QFrame>

#include "ui/session/error_text.h"

class QLabel;
class QPushButton;
namespace lorikeet::ui {

class IconLabel;
class Banner : public QFrame {
  Q_OBJECT
 public:
  explicit Banner(QWidget* parent = nullptr);
  void showError(const QString& what, const ErrorText& error);
  /// A note with at most one action, for example an interrupted run to be continued.
  void showNote(const QString& text, const QString& action_text, const char* tone = "");
  QString text() const;

 signals:
  void actionClicked();
  void closed();

 private:
  void show_(const QString& text, const QString& details, const QString& action, const char* tone, const QString& icon_name);
  IconLabel* icon_;
  QLabel *text_, *details_;
  QPushButton *more_, *copy_, *action_;
};

}  // namespace lorikeet::ui
