// The list of weight formats. To add one: write quant/<family>.cpp and its header, add one line below.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/quant/codebook_formats.h"
#include "core/quant/integer_formats.h"
#include "core/quant/plain_formats.h"
#include "core/quant/weight_format.h"

namespace lorikeet {

const Registry<const WeightFormat*>& weight_formats() {
  static const Registry<const WeightFormat*> all("weight format", {
      {"nf4", nf4_format()},
      {"nf3", nf3_format()},
      {"nf2", nf2_format()},
      {"fp4", fp4_format()},
      {"int8", int8_format()},
      {"int4", int4_format()},
      {"int3", int3_format()},
      {"int2", int2_format()},
      {"bf16", bf16_format()},
      {"f16", f16_format()},
      {"f32", f32_format()},
  });
  return all;
}

double relative_error(Context& cx, const FrozenWeight& w, const float* original) {
  constexpr int64_t kElementsPerTask = 1 << 15;
  const int64_t columns = w.columns();
  if (w.rows() * columns == 0) return 0;
  const int64_t rows_per_task = std::max<int64_t>(1, kElementsPerTask / columns);
  const int64_t tasks = (w.rows() + rows_per_task - 1) / rows_per_task;
  std::vector<double> difference(static_cast<size_t>(tasks)), norm(static_cast<size_t>(tasks));
  cx.pool().run(tasks, [&](int64_t task, int thread) {
    const int64_t row = task * rows_per_task, rows = std::min(rows_per_task, w.rows() - row);
    auto* decoded = static_cast<float*>(cx.scratch(thread, 0, static_cast<size_t>(rows_per_task * columns) * sizeof(float)));
    w.decode_rows(row, rows, decoded, columns);
    double d = 0, n = 0;
    for (int64_t i = 0; i < rows * columns; ++i) {
      const double x = original[row * columns + i], e = x - static_cast<double>(decoded[i]);
      d += e * e;
      n += x * x;
    }
    difference[static_cast<size_t>(task)] = d;
    norm[static_cast<size_t>(task)] = n;
  });
  double d = 0, n = 0;  // summed in task order: the same for any thread count
  for (size_t t = 0; t < difference.size(); ++t) {
    d += difference[t];
    n += norm[t];
  }
  return n > 0 ? std::sqrt(d / n) : (d > 0 ? HUGE_VAL : 0.0);
}

}  // namespace lorikeet
