// The linear layer on rows of bf16. Forward: a task decodes and packs a block of rows of W once, all tokens meet it, the
// adapter's part is added to the sums while they are in the cache, and they are rounded once. Backward: W is packed
// once for all threads, then the same. Sums run in an order that depends on the sizes alone.
#include <algorithm>

#include "core/ops/bf16_rows.h"
#include "core/ops/cpu_twins.h"
#include "core/ops/dropout.h"
#include "core/ops/row_kernels.h"
#include "core/ops/weight_panels.h"

namespace lorikeet {
namespace {

using ops::bf16_row;
using ops::bf16_rows;
using ops::Bf16Rows;
using ops::Packed;
using ops::PackedProduct;
constexpr int64_t kRows = PackedProduct::kRows;
constexpr int64_t kPackRows = 64;             // rows of W: stretches of backward are multiples of it
constexpr int64_t kSharedBytes = 8 << 20;     // packed weight shared by all threads in backward
constexpr int64_t kTokenChunk = 768;          // tokens packed at a time for the adapter's gradients
enum Slot { decoded, packed, small, sums };   // scratch of a thread
enum SharedSlot { low_rank_operand = 2, weight_panels = 3, left_rows = 5 };

uint32_t* words(Context& cx, int thread, int slot, int64_t n) { return static_cast<uint32_t*>(cx.scratch(thread, slot, static_cast<size_t>(n) * 4)); }
float* floats(Context& cx, int thread, int slot, int64_t n) { return static_cast<float*>(cx.scratch(thread, slot, static_cast<size_t>(n) * 4)); }

Tensor dropped(Context& cx, const Tensor& x, double p, uint64_t seed, int64_t first) {
  if (p <= 0) return x;
  const RowKernels& k = row_kernels(cx.level());
  const int64_t n = x.width();
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  cx.pool().for_blocks(x.rows(), kRows, [&](int64_t begin, int64_t end, int thread) {
    float* row = floats(cx, thread, sums, n);
    for (int64_t t = begin; t < end; ++t) {
      k.from_bf16(bf16_row(x, t), row, n);
      ops::drop_row(k, row, row, first + t, n, p, seed);
      k.to_bf16(row, bf16_row(y, t), n);
    }
  });
  return y;
}

/// [tokens, rank] = alpha x [tokens, depth] b^T in bf16, with the columns of b as the operand's rows.
Tensor low_rank(Context& cx, const PackedProduct& product, Bf16Rows x, int64_t tokens, int64_t depth, const GemmOperand& b, int64_t rank, float alpha) {
  const RowKernels& k = row_kernels(cx.level());
  const Packed all{static_cast<uint32_t*>(cx.shared_scratch(low_rank_operand, static_cast<size_t>(product.words(rank, depth)) * 4)), product.steps(depth)};
  product.pack(b, rank, depth, alpha, all);
  Tensor y = Tensor::empty({tokens, rank}, DType::bf16);
  cx.pool().for_blocks(tokens, kRows, [&](int64_t begin, int64_t end, int thread) {
    float* c = floats(cx, thread, sums, kRows * rank);
    product.multiply(x.from(begin), end - begin, depth, all, rank, c, rank, false);
    for (int64_t t = begin; t < end; ++t) k.to_bf16(c + (t - begin) * rank, bf16_row(y, t), rank);
  });
  return y;
}

/// Rows [n, n + count) of W as columns, k = in.
Packed packed_rows(Context& cx, int thread, const PackedProduct& product, const FrozenWeight& w, int64_t n, int64_t count) {
  const int64_t in = w.columns(), steps = product.steps(in);
  if (const uint32_t* kept = w.bf16_panels(PanelColumns::rows)) return Packed{const_cast<uint32_t*>(kept), steps}.from(n);
  const Packed out{words(cx, thread, packed, product.words(count, in)), steps};
  ops::pack_weight(cx, thread, decoded, product, w, n, count, PanelColumns::rows, out);
  return out;
}

/// Sums of a row from column n on: added to the residual stream, kept, or rounded and taken through the gate.
void finish_row(const RowKernels& k, const AdaptedLinearArgs& a, int64_t t, int64_t n, int64_t width, const float* c) {
  const LinearEpilogue& e = a.then;
  if (e.residual) return k.add(e.residual->row<float>(t) + n, c, a.y.row<float>(t) + n, width);
  const bool gelu = e.activation == GateActivation::gelu_tanh;
  if (a.y.dtype() == DType::f32) {
    std::copy_n(c, width, a.y.row<float>(t) + n);
    if (e.gated) (gelu ? k.gelu_mul : k.silu_mul)(e.gate->row<float>(t) + n, c, e.gated->row<float>(t) + n, width);
    return;
  }
  uint16_t* y = bf16_row(a.y, t) + n;
  k.to_bf16(c, y, width);
  if (!e.gated) return;
  (gelu ? k.gelu_mul_bf16 : k.silu_mul_bf16)(bf16_row(*e.gate, t) + n, y, bf16_row(*e.gated, t) + n, width);
}

void forward(Context& cx, const AdaptedLinearArgs& a) {
  const PackedProduct product(cx.unit());
  const RowKernels& kernels = row_kernels(cx.level());
  const int64_t in = a.w.columns(), rank = a.a ? a.a->dim(0) : 0;
  const Bf16Rows x = ops::spread_rows(cx, left_rows, a.x);
  if (a.a) {
    const Tensor masked = dropped(cx, a.x, a.dropout, a.dropout_seed, a.dropout_row);
    a.h->copy_from(low_rank(cx, product, a.dropout > 0 ? bf16_rows(masked) : x, a.x.rows(), in, {a.a->data<float>(), in, 1}, rank, 1));
  }
  if (!a.y.defined()) return;
  const auto tasks = ops::column_tasks(a.w.rows(), product.steps(in), a.x.rows(), cx.threads());
  ops::run_column_tasks(cx, tasks, [&](int64_t n, int64_t width, int64_t begin, int64_t end, int thread) {
    const Packed w = packed_rows(cx, thread, product, a.w, n, width);
    Packed b{nullptr, product.steps(rank)};
    if (a.a) {
      b.data = words(cx, thread, small, product.words(width, rank));
      product.pack({a.b->data<float>() + n * rank, rank, 1}, width, rank, static_cast<float>(a.scale), b);
    }
    const bool direct = a.y.dtype() == DType::f32 && !a.then.residual && !a.then.gated && !ops::sums_collide(a.y.row_stride());
    float* scratch = direct ? nullptr : floats(cx, thread, sums, kRows * width);
    for (int64_t t = begin; t < end; t += kRows) {
      const int64_t rows = std::min(kRows, end - t), stride = direct ? a.y.row_stride() : width;
      float* c = direct ? a.y.row<float>(t) + n : scratch;
      product.multiply(x.from(t), rows, in, w, width, c, stride, false);
      if (a.a) product.multiply(bf16_rows(*a.h).from(t), rows, rank, b, width, c, stride, true);
      for (int64_t r = 0; r < rows; ++r) {
        if (a.bias) kernels.axpy(a.bias->data<float>() + n, 1, c + r * stride, width);
        if (!direct) finish_row(kernels, a, t + r, n, width, c + r * stride);
      }
    }
  });
}

/// Rows [row, row + count) of W with its columns side by side: columns of the operand are columns of W, k = the rows.
Packed packed_weight(Context& cx, const PackedProduct& product, const FrozenWeight& w, int64_t row, int64_t count) {
  const int64_t in = w.columns();
  if (const uint32_t* kept = w.bf16_panels(PanelColumns::columns)) return Packed{const_cast<uint32_t*>(kept), product.steps(w.rows())}.from(0, row / 2);
  const Packed out{static_cast<uint32_t*>(cx.shared_scratch(weight_panels, static_cast<size_t>(product.words(in, count)) * 4)), product.steps(count)};
  ops::pack_weight(cx, decoded, product, w, row, count, PanelColumns::columns, out);
  return out;
}

/// One block of sums: rounded, kept or added.
void store_sums(const RowKernels& k, Tensor& dx, int64_t t, int64_t rows, int64_t n, int64_t width, const float* c, bool add) {
  for (int64_t r = t; r < t + rows; ++r, c += width) {
    if (dx.dtype() == DType::bf16) k.to_bf16(c, bf16_row(dx, r) + n, width);
    else if (add) k.add(c, dx.row<float>(r) + n, dx.row<float>(r) + n, width);
    else std::copy_n(c, width, dx.row<float>(r) + n);
  }
}

/// sums [T, in] (+)= dy W (+ u A): in f32 where they are wanted so or come in several stretches of W, else rounded.
void base_dx(Context& cx, const PackedProduct& product, const AdaptedLinearBackwardArgs& a, Bf16Rows dy, const Tensor* u) {
  const RowKernels& kernels = row_kernels(cx.level());
  const int64_t in = a.w.columns(), out = a.w.rows(), rank = u ? u->width() : 0;
  const int64_t stretch = std::clamp<int64_t>(kSharedBytes / 2 / in / kPackRows * kPackRows, kPackRows, (out + kPackRows - 1) / kPackRows * kPackRows);
  const bool rounded = a.dx->dtype() == DType::bf16, in_parts = stretch < out;
  Tensor sum = !rounded ? *a.dx : in_parts ? Tensor::empty(a.dx->shape(), DType::f32) : Tensor();
  for (int64_t row = 0; row < out; row += stretch) {
    const int64_t count = std::min(stretch, out - row);
    const Packed w = packed_weight(cx, product, a.w, row, count);
    const auto tasks = ops::column_tasks(in, w.steps, a.x.rows(), cx.threads());
    ops::run_column_tasks(cx, tasks, [&](int64_t n, int64_t width, int64_t begin, int64_t end, int thread) {
      Packed adapter{nullptr, product.steps(rank)};
      const bool last = row + count == out;
      if (u && last) {
        adapter.data = words(cx, thread, small, product.words(width, rank));
        product.pack({a.a->data<float>() + n, 1, in}, width, rank, 1, adapter);
      }
      const bool add = row > 0 || a.accumulate_dx, direct = sum.defined() && !ops::sums_collide(sum.row_stride());
      float* scratch = direct ? nullptr : floats(cx, thread, sums, kRows * width);
      for (int64_t t = begin; t < end; t += kRows) {
        const int64_t rows = std::min(kRows, end - t), stride = scratch ? width : sum.row_stride();
        float* c = scratch ? scratch : sum.row<float>(t) + n;
        product.multiply(dy.from(t, row), rows, count, w.from(n), width, c, stride, direct && add);
        if (adapter.data) product.multiply(bf16_rows(*u).from(t), rows, rank, adapter, width, c, stride, true);
        if (scratch) store_sums(kernels, sum.defined() ? sum : *a.dx, t, rows, n, width, c, add);
      }
    });
  }
  if (rounded && in_parts) ops::round_rows(cx, sum, *a.dx);
}

/// dx += mask(u A), for adapters with dropout.
void masked_dx(Context& cx, const PackedProduct& product, const AdaptedLinearBackwardArgs& a, const Tensor& u) {
  const RowKernels& k = row_kernels(cx.level());
  const int64_t in = a.w.columns(), rank = u.width();
  const Packed adapter{static_cast<uint32_t*>(cx.shared_scratch(low_rank_operand, static_cast<size_t>(product.words(in, rank)) * 4)), product.steps(rank)};
  product.pack({a.a->data<float>(), 1, in}, in, rank, 1, adapter);
  cx.pool().for_blocks(u.rows(), kRows, [&](int64_t begin, int64_t end, int thread) {
    float* c = floats(cx, thread, sums, (kRows + 1) * in);
    float* wide = c + kRows * in;
    product.multiply(bf16_rows(u).from(begin), end - begin, rank, adapter, in, c, in, false);
    for (int64_t t = begin; t < end; ++t) {
      float* row = c + (t - begin) * in;
      ops::drop_row(k, row, row, a.dropout_row + t, in, a.dropout, a.dropout_seed);
      if (a.dx->dtype() == DType::f32) {
        k.axpy(row, 1, a.dx->row<float>(t), in);
        continue;
      }
      k.from_bf16(bf16_row(*a.dx, t), wide, in);
      k.axpy(wide, 1, row, in);
      k.to_bf16(row, bf16_row(*a.dx, t), in);
    }
  });
}

/// [rank, T] of [T, rank], rows filled up with zeros to whole steps.
Tensor turned(Context& cx, const Tensor& x) {
  const int64_t tokens = x.rows(), rank = x.width();
  Tensor y = Tensor::zeros({rank, (tokens + 31) / 32 * 32}, DType::bf16);
  cx.pool().for_blocks(tokens, 4 * kRows, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = 0; r < rank; ++r)
      for (int64_t t = begin; t < end; ++t) bf16_row(y, r)[t] = bf16_row(x, t)[r];
  });
  return y;
}

