#include "ui/pages/monitor_page.h"

#include <QDesktopServices>
#include <QGridLayout>
#include <QLocale>
#include <QMenu>
#include <QProgressBar>
#include <QPushButton>
#include <QSlider>
#include <QStackedWidget>
#include <QUrl>
#include <cmath>

#include "core/base/text.h"
#include "ui/models/counted.h"
#include "ui/models/runs_model.h"
#include "ui/widgets/banner.h"
#include "ui/widgets/card.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/number_edit.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {
QString seconds_text(double s) { return QString::fromStdString(human_seconds(s)); }
QString short_count(double n) {
  return n >= 1e6 ? QStringLiteral("%1 M").arg(n / 1e6, 0, 'f', 2) : counted(double(n));
}
}  // namespace

MonitorPage::MonitorPage(MonitorViewModel& vm, Session& session, QWidget* parent)
    : Page(tr("Monitor"), QStringLiteral("monitor"), parent), vm_(vm), session_(session) {
  makeHeader();
  auto* content = new QWidget;
  auto* rows = new QVBoxLayout(content);
  rows->setContentsMargins(0, 0, 0, 0);
  rows->setSpacing(units(3));
  rows->addWidget(makeFigures());
  rows->addWidget(makeBelow(), 1);
  empty_ = new EmptyState(QStringLiteral("monitor"), tr("No run to watch"),
                          tr("Once training starts, its loss, speed and memory are drawn here as they happen. A finished run can be opened from Home."),
                          tr("Set up a run"));
  connect(empty_->button(), &QPushButton::clicked, this, &MonitorPage::setUpAsked);
  stack_ = new QStackedWidget;
  stack_->addWidget(empty_);
  stack_->addWidget(content);
  column()->addWidget(stack_, 1);
  connect(&vm_, &MonitorViewModel::runReplaced, this, &MonitorPage::replaceAll);
  connect(&vm_, &MonitorViewModel::pointsAdded, this, &MonitorPage::addPoints);
  connect(&vm_, &MonitorViewModel::headerChanged, this, &MonitorPage::refreshHeader);
  connect(&vm_, &MonitorViewModel::gpuChanged, this, [this] { refreshCaptions(std::nan("")); });
  connect(&vm_, &MonitorViewModel::problem, this, [this](const QString& what, const ErrorText& e) { banner()->showError(what, e); });
  replaceAll();
  refreshHeader();
}

QLabel* MonitorPage::addFigure(QHBoxLayout* row, const QString& below, FigureLabel** value) {
  auto* box = new QVBoxLayout;
  box->setSpacing(0);
  *value = new FigureLabel(QStringLiteral("–"), "strong");
  box->addWidget(*value);
  QLabel* words = make_label(below, "small");
  box->addWidget(words);
  row->addLayout(box);
  return words;
}

QWidget* MonitorPage::makeFigures() {
  auto* card = new Card;
  auto* row = new QHBoxLayout;
  row->setSpacing(units(6));
  state_below_ = addFigure(row, tr("state"), &state_);
  step_below_ = addFigure(row, tr("step"), &step_);
  progress_ = new QProgressBar;
  progress_->setTextVisible(false);
  progress_->setRange(0, 1000);
  progress_->setAccessibleName(tr("Progress"));
  row->addWidget(progress_, 1);
  next_ = new QWidget;
  auto* next = new QHBoxLayout(next_);
  next->setContentsMargins(0, 0, 0, 0);
  next->setSpacing(units(2));
  auto* chat = make_button(tr("Chat with it"));
  auto* share = make_button(tr("Export…"), "primary");
  next->addWidget(chat);
  next->addWidget(share);
  next->addStretch(1);
  connect(chat, &QPushButton::clicked, this, [this] { emit chatAsked(vm_.folder()); });
  connect(share, &QPushButton::clicked, this, [this] { emit exportAsked(vm_.folder()); });
  row->addWidget(next_, 1);
  left_below_ = addFigure(row, tr("time left"), &left_);
  best_below_ = addFigure(row, tr("best evaluation"), &best_);
  addFigure(row, tr("tokens seen"), &tokens_);
  card->body()->addLayout(row);
  return card;
}

