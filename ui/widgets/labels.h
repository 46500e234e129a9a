/// Small makers for labels and buttons, so that every page writes them alike. Roles are those of styles/studio.qss.
#pragma once
#include <QLabel>
#include <QPushButton>
#include <QString>

class QFrame;
namespace lorikeet::ui {

/// role: "" | title | strong | muted | small | error | mono.
QLabel* make_label(const QString& text, const char* role = "", QWidget* parent = nullptr);
/// The same, wrapping and selectable by mouse.
QLabel* make_paragraph(const QString& text, const char* role = "", QWidget* parent = nullptr);
/// role: "" | primary | flat | link | disclosure.
QPushButton* make_button(const QString& text, const char* role = "", QWidget* parent = nullptr);
/// A small coloured word. tone: "" | warning | error | plain.
QLabel* make_badge(const QString& text, const char* tone = "", QWidget* parent = nullptr);
QFrame* make_rule(QWidget* parent = nullptr);
/// Sets a property that the style sheet reads and applies it.
void set_style_property(QWidget* widget, const char* name, const QVariant& value);

/// A label that cuts its text in the middle when there is no room; the whole text is the tool tip.
class ElidedLabel : public QLabel {
  Q_OBJECT
 public:
  explicit ElidedLabel(QWidget* parent = nullptr) : QLabel(parent) {}
  void setFullText(const QString& text);
  const QString& fullText() const { return full_; }
  QSize minimumSizeHint() const override;
  QSize sizeHint() const override;

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void elide();
  QString full_;
};

/// Text whose digits all take the same room, so that live figures do not tremble.
class FigureLabel : public QLabel {
  Q_OBJECT
 public:
  explicit FigureLabel(const QString& text = {}, const char* role = "", QWidget* parent = nullptr);
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override { return sizeHint(); }

 protected:
  void paintEvent(QPaintEvent* event) override;
};

}  // namespace lorikeet::ui
