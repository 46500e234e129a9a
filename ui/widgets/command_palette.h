/// Every command by a few of its letters: Ctrl+K, type, Enter. The list is made from the window's QActions.
#pragma once
#include <QFrame>
#include <QList>

class QAction;
class QLineEdit;
class QListView;
class QStandardItemModel;
namespace lorikeet::ui {

/// How well `pattern` fits `text`: its letters in order; higher is better, below 0 is not at all. Runs of letters and
/// starts of words count more.
int fuzzy_score(const QString& pattern, const QString& text);

class CommandPalette : public QFrame {
  Q_OBJECT
 public:
  explicit CommandPalette(QWidget* window);
  void open(const QList<QAction*>& actions);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void filter(const QString& words);
  void run();
  QList<QAction*> actions_;
  QLineEdit* line_;
  QListView* list_;
  QStandardItemModel* model_;
};

}  // namespace lorikeet::ui