/// add(first column, columns, first row of left, rows, sums [rows, columns]) of left^T right over all tokens: left
/// [rank, T] as turned() makes it, right [T, columns].
template <class F>
void over_tokens(Context& cx, const PackedProduct& product, const Tensor& left, const Tensor& right, const F& add) {
  const int64_t rank = left.rows(), tokens = right.rows(), chunk = std::min(tokens, kTokenChunk);
  ops::ColumnTasks tasks = ops::column_tasks(right.width(), product.steps(chunk), 1, cx.threads());
  ops::run_column_tasks(cx, tasks, [&](int64_t n, int64_t width, int64_t, int64_t, int thread) {
    const Packed operand{words(cx, thread, packed, product.words(width, chunk)), product.steps(chunk)};
    float* c = floats(cx, thread, sums, rank * width);
    for (int64_t t = 0; t < tokens; t += chunk) {
      const int64_t count = std::min(chunk, tokens - t);
      product.pack(Bf16Operand{bf16_row(right, t) + n, 1, right.row_stride()}, width, count, operand);
      for (int64_t r = 0; r < rank; r += kRows)
        product.multiply(bf16_rows(left).from(r, t), std::min(kRows, rank - r), count, operand, width, c + r * width, width, t > 0);
    }
    add(n, width, c);
  });
}

