#include "core/run/detail/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/base/error.h"

namespace lorikeet::detail {

int32_t sample_token(const float* logits, int64_t size, double temperature, double top_p, RandomStream& random) {
  int64_t best = -1;
  for (int64_t i = 0; i < size; ++i)
    if (std::isfinite(logits[i]) && (best < 0 || logits[i] > logits[best])) best = i;
  if (best < 0) throw RunError("the model gave no finite logits; its weights or adapter are damaged");
  if (temperature <= 0) return static_cast<int32_t>(best);

  std::vector<double> weight(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i)
    weight[static_cast<size_t>(i)] = std::isfinite(logits[i]) ? std::exp((static_cast<double>(logits[i]) - logits[best]) / temperature) : 0;
  const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
  std::vector<int32_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return weight[static_cast<size_t>(a)] > weight[static_cast<size_t>(b)]; });
  // The smallest set of tokens whose share reaches top_p.
  double kept = 0;
  size_t count = 0;
  while (count < order.size() && kept < top_p * total) kept += weight[static_cast<size_t>(order[count++])];
  double draw = random.uniform() * kept;
  for (size_t i = 0; i < count; ++i) {
    draw -= weight[static_cast<size_t>(order[i])];
    if (draw < 0) return order[i];
  }
  return order[count > 0 ? count - 1 : 0];
}

}  // namespace lorikeet::detail
