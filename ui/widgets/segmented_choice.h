/// A few words side by side, one of them chosen: for settings whose whole range should be seen at once.
/// Tab reaches the chosen word, the arrow keys move the choice.
#pragma once
#include <QAbstractButton>
#include <QButtonGroup>
#include <QFrame>
#include <QStringList>

namespace lorikeet::ui {

class SegmentedChoice : public QFrame {
  Q_OBJECT
 public:
  /// Of a long list only the first `shown` get a segment; the rest are in the menu of one more segment. 0: all.
  SegmentedChoice(const QString& name, QStringList values, QStringList texts, int shown = 0, QWidget* parent = nullptr);
  QString value() const;
  /// Shows `value` without saying so; an unknown value leaves nothing chosen.
  void setValue(const QString& value);

 signals:
  void chosen(const QString& value);

 private:
  QAbstractButton* addSegment(const QString& name, int id, const QString& text, bool last);
  void addMenu(const QString& name, int shown);
  QStringList values_, texts_;
  QButtonGroup group_;
  QAbstractButton* more_ = nullptr;
  QString more_value_;
};

}  // namespace lorikeet::ui