void adapter_gradients(Context& cx, const PackedProduct& product, const AdaptedLinearBackwardArgs& a, const Tensor& dy, const Tensor& u) {
  const RowKernels& k = row_kernels(cx.level());
  const int64_t rank = u.width();
  const Tensor masked = dropped(cx, a.x, a.dropout, a.dropout_seed, a.dropout_row);
  over_tokens(cx, product, turned(cx, u), masked, [&](int64_t n, int64_t width, const float* c) {
    for (int64_t r = 0; r < rank; ++r) k.axpy(c + r * width, 1, a.da->row<float>(r) + n, width);
  });
  const auto scale = static_cast<float>(a.scale);
  over_tokens(cx, product, turned(cx, *a.h), dy, [&](int64_t n, int64_t width, const float* c) {
    for (int64_t i = 0; i < width; ++i)
      for (int64_t r = 0; r < rank; ++r) a.db->row<float>(n + i)[r] += scale * c[r * width + i];
  });
}

// Units without bf16 products: the f32 op on the same numbers, which rounds every operand to bf16.
void forward_in_f32(Context& cx, const AdaptedLinearArgs& a) {
  const Tensor x = ops::as_f32(cx, a.x);
  Tensor y = a.y.dtype() == DType::f32 || !a.y.defined() ? a.y : Tensor::empty(a.y.shape(), DType::f32), h;
  if (a.h) h = Tensor::empty(a.h->shape(), DType::f32);
  adapted_linear_cpu(cx, {x, a.w, a.bias, y, a.a, a.b, a.scale, a.h ? &h : nullptr, a.dropout, a.dropout_seed, {}, a.dropout_row});
  if (a.h) ops::round_rows(cx, h, *a.h);
  if (!a.y.defined()) return;
  if (a.y.dtype() == DType::bf16) ops::round_rows(cx, y, a.y);
  linear_epilogue_cpu(cx, a);
}

