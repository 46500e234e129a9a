// Work is split into blocks of fixed size, each output element belongs to one block, and every sum runs in one order:
// the result is the same for any number of threads.
#include <cstring>

#include "core/ops/cpu_twins.h"
#include "core/ops/dropout.h"
#include "core/ops/few_rows.h"
#include "core/ops/gemm.h"
#include "core/ops/panels.h"
#include "core/ops/row_kernels.h"

namespace lorikeet {
namespace {

using ops::decoded_rows;
constexpr int64_t kTokens = 64;        // rows of x a task where tokens are split
constexpr int64_t kColumns = 192;      // columns a task where columns are split
constexpr int64_t kTokenBlock = 256;   // rows of dx a task
constexpr int64_t kSharedBytes = 8 << 20;  // decoded weight shared by all threads in the backward pass

template <class T>
Tensor dropped(Context& cx, const Tensor& x, double p, uint64_t seed, int64_t first) {
  const RowKernels& k = row_kernels(cx.level());
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  cx.pool().for_blocks(x.rows(), kTokens, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) ops::drop_row(k, x.row<T>(t), y.row<T>(t), first + t, x.width(), p, seed);
  });
  return y;
}

template <class T>
void base_panel(Context& cx, const AdaptedLinearArgs& a, int64_t row, int64_t count, int thread) {
  const int64_t in = a.w.columns();
  const T* panel = decoded_rows<T>(cx, thread, a.w, row, count);
  gemm<T>(cx.unit(), false, true, a.x.rows(), count, in, 1, a.x.data<T>(), a.x.row_stride(), panel, in, 0, a.y.data<T>() + row, a.y.row_stride());
}

template <class T>
void forward(Context& cx, const AdaptedLinearArgs& a) {
  const int64_t tokens = a.x.rows(), rank = a.a ? a.a->dim(0) : 0;
  if (a.a) {
    const Tensor masked = a.dropout > 0 ? dropped<T>(cx, a.x, a.dropout, a.dropout_seed, a.dropout_row) : a.x;
    cx.pool().for_blocks(tokens, kTokens, [&](int64_t begin, int64_t end, int) {
      gemm<T>(cx.unit(), false, true, end - begin, rank, a.x.width(), 1, masked.row<T>(begin), masked.row_stride(), a.a->data<T>(), a.x.width(), 0,
              a.h->row<T>(begin), a.h->row_stride());
    });
  }
  if (!a.y.defined()) return;
  cx.pool().for_blocks(a.w.rows(), ops::panel_rows(a.w.columns()), [&](int64_t begin, int64_t end, int thread) {
    base_panel<T>(cx, a, begin, end - begin, thread);
    if (a.a)
      gemm<T>(cx.unit(), false, true, tokens, end - begin, rank, static_cast<T>(a.scale), a.h->data<T>(), a.h->row_stride(), a.b->data<T>() + begin * rank, rank, 1,
              a.y.data<T>() + begin, a.y.row_stride());
    if (a.bias)
      for (int64_t t = 0; t < tokens; ++t)
        for (int64_t r = begin; r < end; ++r) a.y.row<T>(t)[r] += a.bias->data<T>()[r];
  });
}

// dx (+)= dy W: a stretch of rows of W is decoded by all threads together, then each owns blocks of dx.
template <class T>
void base_backward(Context& cx, const AdaptedLinearBackwardArgs& a) {
  const int64_t in = a.w.columns(), out = a.w.rows(), tokens = a.x.rows();
  const int64_t stretch = std::clamp<int64_t>(kSharedBytes / static_cast<int64_t>(sizeof(T)) / in / 64 * 64, 64, (out + 63) / 64 * 64);
  const float* plain = std::is_same_v<T, float> ? a.w.plain_f32() : nullptr;
  for (int64_t row = 0; row < out; row += stretch) {
    const int64_t count = std::min(stretch, out - row);
    const T* decoded = reinterpret_cast<const T*>(plain ? plain + row * in : nullptr);
    if (!plain) {
      auto* shared = static_cast<T*>(cx.shared_scratch(2, static_cast<size_t>(stretch * in) * sizeof(T)));
      cx.pool().for_blocks(count, 32, [&](int64_t begin, int64_t end, int thread) {
        if constexpr (std::is_same_v<T, float>) a.w.decode_rows(row + begin, end - begin, shared + begin * in, in);
        else std::memcpy(shared + begin * in, decoded_rows<T>(cx, thread, a.w, row + begin, end - begin), static_cast<size_t>((end - begin) * in) * sizeof(T));
      });
      decoded = shared;
    }
    const int64_t token_blocks = (tokens + kTokenBlock - 1) / kTokenBlock, column_blocks = (in + kColumns - 1) / kColumns;
    const T beta = row > 0 || a.accumulate_dx ? T(1) : T(0);
    cx.pool().run(token_blocks * column_blocks, [&](int64_t task, int) {
      const int64_t t = task / column_blocks * kTokenBlock, c = task % column_blocks * kColumns;
      gemm<T>(cx.unit(), false, false, std::min(kTokenBlock, tokens - t), std::min(kColumns, in - c), count, 1, a.dy.row<T>(t) + row, a.dy.row_stride(),
              decoded + c, in, beta, a.dx->row<T>(t) + c, a.dx->row_stride());
    });
  }
}

