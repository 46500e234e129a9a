/// The figures in Monitor's header, and its CSV.
#include <QFileInfo>
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/system.h"
#include "core/base/text.h"
#include "ui/models/runs_model.h"
#include "ui/viewmodels/monitor_view_model.h"

namespace lorikeet::ui {

QString MonitorViewModel::runName() const {
  if (live_ && !session_.name().isEmpty()) return session_.name();
  QString name = QFileInfo(folder_).fileName();
  if (const auto given = information_.find("name"); given != information_.end() && given->is_string()) name = QString::fromStdString(given->get<std::string>());
  const auto config = information_.find("config");
  if (config == information_.end() || !config->is_object() || !config->contains("data")) return name;
  const Json& data = (*config)["data"];
  const bool known = data.is_object() && data.contains("train") && data["train"].is_array() && !data["train"].empty() && data["train"][0].is_string();
  return known ? run_title(name, QString::fromStdString(data["train"][0].get<std::string>())) : name;
}

QString MonitorViewModel::stateText() const {
  if (live_) return session_state_text(session_.state());
  const auto it = information_.find("state");
  const QString state = it != information_.end() && it->is_string() ? QString::fromStdString(it->get<std::string>()) : QString();
  if (state == "running") return held_ ? tr("Running elsewhere") : tr("Interrupted");
  if (state == "finished") return tr("Finished");
  if (state == "cancelled") return tr("Stopped");
  if (state == "failed") return tr("Failed");
  return state;
}

bool MonitorViewModel::canContinue() const {
  if (live_ || held_ || folder_.isEmpty() || !session_.canStart()) return false;
  const auto it = information_.find("state");
  return it != information_.end() && it->is_string() && it->get<std::string>() != "finished";
}

qint64 MonitorViewModel::totalSteps() const {
  if (live_ && session_.lastStep().total_steps > 0) return session_.lastStep().total_steps;
  for (const char* key : {"total_steps", "steps"})
    if (const auto it = information_.find(key); it != information_.end() && it->is_number()) return it->get<qint64>();
  return steps().empty() ? 0 : steps().back().step;
}

double MonitorViewModel::bestEval(qint64* at_step) const {
  double best = std::numeric_limits<double>::quiet_NaN();
  for (const EvalReport& e : evals_)
    if (!(e.eval_loss >= best)) {  // also true for the first, against NaN
      best = e.eval_loss;
      if (at_step) *at_step = e.step;
    }
  return best;
}

qint64 MonitorViewModel::clippedSteps() const {
  if (clip_norm_ <= 0) return 0;
  return std::count_if(steps().begin(), steps().end(), [&](const StepReport& s) { return s.grad_norm > clip_norm_; });
}

double MonitorViewModel::startedAt() const {
  if (const auto it = information_.find("started"); it != information_.end() && it->is_number()) return it->get<double>();
  return steps().empty() ? wall_seconds() : steps().front().time - steps().front().step_ms / 1000;
}

double MonitorViewModel::secondsLeft() const { return live_ ? session_.lastStep().seconds_left : 0; }

double MonitorViewModel::secondsGone() const {
  if (steps().empty()) return 0;
  return std::max(0.0, steps().back().time - startedAt());
}

QString MonitorViewModel::csv() const {
  QString out = QStringLiteral("step,epoch,loss,smoothed_loss,learning_rate,grad_norm,tokens,target_tokens,tokens_per_s,step_ms,device_bytes,host_bytes,time\n");
  const auto number = [](double v) { return std::isfinite(v) ? QString::fromStdString(shortest(v)) : QString(); };
  for (size_t i = 0; i < steps().size(); ++i) {
    const StepReport& s = steps()[i];
    const QStringList cells = {QString::number(s.step), number(s.epoch), number(s.loss), number(smoothed_[i]), number(s.learning_rate),
                               number(s.grad_norm), QString::number(s.tokens), QString::number(s.target_tokens), number(s.tokens_per_s),
                               number(s.step_ms), QString::number(s.device_bytes), QString::number(s.host_bytes), number(s.time)};
    out += cells.join(',') + '\n';
  }
  return out;
}

}  // namespace lorikeet::ui
