/// The white box most content stands in: a title, something at the right of the title, and a column of content.
#pragma once
#include <QFrame>
#include <QLabel>
#include <QVBoxLayout>

class QHBoxLayout;
class QPushButton;
namespace lorikeet::ui {

class Card : public QFrame {
  Q_OBJECT
 public:
  explicit Card(const QString& title = {}, QWidget* parent = nullptr);
  QVBoxLayout* body() const { return body_; }
  QHBoxLayout* head() const { return head_; }  // after the title; a stretch is in between
  void setTitle(const QString& title);
  QLabel* titleLabel() const { return title_; }

 private:
  QLabel* title_;
  QHBoxLayout* head_;
  QVBoxLayout* body_;
};

/// A card that is one big button: clicked by mouse, Enter or Space.
class ChoiceCard : public Card {
  Q_OBJECT
 public:
  ChoiceCard(const QString& icon_name, const QString& title, const QString& text, QWidget* parent = nullptr);

 signals:
  void clicked();

 protected:
  void mouseReleaseEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
};

/// An icon label that follows the theme.
class IconLabel : public QLabel {
  Q_OBJECT
 public:
  /// `tone`: text | muted | accent | warning | error | note.
  IconLabel(const QString& name, const QString& tone, double size_units, QWidget* parent = nullptr);
  void setIcon(const QString& name, const QString& tone);

 private:
  void draw();
  QString name_, tone_;
  double size_units_;
};

/// Says what an empty page is for and offers the button that fills it.
class EmptyState : public QWidget {
  Q_OBJECT
 public:
  EmptyState(const QString& icon_name, const QString& title, const QString& text, const QString& button_text, QWidget* parent = nullptr);
  QPushButton* button() const { return button_; }
  void setText(const QString& text) { text_->setText(text); }

 private:
  QPushButton* button_;
  QLabel* text_;
};

}  // namespace lorikeet::ui
