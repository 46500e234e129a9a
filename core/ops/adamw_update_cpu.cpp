// The constants of a step are computed in f64 and rounded once, as torch does with its scalars.
#include <cmath>

#include "core/ops/adamw_update.h"
#include "core/ops/row_kernels.h"
#include "core/ops/tiles.h"

namespace lorikeet {
namespace {

template <class T>
void run(Context& cx, const AdamwUpdateArgs& a) {
  const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step));
  const double correction2 = 1 - std::pow(a.beta2, static_cast<double>(a.step));
  const AdamwRow<T> row = {
      .grad_scale = static_cast<T>(a.grad_scale),
      .decay = static_cast<T>(1 - a.learning_rate * a.weight_decay),
      .one_minus_beta1 = static_cast<T>(1 - a.beta1),
      .beta2 = static_cast<T>(a.beta2),
      .one_minus_beta2 = static_cast<T>(1 - a.beta2),
      .root_correction = static_cast<T>(std::sqrt(correction2)),
      .eps = static_cast<T>(a.eps),
      .step_size = static_cast<T>(a.learning_rate / correction1),
  };
  const RowKernels<T>& kernels = row_kernels<T>(cx.level());
  const int64_t width = a.p.width();
  constexpr int64_t kPiece = 16384;
  for_tiles(cx, a.p.rows(), width, row_block(width), kPiece, [&](const Tile& tile, int) {
    for (int64_t r = tile.row; r < tile.row + tile.rows; ++r)
      kernels.adamw(row, a.p.row<T>(r) + tile.column, a.g.row<T>(r) + tile.column, a.m.row<T>(r) + tile.column,
                    a.v.row<T>(r) + tile.column, tile.columns);
  });
}

}  // namespace

void adamw_update_cpu(Context& cx, const AdamwUpdateArgs& a) {
  a.p.dtype() == DType::f64 ? run<double>(cx, a) : run<float>(cx, a);
}

}  // namespace lorikeet