void MonitorPage::refreshHeader() {
  stack_->setCurrentIndex(vm_.isEmpty() ? 0 : 1);
  const bool live = vm_.isLive() && session_.isActive();
  pause_->setVisible(live);
  stop_->setVisible(live);
  progress_->setVisible(live || vm_.canContinue() || vm_.steps().empty());
  next_->setVisible(!progress_->isVisibleTo(this));
  again_->setVisible(vm_.canContinue());
  pause_->setText(session_.canResume() ? tr("Resume") : tr("Pause"));
  pause_->setEnabled(session_.canPause() || session_.canResume());
  stop_->setEnabled(session_.canStop());
  folder_->setEnabled(!vm_.folder().isEmpty());
  for (QPushButton* button : {x_axis_, log_, table_button_, save_}) button->setVisible(!vm_.isEmpty());
  smoothing_->setVisible(!vm_.isEmpty());
  smoothing_text_->setVisible(!vm_.isEmpty());
  folder_->setVisible(!vm_.isEmpty());
  const auto& steps = vm_.steps();
  const double total = double(vm_.totalSteps());
  state_->setText(vm_.stateText());
  state_below_->setText(live ? tr("since %1").arg(short_time(vm_.startedAt())) : tr("started %1").arg(short_time(vm_.startedAt())));
  if (steps.empty() && live && !session_.progress().what.empty()) {  // loading, tokenising
    const Progress& p = session_.progress();
    step_->setText(QString::fromStdString(p.what));
    step_below_->setText(tr("before the first step"));
    progress_->setValue(p.total > 0 ? int(1000 * p.done / p.total) : 0);
  } else {
    step_below_->setText(tr("step"));
    step_->setText(tr("%1 of %2").arg(steps.empty() ? 0 : steps.back().step).arg(qint64(total)));
    progress_->setValue(total > 0 && !steps.empty() ? int(1000 * double(steps.back().step) / total) : 0);
  }
  left_->setText(live && vm_.secondsLeft() > 0 ? tr("%1 left").arg(seconds_text(vm_.secondsLeft())) : steps.empty() ? QStringLiteral("–") : seconds_text(vm_.secondsGone()));
  left_below_->setText(live && vm_.secondsLeft() > 0 ? tr("%1 gone").arg(seconds_text(vm_.secondsGone())) : tr("duration"));
  qint64 at = 0;
  const double best = vm_.bestEval(&at);
  best_->setText(std::isfinite(best) ? QString::number(best, 'f', 3) : QStringLiteral("–"));
  best_below_->setText(std::isfinite(best) ? tr("best evaluation, step %1").arg(at) : tr("best evaluation"));
  tokens_->setText(steps.empty() ? QStringLiteral("–") : short_count(double(steps.back().tokens)));
  for (FigureLabel* label : {state_, step_, left_, best_, tokens_}) label->updateGeometry();
  emit subjectChanged();
}

void MonitorPage::showEvent(QShowEvent* event) {
  Page::showEvent(event);
  if (dirty_) replaceAll();
}

void MonitorPage::replaceAll() {
  dirty_ = !isVisible();
  refreshHeader();
  if (dirty_) return;
  for (Chart* chart : charts_) {
    const QString name = vm_.xAxis() == XAxis::steps ? tr("steps") : vm_.xAxis() == XAxis::tokens ? tr("tokens") : tr("minutes");
    chart->setXName(chart == loss_ ? name : QString(), vm_.xAxis() != XAxis::time);
  }
  const auto none = QVector<double>();
  loss_->setData(raw_, none, none);
  loss_->setData(smooth_, none, none);
  loss_->setData(eval_, none, none);
  for (Chart* chart : {rate_, norm_, speed_, memory_}) chart->setData(0, none, none);
  memory_->setData(1, none, none);
  shown_ = shown_evals_ = 0;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  norm_->setLevel(vm_.clipNorm() > 0 ? vm_.clipNorm() : nan, tr("gradients above it are scaled down"));
  memory_->setLevel(vm_.plannedBytes() > 0 ? vm_.plannedBytes() : nan, tr("the estimate made before the run"));
  addPoints();
}

