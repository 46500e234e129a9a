#include "ui/main_window.h"

#include <QButtonGroup>
#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QSettings>
#include <QSplitter>
#include <QStackedWidget>
#include <QStatusBar>
#include <QTimer>

#include "ui/pages/chat_page.h"
#include "ui/pages/data_page.h"
#include "ui/pages/export_page.h"
#include "ui/pages/home_page.h"
#include "ui/pages/monitor_page.h"
#include "ui/pages/run_panel.h"
#include "ui/pages/setup_page.h"
#include "ui/status_line.h"
#include "ui/widgets/banner.h"
#include "ui/widgets/card.h"
#include "ui/widgets/command_palette.h"
#include "ui/widgets/drop_overlay.h"
#include "ui/widgets/icons.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {
constexpr int kStateVersion = 1;
}

MainWindow::MainWindow(Studio& studio, QWidget* parent) : QMainWindow(parent), studio_(studio) {
  setWindowTitle(tr("Lorikeet"));
  setWindowIcon(QIcon(QStringLiteral(":/icons/lorikeet.svg")));
  setAcceptDrops(true);
  auto* center = new QWidget;
  auto* row = new QHBoxLayout(center);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(0);
  row->addWidget(makeRail());
  auto* right = new QVBoxLayout;
  right->setContentsMargins(0, 0, 0, 0);
  right->setSpacing(0);
  right->addWidget(makeHeader());
  stack_ = new QStackedWidget;
  right->addWidget(stack_, 1);
  row->addLayout(right, 1);
  setCentralWidget(center);
  makePages();
  status_ = new StatusLine(studio_, this);
  setStatusBar(status_);
  connect(status_, &StatusLine::jobClicked, this, [this] { showPage(QStringLiteral("monitor")); });
  palette_ = new CommandPalette(this);
  overlay_ = new DropOverlay(this);
  makeActions();
  connectStudio();
  resize(units(320), units(200));
  setMinimumSize(units(200), units(130));
  restoreState_();
  showPage(QStringLiteral("home"));
  stack_->installEventFilter(this);
}

QWidget* MainWindow::makeRail() {
  auto* rail = new QWidget;
  rail->setObjectName(QStringLiteral("rail"));
  rail->setFixedWidth(units(37));
  rail_column_ = new QVBoxLayout(rail);
  rail_column_->setContentsMargins(units(2.5), units(3), units(2.5), units(3));
  rail_column_->setSpacing(units(0.5));
  auto* brand = new QHBoxLayout;
  brand->setContentsMargins(units(2), 0, 0, units(2));
  brand->setSpacing(units(2));
  brand->addWidget(new IconLabel(QStringLiteral("lorikeet"), QStringLiteral("text"), 5));
  QLabel* name = make_label(tr("Lorikeet"), "strong");
  brand->addWidget(name, 1);
  rail_column_->addLayout(brand);
  rail_column_->addStretch(1);
  rail_ = new QButtonGroup(this);
  rail_->setExclusive(true);
  connect(rail_, &QButtonGroup::idClicked, this, [this](int id) { showPage(page_order_[id]); });
  return rail;
}

QWidget* MainWindow::makeHeader() {
  auto* header = new QWidget;
  header->setObjectName(QStringLiteral("header"));
  header->setFixedHeight(units(13));
  header_row_ = new QHBoxLayout(header);
  header_row_->setContentsMargins(units(5), 0, units(5), 0);
  header_row_->setSpacing(units(3));
  title_ = make_label({}, "title");
  subject_ = new ElidedLabel;
  subject_->setProperty("role", "muted");
  header_row_->addWidget(title_);
  header_row_->addWidget(subject_, 1);
  return header;
}

void MainWindow::addPage(const QString& id, Page* page) {
  const int index = int(page_order_.size());
  page_order_ << id;
  pages_[id] = page;
  stack_->addWidget(page);
  auto* button = make_button(page->title(), "rail");
  button->setCheckable(true);
  button->setIcon(icon(page->iconName()));
  button->setIconSize({units(5.5), units(4)});
  rail_->addButton(button, index);
  rail_column_->insertWidget(rail_column_->count() - 1, button);
  header_row_->addWidget(page->headerWidget());
  page->headerWidget()->hide();
  connect(page, &Page::subjectChanged, this, [this, page] {
    if (stack_->currentWidget() == page) subject_->setFullText(page->subject());
  });
}