void backward_in_f32(Context& cx, const AdaptedLinearBackwardArgs& a) {
  const Tensor dy = ops::as_f32(cx, a.dy), x = ops::as_f32(cx, a.x);
  Tensor h, dx;
  if (a.h) h = ops::as_f32(cx, *a.h);
  if (a.dx) dx = a.dx->dtype() == DType::f32 ? *a.dx : Tensor::empty(a.dx->shape(), DType::f32);
  adapted_linear_backward_cpu(cx, {dy, x, a.w, a.a, a.b, a.h ? &h : nullptr, a.scale, a.dropout, a.dropout_seed, a.dx ? &dx : nullptr, a.accumulate_dx, a.da, a.db, a.dropout_row});
  if (a.dx && a.dx->dtype() == DType::bf16) ops::round_rows(cx, dx, *a.dx);
}

}  // namespace

void adapted_linear_bf16(Context& cx, const AdaptedLinearArgs& a) {
  if (!PackedProduct::offered(cx.unit())) return forward_in_f32(cx, a);
  forward(cx, a);
}

void adapted_linear_backward_bf16(Context& cx, const AdaptedLinearBackwardArgs& a) {
  if (!PackedProduct::offered(cx.unit())) return backward_in_f32(cx, a);
  const PackedProduct product(cx.unit());
  const Tensor dy = ops::as_bf16(cx, a.dy);
  const Bf16Rows left = ops::spread_rows(cx, left_rows, dy);
  Tensor u;
  if (a.a) {
    const int64_t rank = a.a->dim(0);
    u = low_rank(cx, product, left, dy.rows(), dy.width(), {a.b->data<float>(), 1, rank}, rank, static_cast<float>(a.scale));
  }
  if (a.dx) base_dx(cx, product, a, left, a.a && a.dropout <= 0 ? &u : nullptr);
  if (a.dx && a.a && a.dropout > 0) masked_dx(cx, product, a, u);
  if (a.a) adapter_gradients(cx, product, a, dy, u);
}

}  // namespace lorikeet
