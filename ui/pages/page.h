/// What every page has: a title, its actions in the header, a banner for what went wrong, and a body.
#pragma once
#include <QVBoxLayout>
#include <QWidget>

namespace lorikeet::ui {

class Banner;
class Page : public QWidget {
  Q_OBJECT
 public:
  Page(const QString& title, const QString& icon_name, QWidget* parent = nullptr);
  const QString& title() const { return title_; }
  const QString& iconName() const { return icon_name_; }
  /// Second text of the header: the run or file the page is about.
  virtual QString subject() const { return {}; }
  /// Put into the header while the page is shown; owned by the page.
  QWidget* headerWidget() const { return header_; }
  Banner* banner() const { return banner_; }
  /// Called each time the page comes to the front.
  virtual void entered() {}

 signals:
  void subjectChanged();

 protected:
  QHBoxLayout* header() const;
  QVBoxLayout* column() const { return column_; }

 private:
  QString title_, icon_name_;
  QWidget* header_;
  Banner* banner_;
  QVBoxLayout* column_;
};

}  // namespace lorikeet::ui