void MainWindow::makePages() {
  auto* home = new HomePage(studio_);
  addPage(QStringLiteral("home"), home);
  setup_page_ = new SetupPage(studio_.setup);
  addPage(QStringLiteral("setup"), setup_page_);
  auto* data_page = new DataPage(studio_.data);
  addPage(QStringLiteral("data"), data_page);
  auto* monitor = new MonitorPage(studio_.monitor, studio_.session);
  addPage(QStringLiteral("monitor"), monitor);
  addPage(QStringLiteral("chat"), new ChatPage(studio_));
  addPage(QStringLiteral("export"), new ExportPage(studio_));
  connect(home, &HomePage::openConfigAsked, this, &MainWindow::openConfig);
  connect(setup_page_, &SetupPage::lookInside, this, [this] { showPage(QStringLiteral("data")); });
  connect(setup_page_->runPanel(), &RunPanel::startAsked, &studio_, &Studio::startTraining);
  connect(setup_page_->runPanel(), &RunPanel::copyAsked, this, &MainWindow::copyCommand);
  connect(setup_page_->runPanel(), &RunPanel::saveAsked, this, [this] { saveConfig(false); });
  connect(data_page, &DataPage::configAsked, this, [this] { studio_.data.setConfig(studio_.setup.config()); });
  connect(data_page, &DataPage::chooseAsked, this, [this] {
    showPage(QStringLiteral("setup"));
    setup_page_->showField(QStringLiteral("data.train"));
  });
  connect(monitor, &MonitorPage::setUpAsked, this, [this] { showPage(QStringLiteral("setup")); });
  connect(monitor, &MonitorPage::continueAsked, &studio_, &Studio::continueRun);
  connect(monitor, &MonitorPage::chatAsked, &studio_, &Studio::chatWithRun);
  connect(monitor, &MonitorPage::exportAsked, &studio_, &Studio::exportRun);
}

QString MainWindow::currentPage() const { return page_order_.value(stack_->currentIndex()); }

void MainWindow::showPage(const QString& id) {
  Page* page = pages_.value(id);
  if (!page) return;
  stack_->setCurrentWidget(page);
  rail_->button(int(page_order_.indexOf(id)))->setChecked(true);
  refreshHeader();
  page->setFocus();  // not left on the rail; Tab goes on from the page's first control
  page->entered();
}

void MainWindow::refreshHeader() {
  Page* page = pages_.value(currentPage());
  if (shown_actions_) shown_actions_->hide();
  shown_actions_ = page->headerWidget();
  shown_actions_->show();
  title_->setText(page->title());
  subject_->setFullText(page->subject());
  const auto& tint = colors();
  for (QAbstractButton* b : rail_->buttons())
    b->setIcon(icon(pages_[page_order_[rail_->id(b)]]->iconName(), b->isChecked() ? tint.on_accent_soft : tint.muted));
}

void MainWindow::connectStudio() {
  connect(&studio_, &Studio::pageAsked, this, &MainWindow::showPage);
  connect(&studio_, &Studio::problem, this, [this](const QString& what, const ErrorText& e) { pages_[currentPage()]->banner()->showError(what, e); });
  connect(&studio_.session, &Session::stateChanged, this, &MainWindow::refreshActions);
  connect(&studio_.monitor, &MonitorViewModel::headerChanged, this, &MainWindow::refreshActions);
  connect(&studio_.setup, &SetupViewModel::planChanged, this, &MainWindow::refreshActions);
  connect(&Theme::instance(), &Theme::changed, this, &MainWindow::refreshHeader);
  connect(&studio_.home, &HomeViewModel::runsChanged, this, &MainWindow::offerInterrupted);
  connect(&studio_.session, &Session::stateChanged, this, [this] {
    if (close_when_done_ && !studio_.session.isActive()) {
      close_anyway_ = true;
      close();
    }
  });
  refreshActions();
}

/// Once after the start: a run that was cut off can go on.
void MainWindow::offerInterrupted() {
  if (offered_) return;
  offered_ = true;
  const RunRow* run = studio_.home.interrupted();
  if (!run) return;
  Banner* banner = pages_[QStringLiteral("home")]->banner();
  banner->showNote(tr("“%1” was cut off at step %2 of %3. Its checkpoints are whole.").arg(run_label(*run)).arg(run->step).arg(run->total_steps),
                   tr("Continue it"), "warning");
  const QString path = run->path;
  connect(banner, &Banner::actionClicked, this, [this, banner, path] {
    banner->hide();
    studio_.continueRun(path);
  }, Qt::SingleShotConnection);
}

void MainWindow::restoreState_() {
  QSettings settings;
  settings.beginGroup(QStringLiteral("window"));
  restoreGeometry(settings.value(QStringLiteral("geometry")).toByteArray());
  restoreState(settings.value(QStringLiteral("state")).toByteArray(), kStateVersion);
  for (QSplitter* s : findChildren<QSplitter*>())
    if (!s->objectName().isEmpty()) s->restoreState(settings.value(s->objectName()).toByteArray());
}

void MainWindow::saveState_() {
  QSettings settings;
  settings.beginGroup(QStringLiteral("window"));
  settings.setValue(QStringLiteral("geometry"), saveGeometry());
  settings.setValue(QStringLiteral("state"), saveState(kStateVersion));
  for (QSplitter* s : findChildren<QSplitter*>())
    if (!s->objectName().isEmpty()) settings.setValue(s->objectName(), s->saveState());
}

bool MainWindow::eventFilter(QObject* watched, QEvent* event) {
  if (watched == stack_ && event->type() == QEvent::Paint && !painted_) {
    painted_ = true;
    QTimer::singleShot(0, this, &MainWindow::firstPaint);
  }
  return QMainWindow::eventFilter(watched, event);
}

}  // namespace lorikeet::ui
