/// The parts of Monitor: its header buttons, the grid of charts, and what is below.
#include <QDesktopServices>
#include <QFileDialog>
#include <QGridLayout>
#include <QHeaderView>
#include <QMenu>
#include <QMessageBox>
#include <QPushButton>
#include <QSaveFile>
#include <QScrollArea>
#include <QScrollBar>
#include <QSlider>
#include <QStackedWidget>
#include <QTableView>
#include <QUrl>
#include <cmath>

#include "ui/pages/monitor_page.h"
#include "ui/widgets/banner.h"
#include "ui/widgets/card.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"
#include "ui/widgets/wheel_guard.h"

namespace lorikeet::ui {
namespace {

QTableView* make_table(QAbstractItemModel* model, const QString& name) {
  auto* table = new QTableView;
  table->setModel(model);
  table->setAccessibleName(name);
  table->setShowGrid(false);
  table->setTabKeyNavigation(false);
  table->setSelectionBehavior(QAbstractItemView::SelectRows);
  table->verticalHeader()->hide();
  table->verticalHeader()->setDefaultSectionSize(units(6.5));
  table->horizontalHeader()->setStretchLastSection(true);
  table->horizontalHeader()->setHighlightSections(false);
  return table;
}

}  // namespace

void MonitorPage::makeHeader() {
  x_axis_ = make_button(tr("x: steps ▾"), "flat");
  auto* menu = new QMenu(x_axis_);
  const auto add = [&](const QString& word, XAxis axis) {
    menu->addAction(word, this, [this, word, axis] {
      x_axis_->setText(tr("x: %1 ▾").arg(word));
      vm_.setXAxis(axis);
    });
  };
  add(tr("steps"), XAxis::steps);
  add(tr("tokens"), XAxis::tokens);
  add(tr("time"), XAxis::time);
  x_axis_->setMenu(menu);
  smoothing_ = new QSlider(Qt::Horizontal);
  smoothing_->setRange(0, 99);
  smoothing_->setValue(int(vm_.smoothing() * 100));
  smoothing_->setFixedWidth(units(24));
  smoothing_->setAccessibleName(tr("Smoothing of the loss"));
  WheelGuard::protect(smoothing_);
  smoothing_text_ = make_label(tr("smoothing %1").arg(vm_.smoothing(), 0, 'f', 2), "muted");
  connect(smoothing_, &QSlider::valueChanged, this, [this](int v) {
    smoothing_text_->setText(tr("smoothing %1").arg(v / 100.0, 0, 'f', 2));
    vm_.setSmoothing(v / 100.0);
  });
  log_ = make_button(tr("log"), "flat");
  log_->setCheckable(true);
  log_->setToolTip(tr("Logarithmic axis for the loss"));
  connect(log_, &QPushButton::toggled, this, [this](bool on) { loss_->setLogarithmic(on); });
  table_button_ = make_button(tr("Table"), "flat");
  table_button_->setCheckable(true);
  table_button_->setToolTip(tr("The figures behind the charts"));
  connect(table_button_, &QPushButton::toggled, this, [this](bool on) { body_->setCurrentIndex(on ? 1 : 0); });
  save_ = make_button(tr("Save ▾"), "flat");
  auto* save_menu = new QMenu(save_);
  save_menu->addAction(tr("Charts as pictures (PNG)…"), this, [this] { savePictures(QStringLiteral("png")); });
  save_menu->addAction(tr("Charts as drawings (SVG)…"), this, [this] { savePictures(QStringLiteral("svg")); });
  save_menu->addAction(tr("Figures as a table (CSV)…"), this, [this] { saveTable(); });
  save_->setMenu(save_menu);
  folder_ = make_button(tr("Open folder"));
  connect(folder_, &QPushButton::clicked, this, [this] { QDesktopServices::openUrl(QUrl::fromLocalFile(vm_.folder())); });
  again_ = make_button(tr("Continue"), "primary");
  connect(again_, &QPushButton::clicked, this, [this] { emit continueAsked(vm_.folder()); });
  pause_ = make_button(tr("Pause"));
  connect(pause_, &QPushButton::clicked, this, [this] { session_.canResume() ? session_.resume() : session_.pause(); });
  stop_ = make_button(tr("Stop and save"), "primary");
  stop_->setToolTip(tr("Ends after the current step with a checkpoint; the run can be continued later."));
  connect(stop_, &QPushButton::clicked, &session_, &Session::stop);
  for (QWidget* w : std::initializer_list<QWidget*>{x_axis_, smoothing_text_, smoothing_, log_, table_button_, save_, folder_, again_, pause_, stop_})
    header()->addWidget(w);
}

QWidget* MonitorPage::makeCharts() {
  auto* content = new QWidget;
  content->setObjectName(QStringLiteral("scrolled"));
  auto* grid = new QGridLayout(content);
  grid->setContentsMargins(0, 0, 0, 0);
  grid->setSpacing(units(3));
  loss_ = new Chart(tr("Loss"), AxisNumbers::plain);
  raw_ = loss_->addSeries(tr("train"), {.color = 1, .faint = true});
  smooth_ = loss_->addSeries(tr("smoothed"), {.color = 1});
  eval_ = loss_->addSeries(tr("evaluation"), {.color = 3, .points = true});
  rate_ = new Chart(tr("Learning rate"), AxisNumbers::plain);
  rate_->addSeries(tr("learning rate"), {.color = 2});
  norm_ = new Chart(tr("Gradient norm"), AxisNumbers::plain);
  norm_->addSeries(tr("gradient norm"), {.color = 0});
  speed_ = new Chart(tr("Tokens per second"), AxisNumbers::thousands);
  speed_->addSeries(tr("tokens per second"), {.color = 1});
  memory_ = new Chart(tr("Memory"), AxisNumbers::bytes);
  memory_->addSeries(tr("process"), {.color = 0});
  memory_->addSeries(tr("device"), {.color = 1, .dashed = true});
  for (Chart* chart : {loss_, rate_, norm_, speed_, memory_}) chart->setFromZero(true);
  grid->addWidget(loss_, 0, 0, 2, 1);
  grid->addWidget(rate_, 0, 1);
  grid->addWidget(norm_, 1, 1);
  grid->addWidget(speed_, 2, 0);
  grid->addWidget(memory_, 2, 1);
  for (int i = 0; i < 3; ++i) grid->setRowStretch(i, 1);
  grid->setColumnStretch(0, 1);
  grid->setColumnStretch(1, 1);
  charts_ = {loss_, rate_, norm_, speed_, memory_};
  for (Chart* chart : charts_) {
    connect(chart, &Chart::cursorMoved, this, [this](double x) {
      for (Chart* c : charts_) c->showCursor(x);
      refreshCaptions(x);
    });
    connect(chart, &Chart::xRangeChanged, this, [this](double from, double to) {
      for (Chart* c : charts_) c->setXRange(from, to);
    });
    connect(chart, &Chart::zoomReset, this, [this] {
      for (Chart* c : charts_) c->resetZoom();
    });
  }
  connect(&Theme::instance(), &Theme::changed, this, [this] { refreshCaptions(std::nan("")); });
  auto* area = new QScrollArea;
  area->setObjectName(QStringLiteral("form"));
  area->setWidgetResizable(true);
  area->setFocusPolicy(Qt::NoFocus);
  area->setWidget(content);
  return area;
}

QWidget* MonitorPage::makeBelow() {
  auto* box = new QWidget;
  auto* column = new QVBoxLayout(box);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(units(3));
  body_ = new QStackedWidget;
  body_->addWidget(makeCharts());
  auto* twin = new Card(tr("Every step"));
  table_ = make_table(&vm_.metricsModel(), tr("Every step"));
  table_->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
  twin->body()->addWidget(table_, 1);
  body_->addWidget(twin);
  column->addWidget(body_, 1);
  auto* log = new Card(tr("Events"));
  events_ = make_table(&vm_.eventsModel(), tr("Events"));
  events_->setFixedHeight(units(26));
  events_->setColumnWidth(0, units(22));
  events_->setColumnWidth(1, units(14));
  events_->setColumnWidth(2, units(26));
  log->body()->addWidget(events_);
  column->addWidget(log);
  connect(&vm_.eventsModel(), &QAbstractItemModel::rowsInserted, events_, &QTableView::scrollToBottom);
  return box;
}

void MonitorPage::saveTable() {
  const QString path = QFileDialog::getSaveFileName(this, tr("Save the figures"), vm_.runName() + QStringLiteral(".csv"), tr("CSV (*.csv)"));
  if (path.isEmpty()) return;
  QSaveFile file(path);
  const QByteArray text = vm_.csv().toUtf8();
  if (!file.open(QIODevice::WriteOnly) || file.write(text) != text.size() || !file.commit())
    banner()->showError(tr("The figures were not saved."), {file.errorString(), QStringLiteral("io"), path, {}});
}

void MonitorPage::savePictures(const QString& suffix) {
  const QString folder = QFileDialog::getExistingDirectory(this, tr("Folder for the pictures"));
  if (folder.isEmpty()) return;
  for (Chart* chart : charts_) {
    const QString path = folder + '/' + vm_.runName() + QStringLiteral("-") + chart->title().toLower().replace(' ', '-') + '.' + suffix;
    if (!chart->save(path)) banner()->showError(tr("A picture was not saved."), {tr("It could not be written."), QStringLiteral("io"), path, {}});
  }
}

}  // namespace lorikeet::ui
