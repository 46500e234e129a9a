/// The commands: one QAction each. To add one: one addCommand() line; menu, shortcut and palette follow.
#include <QActionGroup>
#include <QApplication>
#include <QClipboard>
#include <QDesktopServices>
#include <QFileDialog>
#include <QMenuBar>
#include <QMessageBox>
#include <QSettings>
#include <QStatusBar>
#include <QUrl>

#include "core/run/queries.h"
#include "ui/main_window.h"
#include "ui/pages/page.h"
#include "ui/pages/run_panel.h"
#include "ui/pages/setup_page.h"
#include "ui/widgets/banner.h"
#include "ui/widgets/command_palette.h"
#include "ui/widgets/icons.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {

QAction* MainWindow::addCommand(QMenu* menu, const QString& text, const QString& icon_name, const QKeySequence& keys, std::function<void()> act) {
  auto* action = new QAction(text, this);
  if (!icon_name.isEmpty()) action->setIcon(icon(icon_name));
  action->setShortcut(keys);
  connect(action, &QAction::triggered, this, [act = std::move(act)] { act(); });
  menu->addAction(action);
  addAction(action);  // the shortcut works with the menu closed, too
  commands_ << action;
  return action;
}

void MainWindow::makeActions() {
  QMenu* file = menuBar()->addMenu(tr("&File"));
  addCommand(file, tr("&New run"), QStringLiteral("plus"), QKeySequence::New, [this] { studio_.newRun(); });
  addCommand(file, tr("Open the &sample project"), QStringLiteral("sample"), {}, [this] { studio_.openSample(); });
  addCommand(file, tr("&Open config…"), QStringLiteral("file"), QKeySequence::Open, [this] { openConfig(); });
  addCommand(file, tr("Open a run &folder…"), QStringLiteral("folder"), QKeySequence(tr("Ctrl+Shift+O")), [this] {
    const QString path = QFileDialog::getExistingDirectory(this, tr("Open a run folder"), QString::fromStdString(default_runs_folder()));
    if (!path.isEmpty()) openPath(path);
  });
  file->addSeparator();
  addCommand(file, tr("&Save config"), QStringLiteral("save"), QKeySequence::Save, [this] { saveConfig(false); });
  addCommand(file, tr("Save config &as…"), {}, QKeySequence::SaveAs, [this] { saveConfig(true); });
  addCommand(file, tr("&Copy command"), QStringLiteral("copy"), QKeySequence(tr("Ctrl+Shift+C")), [this] { copyCommand(); });
  file->addSeparator();
  QAction* quit = addCommand(file, tr("&Quit"), {}, QKeySequence::Quit, [this] { close(); });
  quit->setMenuRole(QAction::QuitRole);

  QMenu* edit = menuBar()->addMenu(tr("&Edit"));
  QUndoStack& stack = studio_.setup.undoStack();
  QAction* undo = addCommand(edit, tr("&Undo"), QStringLiteral("undo"), QKeySequence::Undo, [&stack] { stack.undo(); });
  QAction* redo = addCommand(edit, tr("&Redo"), QStringLiteral("redo"), QKeySequence::Redo, [&stack] { stack.redo(); });
  undo->setEnabled(false);
  redo->setEnabled(false);
  connect(&stack, &QUndoStack::canUndoChanged, undo, &QAction::setEnabled);
  connect(&stack, &QUndoStack::canRedoChanged, redo, &QAction::setEnabled);
  connect(&stack, &QUndoStack::undoTextChanged, undo, [undo](const QString& text) { undo->setText(tr("&Undo %1").arg(text)); });
  connect(&stack, &QUndoStack::redoTextChanged, redo, [redo](const QString& text) { redo->setText(tr("&Redo %1").arg(text)); });
  edit->addSeparator();
  addCommand(edit, tr("&Find a setting"), QStringLiteral("search"), QKeySequence::Find, [this] {
    showPage(QStringLiteral("setup"));
    setup_page_->focusSearch();
  });
  addCommand(edit, tr("Return all settings to the &preset"), QStringLiteral("return"), {}, [this] { studio_.setup.returnAllToPreset(); });
  makeRunMenu();
  makeViewMenu();
  makeHelpMenu();
}

void MainWindow::makeRunMenu() {
  QMenu* run = menuBar()->addMenu(tr("&Run"));
  start_ = addCommand(run, tr("&Start training"), QStringLiteral("play"), QKeySequence(tr("Ctrl+Return")), [this] { studio_.startTraining(); });
  pause_ = addCommand(run, tr("&Pause"), QStringLiteral("pause"), QKeySequence(tr("Ctrl+P")), [this] {
    Session& s = studio_.session;
    s.canResume() ? s.resume() : s.pause();
  });
  stop_ = addCommand(run, tr("S&top and save"), QStringLiteral("stop"), QKeySequence(tr("Ctrl+.")), [this] { studio_.session.stop(); });
  continue_ = addCommand(run, tr("&Continue the shown run"), QStringLiteral("play"), {}, [this] { studio_.continueRun(studio_.monitor.folder()); });
  run->addSeparator();
  addCommand(run, tr("C&hat with the shown run"), QStringLiteral("chat"), {}, [this] { studio_.chatWithRun(studio_.monitor.folder()); });
  addCommand(run, tr("&Export the shown run"), QStringLiteral("export"), QKeySequence(tr("Ctrl+E")), [this] { studio_.exportRun(studio_.monitor.folder()); });
  addCommand(run, tr("Open the &runs folder"), QStringLiteral("folder"), {}, [] { QDesktopServices::openUrl(QUrl::fromLocalFile(QString::fromStdString(default_runs_folder()))); });
}

