/// The frame: rail, header, pages, status bar; one QAction a command, in menus, palette and shortcuts alike.
#pragma once
#include <QMainWindow>
#include <QMap>

#include "ui/viewmodels/studio.h"

class QButtonGroup;
class QHBoxLayout;
class QLabel;
class QStackedWidget;
class QVBoxLayout;
namespace lorikeet::ui {

class CommandPalette;
class DropOverlay;
class ElidedLabel;
class Page;
class SetupPage;
class StatusLine;

class MainWindow : public QMainWindow {
  Q_OBJECT
 public:
  explicit MainWindow(Studio& studio, QWidget* parent = nullptr);
  void showPage(const QString& id);
  QString currentPage() const;
  QStringList pageIds() const { return page_order_; }
  Page* page(const QString& id) const { return pages_.value(id); }
  void openPath(const QString& path) { studio_.openPath(path); }
  /// Every command, for the palette.
  QList<QAction*> commands() const { return commands_; }

 signals:
  /// Once, when the first picture of the window has been drawn.
  void firstPaint();

 protected:
  void closeEvent(QCloseEvent* event) override;
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dragLeaveEvent(QDragLeaveEvent* event) override;
  void dropEvent(QDropEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void makePages();
  QWidget* makeRail();
  QWidget* makeHeader();
  void addPage(const QString& id, Page* page);
  void refreshHeader();
  void connectStudio();
  void offerInterrupted();
  void askBeforeClosing();
  void restoreState_();
  void saveState_();

  // window_actions.cpp
  QAction* addCommand(QMenu* menu, const QString& text, const QString& icon_name, const QKeySequence& keys, std::function<void()> act);
  void makeActions();
  void makeRunMenu();
  void makeViewMenu();
  void makeHelpMenu();
  void refreshActions();
  void openConfig();
  void saveConfig(bool as);
  void copyCommand();
  void showPalette();
  void showShortcuts();
  void showAbout();

  Studio& studio_;
  QMap<QString, Page*> pages_;
  QStringList page_order_;
  QStackedWidget* stack_ = nullptr;
  QButtonGroup* rail_ = nullptr;
  QVBoxLayout* rail_column_ = nullptr;
  QHBoxLayout* header_row_ = nullptr;
  QLabel* title_ = nullptr;
  ElidedLabel* subject_ = nullptr;
  QWidget* shown_actions_ = nullptr;
  SetupPage* setup_page_ = nullptr;
  StatusLine* status_ = nullptr;
  CommandPalette* palette_ = nullptr;
  DropOverlay* overlay_ = nullptr;
  QList<QAction*> commands_;
  QAction *start_ = nullptr, *pause_ = nullptr, *stop_ = nullptr, *continue_ = nullptr;
  bool close_when_done_ = false, close_anyway_ = false, painted_ = false, offered_ = false;
};

}  // namespace lorikeet::ui