void MonitorPage::addPoints() {
  if (!isVisible()) {
    dirty_ = true;
    return;
  }
  const auto& steps = vm_.steps();
  QVector<double> x, loss, smooth, rate, norm, speed, memory, device_x, device;
  for (size_t i = shown_; i < steps.size(); ++i) {
    const StepReport& s = steps[i];
    x << vm_.x(s);
    loss << s.loss;
    smooth << vm_.smoothedLoss()[i];
    rate << s.learning_rate;
    norm << s.grad_norm;
    speed << s.tokens_per_s;
    memory << double(s.host_bytes);
    if (s.device_bytes > 0) device_x << vm_.x(s), device << double(s.device_bytes);
  }
  shown_ = steps.size();
  loss_->append(raw_, x, loss);
  loss_->append(smooth_, x, smooth);
  rate_->append(0, x, rate);
  norm_->append(0, x, norm);
  speed_->append(0, x, speed);
  memory_->append(0, x, memory);
  memory_->append(1, device_x, device);
  QVector<double> ex, ey;
  for (size_t i = shown_evals_; i < vm_.evals().size(); ++i) ex << vm_.x(vm_.evals()[i]), ey << vm_.evals()[i].eval_loss;
  shown_evals_ = vm_.evals().size();
  loss_->append(eval_, ex, ey);
  refreshRange();
  refreshCaptions(std::numeric_limits<double>::quiet_NaN());
}

void MonitorPage::refreshRange() {
  const auto& steps = vm_.steps();
  if (steps.empty()) return;
  double end = vm_.x(steps.back());
  if (vm_.isLive() && steps.back().step > 0) end *= double(std::max<qint64>(vm_.totalSteps(), steps.back().step)) / double(steps.back().step);
  for (Chart* chart : charts_) chart->setFullRange(vm_.x(steps.front()), end);
}

/// The figures beside the charts' titles: of the newest step, or of the one under the cursor.
void MonitorPage::refreshCaptions(double at_x) {
  const auto& steps = vm_.steps();
  if (steps.empty()) {
    for (Chart* chart : charts_) chart->setCaption(tr("drawn from the first step on"));
    return;
  }
  size_t i = steps.size() - 1;
  if (std::isfinite(at_x)) {
    const auto it = std::lower_bound(steps.begin(), steps.end(), at_x, [&](const StepReport& s, double x) { return vm_.x(s) < x; });
    i = it == steps.end() ? steps.size() - 1 : size_t(it - steps.begin());
  }
  const StepReport& s = steps[i];
  const QString where = std::isfinite(at_x) ? tr("step %1: ").arg(s.step) : QString();
  QString loss = where + tr("train %1 · smoothed %2").arg(s.loss, 0, 'f', 3).arg(vm_.smoothedLoss()[i], 0, 'f', 3);
  const EvalReport* eval = nullptr;
  for (const EvalReport& e : vm_.evals())
    if (e.step <= s.step || !eval) eval = &e;
  if (eval && eval->step <= s.step)
    loss += QStringLiteral(" · <span style='color:%1'>%2</span>").arg(colors().series[3].name(), tr("○ evaluation %1").arg(eval->eval_loss, 0, 'f', 3));
  loss_->setCaption(loss);
  rate_->setCaption(where + NumberEdit::textOf(QString::number(s.learning_rate, 'g', 3).toDouble()));
  QString norm = where + QString::number(s.grad_norm, 'f', 2);
  if (vm_.clipNorm() > 0) norm += QStringLiteral(" · ") + tr("clipped at %1 in %2 steps").arg(vm_.clipNorm()).arg(vm_.clippedSteps());
  norm_->setCaption(norm);
  QString speed = where + counted(double(s.tokens_per_s));
  if (!vm_.gpuText().isEmpty()) speed += QStringLiteral(" · ") + vm_.gpuText();  // beside the memory's figures there is no room
  speed_->setCaption(speed);
  QString memory = where + tr("process %1").arg(QString::fromStdString(human_bytes(s.host_bytes)));
  if (s.device_bytes > 0) memory += QStringLiteral(" · ") + tr("device %1").arg(QString::fromStdString(human_bytes(s.device_bytes)));
  if (vm_.plannedBytes() > 0) memory += QStringLiteral(" · ") + tr("planned %1").arg(QString::fromStdString(human_bytes(uint64_t(vm_.plannedBytes()))));
  memory_->setCaption(memory);
}

}  // namespace lorikeet::ui
