/// Learning-rate schedules with linear warmup: constant linear cosine cosine_with_restarts polynomial.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace lorikeet {

struct ScheduleSpec {
  std::string name = "cosine";
  double peak = 2e-4;
  int64_t total_steps = 1, warmup_steps = 0;
};
std::vector<std::string> schedule_names();
/// Steps of warmup: `warmup_steps` when > 0, else ceil(ratio * total).
int64_t warmup_length(int64_t warmup_steps, double ratio, int64_t total);
/// Rate of optimizer step k (from 0): peak*k/w for k < w, then the schedule over the remaining steps.
double learning_rate(const ScheduleSpec& s, int64_t k);

}  // namespace lorikeet
