/// The small texts and the drawing beside the fields of Set up: what follows from a value, as the plan knows it.
#include <QLocale>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "ui/models/counted.h"
#include "ui/viewmodels/setup_view_model.h"

namespace lorikeet::ui {
namespace {

QString millions(int64_t n) {
  if (n >= 1'000'000'000) return QStringLiteral("%1 B").arg(double(n) / 1e9, 0, 'f', 2);
  if (n >= 1'000'000) return QStringLiteral("%1 M").arg(double(n) / 1e6, 0, 'f', 1);
  return counted(double(n));
}

}  // namespace

QString SetupViewModel::suffix(std::string_view key) const {
  const RunConfig& c = config_;
  if (key == "adapter.alpha" && c.adapter.rank > 0) {
    const double scale = c.adapter.alpha / (c.adapter.rslora ? std::sqrt(double(c.adapter.rank)) : double(c.adapter.rank));
    return tr("scale %1").arg(scale, 0, 'g', 3);
  }
  if (key == "training.epochs" && plan_ && plan_->steps > 0 && c.training.max_steps == 0) return tr("epochs · %1 steps").arg(counted(double(plan_->steps)));
  if (key == "training.gradient_accumulation" && c.data.packing)
    return tr("≤ %1 tokens a step").arg(counted(double(c.training.batch_size * c.training.gradient_accumulation * c.data.max_length)));
  const Field* f = find_field(key);
  return f ? QString::fromUtf8(f->unit.data(), qsizetype(f->unit.size())) : QString();
}

QString SetupViewModel::note(std::string_view key) const {
  if (!plan_) return {};
  const Plan& p = *plan_;
  if (key == "adapter.rank" && p.trainable_parameters > 0 && p.model_parameters > 0)
    return tr("Now %1 trainable values, %2 % of the model.").arg(millions(p.trainable_parameters)).arg(100.0 * double(p.trainable_parameters) / double(p.model_parameters), 0, 'f', 1);
  if (key == "data.max_length" && p.longest > 0)
    return p.truncated == 0 ? tr("All samples fit; the longest has %1.").arg(counted(double(p.longest)))
                            : tr("%1 of %2 samples are longer; the longest has %3.").arg(counted(double(p.truncated)), counted(double(p.samples)), counted(double(p.longest)));
  if (key == "quantization.format" && p.bits_per_weight > 0) return tr("%1 bits a weight.").arg(p.bits_per_weight, 0, 'f', 2);
  if (key == "training.checkpointing" && !p.policy.empty() && config_.training.checkpointing == "auto")
    return tr("Chosen now: %1.").arg(QString::fromStdString(p.policy));
  return {};
}

/// The curves of core/optim's schedules, only for the drawing; the trainer computes its own.
std::vector<float> SetupViewModel::scheduleShape(int points) const {
  const double steps = double(plan_ && plan_->steps > 0 ? plan_->steps : 100);
  const auto& s = config_.schedule;
  const double warm = s.warmup_steps > 0 ? std::min(double(s.warmup_steps), steps) : std::ceil(s.warmup_ratio * steps);
  std::vector<float> out;
  for (int i = 0; i < points; ++i) {
    const double k = steps * i / std::max(1, points - 1);
    const double rest = std::clamp((k - warm) / std::max(1.0, steps - warm), 0.0, 1.0);
    double v = 1;
    if (k < warm) v = k / warm;
    else if (s.name == "linear" || s.name == "polynomial") v = 1 - rest;
    else if (s.name == "cosine") v = 0.5 * (1 + std::cos(std::numbers::pi * rest));
    else if (s.name != "constant") v = 0.5 * (1 + std::cos(std::numbers::pi * std::fmod(rest, 1.0)));
    out.push_back(float(v));
  }
  return out;
}

}  // namespace lorikeet::ui