// dx += mask(u A) for one block of tokens.
template <class T>
void adapter_dx(Context& cx, const AdaptedLinearBackwardArgs& a, const Tensor& u, int64_t begin, int64_t end, int thread) {
  const int64_t in = a.w.columns(), rank = u.width();
  if (a.dropout <= 0) {
    gemm<T>(cx.unit(), false, false, end - begin, in, rank, 1, u.row<T>(begin), rank, a.a->data<T>(), in, 1, a.dx->row<T>(begin), a.dx->row_stride());
    return;
  }
  auto* part = static_cast<T*>(cx.scratch(thread, 1, static_cast<size_t>((end - begin) * in) * sizeof(T)));
  gemm<T>(cx.unit(), false, false, end - begin, in, rank, 1, u.row<T>(begin), rank, a.a->data<T>(), in, 0, part, in);
  for (int64_t t = begin; t < end; ++t) {
    T* row = part + (t - begin) * in;
    ops::drop_row(row_kernels(cx.level()), row, row, a.dropout_row + t, in, a.dropout, a.dropout_seed);
    for (int64_t i = 0; i < in; ++i) a.dx->row<T>(t)[i] += row[i];
  }
}

template <class T>
void adapter_backward(Context& cx, const AdaptedLinearBackwardArgs& a) {
  const int64_t tokens = a.x.rows(), in = a.w.columns(), out = a.w.rows(), rank = a.a->dim(0);
  Tensor u = Tensor::empty({tokens, rank}, a.x.dtype());  // scale * dy B, used twice
  cx.pool().for_blocks(tokens, kTokens, [&](int64_t begin, int64_t end, int thread) {
    gemm<T>(cx.unit(), false, false, end - begin, rank, out, static_cast<T>(a.scale), a.dy.row<T>(begin), a.dy.row_stride(), a.b->data<T>(), rank, 0, u.row<T>(begin), rank);
    if (a.dx) adapter_dx<T>(cx, a, u, begin, end, thread);
  });
  const Tensor masked = a.dropout > 0 ? dropped<T>(cx, a.x, a.dropout, a.dropout_seed, a.dropout_row) : a.x;
  cx.pool().for_blocks(in, kColumns, [&](int64_t begin, int64_t end, int) {
    gemm<T>(cx.unit(), true, false, rank, end - begin, tokens, 1, u.data<T>(), rank, masked.data<T>() + begin, masked.row_stride(), 1, a.da->data<T>() + begin, a.da->row_stride());
  });
  cx.pool().for_blocks(out, kColumns, [&](int64_t begin, int64_t end, int thread) {  // transposed: few rows of h^T against wide rows of dy
    const int64_t width = end - begin;
    auto* part = static_cast<T*>(cx.scratch(thread, 1, static_cast<size_t>(rank * width) * sizeof(T)));
    gemm<T>(cx.unit(), true, false, rank, width, tokens, static_cast<T>(a.scale), a.h->data<T>(), a.h->row_stride(), a.dy.data<T>() + begin, a.dy.row_stride(), 0, part, width);
    for (int64_t c = 0; c < width; ++c)
      for (int64_t r = 0; r < rank; ++r) a.db->row<T>(begin + c)[r] += part[r * width + c];
  });
}

}  // namespace

void linear_epilogue_cpu(Context& cx, const AdaptedLinearArgs& a) {
  if (a.then.residual) kElementwiseCpu.add(cx, *a.then.residual, a.y, a.y);
  if (a.then.gated) swiglu_cpu(cx, {*a.then.gate, a.y, *a.then.gated, a.then.activation});
}

void adapted_linear_cpu(Context& cx, const AdaptedLinearArgs& a) {
  if (a.x.dtype() == DType::bf16) return adapted_linear_bf16(cx, a);
  if (a.x.dtype() == DType::f32 && a.x.rows() <= ops::kMostFewRows) ops::adapted_linear_few_rows(cx, a);
  else ops::by_type(a.x.dtype(), [&](auto t) { forward<decltype(t)>(cx, a); });
  linear_epilogue_cpu(cx, a);
}

void adapted_linear_backward_cpu(Context& cx, const AdaptedLinearBackwardArgs& a) {
  if (a.x.dtype() == DType::bf16) return adapted_linear_backward_bf16(cx, a);
  ops::by_type(a.x.dtype(), [&](auto t) {
    using T = decltype(t);
    if (a.dx) base_backward<T>(cx, a);
    if (a.a) adapter_backward<T>(cx, a);
  });
}

}  // namespace lorikeet
