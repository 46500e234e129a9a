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
  // From the likeliest down, the lowest id among equals. A heap gives them one by one: few of the many are looked at.
  const auto below = [&](int32_t a, int32_t b) {
    const double x = weight[static_cast<size_t>(a)], y = weight[static_cast<size_t>(b)];
    return x != y ? x < y : a > b;
  };
  std::vector<int32_t> heap(static_cast<size_t>(size)), order;
  std::iota(heap.begin(), heap.end(), 0);
  std::make_heap(heap.begin(), heap.end(), below);
  const auto next = [&] {
    std::pop_heap(heap.begin(), heap.end(), below);
    order.push_back(heap.back());
    heap.pop_back();
    return weight[static_cast<size_t>(order.back())];
  };
  // The smallest set of tokens whose share reaches top_p; all of them need not be listed for top_p 1.
  double kept = top_p >= 1 ? total : 0;
  if (top_p < 1)
    while (!heap.empty() && kept < top_p * total) kept += next();
  double draw = random.uniform() * kept;
  for (size_t i = 0; i < order.size() || (top_p >= 1 && !heap.empty()); ++i) {
    draw -= i < order.size() ? weight[static_cast<size_t>(order[i])] : next();
    if (draw < 0) return order[i];
  }
  return order.empty() ? static_cast<int32_t>(best) : order.back();
}

}  // namespace lorikeet::detail