void MainWindow::makeViewMenu() {
  QMenu* view = menuBar()->addMenu(tr("&View"));
  addCommand(view, tr("All &commands…"), QStringLiteral("search"), QKeySequence(tr("Ctrl+K")), [this] { showPalette(); });
  view->addSeparator();
  for (int i = 0; i < page_order_.size(); ++i) {
    const QString id = page_order_[i];
    addCommand(view, tr("Go to %1").arg(pages_[id]->title()), pages_[id]->iconName(), QKeySequence(QStringLiteral("Alt+%1").arg(i + 1)), [this, id] { showPage(id); });
  }
  view->addSeparator();
  auto* group = new QActionGroup(this);
  const auto theme = [&](const QString& text, const QString& name, ThemeChoice choice) {
    QAction* action = addCommand(view, text, QStringLiteral("theme"), {}, [name, choice] {
      QSettings().setValue(QStringLiteral("theme"), name);
      Theme::instance().setChoice(choice);
    });
    action->setCheckable(true);
    action->setChecked(Theme::instance().choice() == choice);
    group->addAction(action);
  };
  theme(tr("Follow the &system's colours"), QStringLiteral("system"), ThemeChoice::system);
  theme(tr("&Light colours"), QStringLiteral("light"), ThemeChoice::light);
  theme(tr("&Dark colours"), QStringLiteral("dark"), ThemeChoice::dark);
  view->addSeparator();
  addCommand(view, tr("&Full screen"), {}, QKeySequence(Qt::Key_F11), [this] { isFullScreen() ? showNormal() : showFullScreen(); });
}

void MainWindow::makeHelpMenu() {
  QMenu* help = menuBar()->addMenu(tr("&Help"));
  addCommand(help, tr("&Keyboard shortcuts"), QStringLiteral("help"), QKeySequence::HelpContents, [this] { showShortcuts(); });
  addCommand(help, tr("&About Lorikeet"), QStringLiteral("info"), {}, [this] { showAbout(); })->setMenuRole(QAction::AboutRole);
}

void MainWindow::refreshActions() {
  const Session& s = studio_.session;
  QString why;
  const bool ready = studio_.setup.isReady(&why);
  start_->setEnabled(s.canStart() && ready);
  start_->setToolTip(!s.canStart() ? tr("Another run is active.") : why);
  setup_page_->runPanel()->setCanStart(s.canStart(), tr("Another run is active."));
  pause_->setText(s.canResume() ? tr("&Resume") : tr("&Pause"));
  pause_->setEnabled(s.canPause() || s.canResume());
  stop_->setEnabled(s.canStop());
  continue_->setEnabled(studio_.monitor.canContinue());
}

void MainWindow::openConfig() {
  const QString path = QFileDialog::getOpenFileName(this, tr("Open a config"), {}, tr("Configs (*.json);;All files (*)"));
  if (!path.isEmpty()) openPath(path);
}

void MainWindow::saveConfig(bool as) {
  QString path = studio_.setup.source();
  if (as || path.isEmpty()) path = QFileDialog::getSaveFileName(this, tr("Save the config"), studio_.setup.runName() + QStringLiteral(".json"), tr("Configs (*.json)"));
  if (!path.isEmpty()) studio_.setup.saveFile(path);
}

void MainWindow::copyCommand() {
  QApplication::clipboard()->setText(studio_.setup.commandLine());
  statusBar()->showMessage(tr("Copied: %1").arg(studio_.setup.commandLine()), 6000);
}

void MainWindow::showPalette() { palette_->open(commands_); }

void MainWindow::showShortcuts() {
  QString rows;
  for (const QAction* a : commands_)
    if (!a->shortcut().isEmpty())
      rows += QStringLiteral("<tr><td>%1&nbsp;&nbsp;&nbsp;</td><td>%2</td></tr>").arg(a->shortcut().toString(QKeySequence::NativeText), QString(a->text()).remove('&').toHtmlEscaped());
  auto* box = new QMessageBox(QMessageBox::NoIcon, tr("Keyboard shortcuts"), QStringLiteral("<table>%1</table>").arg(rows), QMessageBox::Close, this);
  box->setAttribute(Qt::WA_DeleteOnClose);
  box->open();
}

void MainWindow::showAbout() {
  auto* box = new QMessageBox(QMessageBox::NoIcon, tr("About Lorikeet"), tr("<b>Lorikeet %1</b>").arg(QApplication::applicationVersion()), QMessageBox::Close, this);
  box->setInformativeText(tr("Fine-tunes language models on your own machine. Nothing leaves it unasked.\n\nBuilt with Qt %1 (LGPL 3) and QCustomPlot (GPL 3).").arg(QLatin1String(qVersion())));
  box->setAttribute(Qt::WA_DeleteOnClose);
  box->open();
}

}  // namespace lorikeet::ui
