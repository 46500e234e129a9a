#include "ui/viewmodels/monitor_view_model.h"

#include <QDateTime>
#include <QFileInfo>
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/files.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "core/run/queries.h"

namespace lorikeet::ui {
namespace {

constexpr int kFollowMs = 1000;
constexpr int kGpuMs = 2000;
double number_at(const Json& j, const char* key, double other = 0) {
  const auto it = j.find(key);
  return it != j.end() && it->is_number() ? it->get<double>() : other;
}
std::string text_at(const Json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_string() ? it->get<std::string>() : std::string();
}
StepReport step_of(const Json& j) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  StepReport s;
  s.step = int64_t(number_at(j, "step"));
  s.epoch = number_at(j, "epoch"), s.loss = number_at(j, "loss", nan), s.learning_rate = number_at(j, "learning_rate");
  s.grad_norm = number_at(j, "grad_norm", nan);
  s.tokens = int64_t(number_at(j, "tokens")), s.target_tokens = int64_t(number_at(j, "target_tokens"));
  s.tokens_per_s = number_at(j, "tokens_per_s"), s.step_ms = number_at(j, "step_ms");
  s.device_bytes = uint64_t(number_at(j, "device_bytes")), s.host_bytes = uint64_t(number_at(j, "host_bytes"));
  s.time = number_at(j, "time");
  return s;
}

/// N of a run's cuda:N among the machine's GPUs, else the first that can be used; null when there is none.
Json gpu_of_run(const Json& machine, const Json& run) {
  const auto section = [](const Json& j, const char* key) { return j.is_object() && j.contains(key) ? j[key] : Json(); };
  const std::string kind = text_at(section(section(run, "config"), "device"), "kind");
  const auto number = kind.starts_with("cuda:") ? parse_int(std::string_view(kind).substr(5)) : std::nullopt;
  Json out;
  for (const Json& gpu : machine.value("gpus", Json::array())) {
    if (!gpu.is_object() || !gpu.value("usable", false)) continue;
    if (number && gpu.value("index", int64_t{-1}) == *number) return gpu;
    if (out.is_null()) out = gpu;
  }
  return out;
}

}  // namespace

MonitorViewModel::MonitorViewModel(Session& session, QueryRunner& queries, QObject* parent)
    : QObject(parent), session_(session), queries_(queries), events_({tr("Time"), tr("Step"), tr("Event"), tr("Text")}) {
  events_.setFigureColumns({1});
  follow_timer_.setInterval(kFollowMs);
  connect(&follow_timer_, &QTimer::timeout, this, &MonitorViewModel::follow);
  gpu_timer_.setInterval(kGpuMs);
  connect(&gpu_timer_, &QTimer::timeout, this, &MonitorViewModel::askGpu);
  connect(&session_, &Session::stateChanged, this, &MonitorViewModel::sessionChanged);
  connect(&session_, &Session::progressChanged, this, &MonitorViewModel::headerChanged);
  connect(&session_, &Session::stepsArrived, this, [this](const std::vector<StepReport>& steps) {
    if (live_) addSteps(steps);
  });
  connect(&session_, &Session::evalsArrived, this, [this](const std::vector<EvalReport>& evals) {
    if (!live_) return;
    evals_.insert(evals_.end(), evals.begin(), evals.end());
    metrics_.addEvals(evals);
    emit pointsAdded();
    emit headerChanged();
  });
  connect(&session_, &Session::eventsArrived, this, [this](const std::vector<RunEvent>& events) {
    if (live_)
      for (const RunEvent& event : events) addEvent(event, wall_seconds());
  });
  connect(&session_, &Session::runFolderKnown, this, [this](const QString& folder) {
    if (!live_) return;
    folder_ = folder;  // a continued run has a history before its first new step
    queries_.ask(this, QStringLiteral("history"), [f = folder.toStdString()](std::stop_token) { return readHistory(f, 0); },
                 [this](History h) { takeHistory(std::move(h), true); });
  });
}

void MonitorViewModel::clear() {
  metrics_.clear();
  events_.setRows({});
  shown_events_.clear();
  evals_.clear();
  smoothed_.clear();
  ema_ = ema_weight_ = 0;
  clip_norm_ = planned_bytes_ = 0;
  information_ = {};
  read_to_ = 0;
}

