/// The two inset boxes at the top of Model and Data: which file, what is known of it, and the button to change it.
#pragma once
#include <QFrame>

#include "ui/viewmodels/setup_view_model.h"

class QLabel;
class QPushButton;
namespace lorikeet::ui {

class ElidedLabel;
class SourceBox : public QFrame {
  Q_OBJECT
 public:
  explicit SourceBox(QWidget* parent = nullptr);
  void show_(const QString& name, const QString& path, const QString& text);
  void setBadge(const QString& text, const char* tone);
  QPushButton* addButton(const QString& text);

 private:
  ElidedLabel* name_;
  QLabel *text_, *badge_;
};

class ModelBox : public SourceBox {
  Q_OBJECT
 public:
  explicit ModelBox(SetupViewModel& vm, QWidget* parent = nullptr);

 private:
  void refresh();
  void choose(bool folder);
  SetupViewModel& vm_;
};

class DataBox : public SourceBox {
  Q_OBJECT
 public:
  explicit DataBox(SetupViewModel& vm, QWidget* parent = nullptr);

 signals:
  void lookInside();

 private:
  void refresh();
  void choose(const char* key, bool add);
  SetupViewModel& vm_;
};

}  // namespace lorikeet::ui
