#include <cstring>

#include "core/ops/cpu_twins.h"
#include "core/ops/row_kernels.h"

namespace lorikeet {
namespace {

template <class T>
void rotate_plain(T* a, T* b, const T* cos, const T* sin, T sign, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const T x = a[i], y = b[i], s = sign * sin[i];
    a[i] = x * cos[i] - y * s;
    b[i] = y * cos[i] + x * s;
  }
}

}  // namespace

void rope_cpu(Context& cx, const RopeArgs& a) {
  const RowKernels& k = row_kernels(cx.level());
  const int64_t half = a.head_dim / 2;
  const int32_t* positions = a.positions.data<int32_t>();
  const int64_t width = a.x.width();
  cx.pool().for_blocks(a.x.rows(), 16, [&](int64_t begin, int64_t end, int thread) {
    auto* copy = a.rounded ? static_cast<float*>(cx.scratch(thread, 0, static_cast<size_t>(width) * sizeof(float))) : nullptr;
    for (int64_t t = begin; t < end; ++t) {
      if (copy) std::memcpy(copy, a.x.row<float>(t), static_cast<size_t>(width) * sizeof(float));
      for (int64_t h = 0; h < width; h += a.head_dim) {
        if (a.x.dtype() == DType::f32) {
          const float* table = a.cos_sin.row<float>(positions[t]);
          float* x = (copy ? copy : a.x.row<float>(t)) + h;
          k.rotate(x, x + half, table, table + half, a.inverse ? -1.0f : 1.0f, half);
        } else {
          const double* table = a.cos_sin.row<double>(positions[t]);
          double* x = a.x.row<double>(t) + h;
          rotate_plain<double>(x, x + half, table, table + half, a.inverse ? -1 : 1, half);
        }
      }
      if (a.rounded) k.to_bf16(copy, a.rounded->bits16() + t * a.rounded->row_stride(), width);
    }
  });
}

}  // namespace lorikeet
