/// Closing while a run is active, and things dropped onto the window.
#include <QCloseEvent>
#include <QDragEnterEvent>
#include <QMessageBox>
#include <QMimeData>
#include <QPushButton>
#include <QSettings>
#include <QSystemTrayIcon>
#include <QUrl>

#include "ui/main_window.h"
#include "ui/widgets/drop_overlay.h"

namespace lorikeet::ui {
namespace {

QString dropped_path(const QMimeData* data) {
  for (const QUrl& url : data->urls())
    if (url.isLocalFile()) return url.toLocalFile();
  return {};
}

}  // namespace

void MainWindow::closeEvent(QCloseEvent* event) {
  if (studio_.session.isActive() && !close_anyway_) {
    event->ignore();
    return askBeforeClosing();
  }
  saveState_();
  event->accept();
}

/// A window-modal question, not a nested event loop: the run goes on behind it.
void MainWindow::askBeforeClosing() {
  auto* box = new QMessageBox(this);
  box->setAttribute(Qt::WA_DeleteOnClose);
  box->setIcon(QMessageBox::Question);
  box->setWindowTitle(tr("A run is active"));
  box->setText(tr("“%1” is still training.").arg(studio_.session.name()));
  box->setInformativeText(tr("Stopping saves a checkpoint; the run can be continued from Home later."));
  const bool tray = QSystemTrayIcon::isSystemTrayAvailable();
  auto* keep = box->addButton(tray ? tr("Keep running in the tray") : tr("Keep running, minimised"), QMessageBox::AcceptRole);
  auto* stop = box->addButton(tr("Stop and save"), QMessageBox::DestructiveRole);
  box->addButton(tr("Cancel"), QMessageBox::RejectRole);
  box->setDefaultButton(keep);
  connect(keep, &QPushButton::clicked, this, [this, tray] {
    if (!tray) return showMinimized();
    auto* icon = new QSystemTrayIcon(windowIcon(), this);
    icon->setToolTip(tr("Lorikeet: “%1” is training").arg(studio_.session.name()));
    const auto back = [this, icon] {
      showNormal();
      activateWindow();
      icon->deleteLater();
    };
    connect(icon, &QSystemTrayIcon::activated, this, back);
    connect(icon, &QSystemTrayIcon::messageClicked, this, back);
    connect(&studio_.session, &Session::stateChanged, icon, [this, icon] {
      if (!studio_.session.isActive()) icon->showMessage(tr("Lorikeet"), tr("“%1”: %2").arg(studio_.session.name(), session_state_text(studio_.session.state())));
    });
    icon->show();
    hide();
  });
  connect(stop, &QPushButton::clicked, this, [this] {
    close_when_done_ = true;
    studio_.session.stop();
  });
  box->open();
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
  const QString path = dropped_path(event->mimeData());
  if (path.isEmpty()) return;
  overlay_->showFor(path_kind_sentence(guess_path_kind(path), path));
  event->acceptProposedAction();
}

void MainWindow::dragLeaveEvent(QDragLeaveEvent*) { overlay_->hide(); }

void MainWindow::dropEvent(QDropEvent* event) {
  overlay_->hide();
  const QString path = dropped_path(event->mimeData());
  if (path.isEmpty()) return;
  event->acceptProposedAction();
  openPath(path);
}

}  // namespace lorikeet::ui