void MonitorViewModel::showRun(const QString& folder) {
  if (session_.isActive() && session_.runFolder() == folder) {
    if (!live_) {
      live_ = true;
      clear();
      emit runReplaced();
    }
  } else {
    live_ = false;
    if (folder != folder_) clear();
  }
  folder_ = folder;
  emit headerChanged();
  queries_.ask(this, QStringLiteral("history"), [f = folder.toStdString()](std::stop_token) { return readHistory(f, 0); },
               [this](History h) { takeHistory(std::move(h), true); },
               [this](const ErrorText& e) { emit problem(tr("The run could not be read."), e); });
  follow_timer_.start();
}

MonitorViewModel::History MonitorViewModel::readHistory(const std::string& folder, uint64_t from) {
  History h;
  h.read_to = from;
  h.information = run_information(folder);
  h.held = FolderLock::is_held(folder);
  const fs::path plan = fs::path(folder) / "plan.json";
  std::error_code error;
  if (fs::exists(plan, error)) h.plan = read_json_file(plan.string());
  for (const Json& line : run_metrics(folder, h.read_to)) {
    if (line.contains("eval_loss"))
      h.evals.push_back({int64_t(number_at(line, "step")), number_at(line, "eval_loss"), int64_t(number_at(line, "eval_tokens")), number_at(line, "time")});
    else if (line.contains("event"))
      h.events.push_back({{int64_t(number_at(line, "step")), text_at(line, "event"), text_at(line, "text")}, number_at(line, "time")});
    else if (line.contains("loss"))
      h.steps.push_back(step_of(line));
  }
  return h;
}

/// What a run says beside its file, such as the checkpoint of a stop, stays on the page when the file is read again.
void MonitorViewModel::addEventsHeardOf(History& h) const {
  for (const auto& heard : shown_events_) {
    const auto same = [&](const auto& e) { return e.first.step == heard.first.step && e.first.event == heard.first.event && e.first.text == heard.first.text; };
    if (std::none_of(h.events.begin(), h.events.end(), same)) h.events.push_back(heard);
  }
  std::stable_sort(h.events.begin(), h.events.end(), [](const auto& a, const auto& b) { return a.first.step < b.first.step; });
}

void MonitorViewModel::takeHistory(History h, bool anew) {
  if (anew) {
    std::vector<StepReport> live;  // steps that came in while the file was read
    const int64_t last = h.steps.empty() ? 0 : h.steps.back().step;
    if (live_)
      for (const StepReport& s : metrics_.steps())
        if (s.step > last) live.push_back(s);
    addEventsHeardOf(h);
    clear();
    h.steps.insert(h.steps.end(), live.begin(), live.end());
  }
  read_to_ = h.read_to;
  held_ = h.held;
  information_ = h.information;
  if (const auto config = information_.find("config"); config != information_.end() && config->contains("optimizer"))
    clip_norm_ = number_at((*config)["optimizer"], "max_grad_norm");
  for (const char* key : {"bytes", "estimate", "plan"}) {  // the estimate of plan.json, before or after it was measured
    const auto it = h.plan.is_object() ? h.plan.find(key) : h.plan.end();
    if (it == h.plan.end() || !it->is_object()) continue;
    const Json& bytes = it->contains("bytes") ? (*it)["bytes"] : *it;
    if (bytes.is_object() && bytes.contains("total")) planned_bytes_ = number_at(bytes, "total");
  }
  for (const auto& [event, time] : h.events) addEvent(event, time);
  evals_.insert(evals_.end(), h.evals.begin(), h.evals.end());
  addSteps(h.steps);
  metrics_.addEvals(h.evals);
  if (anew) emit runReplaced();
  emit headerChanged();
}

void MonitorViewModel::follow() {
  if (live_ || folder_.isEmpty() || queries_.isBusy(this, QStringLiteral("history"))) return;
  if (text_at(information_, "state") != "running") return follow_timer_.stop();
  queries_.ask(this, QStringLiteral("history"), [f = folder_.toStdString(), from = read_to_](std::stop_token) { return readHistory(f, from); },
               [this](History h) { takeHistory(std::move(h), false); });
}

void MonitorViewModel::askGpu() {
  if (!gpu_query_ || queries_.isBusy(this, QStringLiteral("gpu"))) return;
  queries_.ask(this, QStringLiteral("gpu"), [query = gpu_query_](std::stop_token) { return query(); }, [this](const Json& information) { takeGpu(information); });
}

