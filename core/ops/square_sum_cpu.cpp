#include "core/ops/cpu_twins.h"

namespace lorikeet {
namespace {

template <class T>
double sum_of_squares(const Tensor& t) {
  constexpr int64_t kLanes = 8;  // sums side by side, so that an addition need not wait for the one before
  double sums[kLanes] = {};
  const T* values = t.data<T>();
  const int64_t whole = t.size() / kLanes * kLanes;
  const auto add = [&](int64_t i, int64_t lane) { sums[lane] += static_cast<double>(values[i]) * static_cast<double>(values[i]); };
  for (int64_t i = 0; i < whole; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
  for (int64_t i = whole; i < t.size(); ++i) add(i, i - whole);
  double sum = 0;
  for (const double s : sums) sum += s;
  return sum;
}

}  // namespace

void square_sum_cpu(Context& cx, const SquareSumArgs& a) {
  std::vector<double> sums(a.tensors.size());
  cx.pool().run(static_cast<int64_t>(sums.size()), [&](int64_t i, int) {
    const Tensor& t = *a.tensors[static_cast<size_t>(i)];
    sums[static_cast<size_t>(i)] = t.dtype() == DType::f64 ? sum_of_squares<double>(t) : sum_of_squares<float>(t);
  });
  double sum = 0;
  for (const double s : sums) sum += s;
  if (a.sum) *a.sum = sum;
  if (a.total) a.total->data<double>()[0] = sum;
}

}  // namespace lorikeet
