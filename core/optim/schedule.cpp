/// The schedules, as functions of the share of the steps after warmup that is done. Formulas and constants are those of
/// the get_*_schedule_with_warmup functions of the transformers library; tests/data/optim/schedules.json has its
/// values.
#include "core/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/registry.h"

namespace lorikeet {
namespace {

/// `done` and `all` count steps after warmup; the result is a rate.
using Decay = double (*)(double peak, double done, double all);

constexpr double kPolynomialEnd = 1e-7;  // final rate of the polynomial schedule (power 1), never above the peak

double constant(double peak, double, double) { return peak; }

double linear_decay(double peak, double done, double all) {
  return peak * std::max(0.0, (all - done) / std::max(1.0, all));
}

double cosine(double peak, double done, double all) {
  return peak * std::max(0.0, 0.5 * (1 + std::cos(std::numbers::pi * done / std::max(1.0, all))));
}

/// One cycle: it differs from cosine only from the end on, where it stays at 0 instead of rising again.
double cosine_with_restarts(double peak, double done, double all) {
  return done >= std::max(1.0, all) ? 0.0 : cosine(peak, done, all);
}

double polynomial(double peak, double done, double all) {
  const double end = std::min(kPolynomialEnd, peak);
  if (done >= all) return end;
  return (peak - end) * (1 - done / all) + end;
}

const Registry<Decay>& decays() {
  static const Registry<Decay> list("schedule.name", {
                                                         {"constant", &constant},
                                                         {"linear", &linear_decay},
                                                         {"cosine", &cosine},
                                                         {"cosine_with_restarts", &cosine_with_restarts},
                                                         {"polynomial", &polynomial},
                                                     });
  return list;
}

}  // namespace

std::vector<std::string> schedule_names() { return decays().names(); }

int64_t warmup_length(int64_t warmup_steps, double ratio, int64_t total) {
  if (warmup_steps > 0) return warmup_steps;
  return static_cast<int64_t>(std::ceil(ratio * static_cast<double>(total)));
}

double learning_rate(const ScheduleSpec& s, int64_t k) {
  const Decay decay = decays().get(s.name);
  if (k < s.warmup_steps) return s.peak * static_cast<double>(k) / static_cast<double>(s.warmup_steps);
  return decay(s.peak, static_cast<double>(k - s.warmup_steps), static_cast<double>(s.total_steps - s.warmup_steps));
}

}  // namespace lorikeet