void MonitorViewModel::takeGpu(const Json& information) {
  QString text;
  if (const Json gpu = gpu_of_run(information, information_); gpu.is_object()) {
    QStringList parts;
    const auto number = [&](const char* key) { return gpu.contains(key) && gpu[key].is_number() ? gpu[key].get<double>() : std::nan(""); };
    if (std::isfinite(number("busy_percent"))) parts << tr("%1 % busy").arg(number("busy_percent"), 0, 'f', 0);
    if (std::isfinite(number("used_bytes")) && std::isfinite(number("bytes")))
      parts << tr("%1 of %2").arg(QString::fromStdString(human_bytes(uint64_t(number("used_bytes")))), QString::fromStdString(human_bytes(uint64_t(number("bytes")))));
    if (std::isfinite(number("temperature_c"))) parts << tr("%1 °C").arg(number("temperature_c"), 0, 'f', 0);
    if (std::isfinite(number("power_w"))) parts << tr("%1 W").arg(number("power_w"), 0, 'f', 0);
    if (!parts.isEmpty()) text = tr("GPU %1").arg(parts.join(QStringLiteral(" · ")));
  }
  if (text == gpu_text_) return;
  gpu_text_ = text;
  emit gpuChanged();
}

void MonitorViewModel::sessionChanged() {
  if (session_.isActive()) {
    if (!gpu_timer_.isActive()) askGpu();
    gpu_timer_.start();
  } else {
    gpu_timer_.stop();
    takeGpu(Json::object());
  }
  if (session_.state() == SessionState::starting) {
    live_ = true;
    folder_.clear();
    clear();
    emit runReplaced();
  } else if (live_ && !session_.isActive()) {
    live_ = false;
    const bool has_folder = !folder_.isEmpty();
    if (has_folder) showRun(folder_);  // the whole history, not thinned
  }
  emit headerChanged();
}

void MonitorViewModel::addSteps(const std::vector<StepReport>& steps) {
  if (steps.empty()) return;
  if (!metrics_.steps().empty() && steps.front().step <= metrics_.steps().back().step) takeBackFrom(steps.front().step);
  metrics_.append(steps);
  for (const StepReport& s : steps) smooth(s);
  emit pointsAdded();
  emit headerChanged();
}

/// A run continued from a checkpoint does its last steps again; what was read of them before is no longer true.
void MonitorViewModel::takeBackFrom(int64_t step) {
  metrics_.removeFrom(step);
  std::erase_if(evals_, [&](const EvalReport& e) { return e.step >= step; });
  setSmoothing(smoothing_);
}

/// Exponential moving average, freed of its start at zero (the bias correction of Adam, Kingma & Ba 2014).
void MonitorViewModel::smooth(const StepReport& s) {
  if (std::isfinite(s.loss)) {
    ema_ = smoothing_ * ema_ + (1 - smoothing_) * s.loss;
    ema_weight_ = smoothing_ * ema_weight_ + (1 - smoothing_);
  }
  smoothed_.push_back(ema_weight_ > 0 ? ema_ / ema_weight_ : s.loss);
}

void MonitorViewModel::addEvent(const RunEvent& event, double time) {
  shown_events_.push_back({event, time});
  const QString clock = QDateTime::fromSecsSinceEpoch(qint64(time)).toString(QStringLiteral("HH:mm:ss"));
  events_.append({{clock, QString::number(event.step), QString::fromStdString(event.event), QString::fromStdString(event.text)},
                  {time, qlonglong(event.step)}, {}, {}});
}

void MonitorViewModel::setSmoothing(double weight) {
  smoothing_ = std::clamp(weight, 0.0, 0.999);
  smoothed_.clear();
  ema_ = ema_weight_ = 0;
  for (const StepReport& s : steps()) smooth(s);
  emit runReplaced();
}

void MonitorViewModel::setXAxis(XAxis axis) {
  x_axis_ = axis;
  emit runReplaced();
}

double MonitorViewModel::x(const StepReport& s) const {
  if (x_axis_ == XAxis::tokens) return double(s.tokens);
  if (x_axis_ == XAxis::time) return (s.time - startedAt()) / 60;
  return double(s.step);
}

double MonitorViewModel::x(const EvalReport& e) const {
  if (x_axis_ == XAxis::time) return (e.time - startedAt()) / 60;
  if (x_axis_ == XAxis::steps) return double(e.step);
  const auto& all = steps();
  const auto it = std::lower_bound(all.begin(), all.end(), e.step, [](const StepReport& s, int64_t step) { return s.step < step; });
  return it == all.end() ? (all.empty() ? 0.0 : double(all.back().tokens)) : double(it->tokens);
}

}  // namespace lorikeet::ui
