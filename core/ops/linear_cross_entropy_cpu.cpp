// One chunk of rows at a time: logits panel by panel, logsumexp and loss, then the gradient in place of the logits and
// its product with the head. The head is decoded twice a chunk; the sum over the vocabulary runs in kParts fixed parts.
#include <cmath>

#include "core/ops/cpu_twins.h"
#include "core/ops/gemm.h"
#include "core/ops/head_rows.h"
#include "core/ops/row_kernels.h"

namespace lorikeet {
namespace {

constexpr int64_t kChunkBytes = 64 << 20;  // logits of a chunk in f32
constexpr int64_t kMostRows = 512, kLeastRows = 16;
constexpr int64_t kParts = 16;

// Turns logits into softmax in place; returns logsumexp.
double softmax_row(const RowKernels& k, float* z, int64_t n) {
  constexpr int64_t kBlock = 1024;  // added up in f32, blocks in f64: the sum scales every weight of the row
  const float top = k.max(z, n);
  double sum = 0;
  for (int64_t i = 0; i < n; i += kBlock) sum += static_cast<double>(k.exp_sum(z + i, 1, top, std::min(kBlock, n - i)));
  const auto inverse = static_cast<float>(1 / sum);
  for (int64_t i = 0; i < n; ++i) z[i] *= inverse;
  return static_cast<double>(top) + std::log(sum);
}

double softmax_row(const RowKernels&, double* z, int64_t n) {
  double top = z[0], sum = 0;
  for (int64_t i = 1; i < n; ++i) top = std::max(top, z[i]);
  for (int64_t i = 0; i < n; ++i) sum += z[i] = std::exp(z[i] - top);
  for (int64_t i = 0; i < n; ++i) z[i] /= sum;
  return top + std::log(sum);
}

template <class T>
struct Chunk {
  Context& cx;
  const LinearCrossEntropyArgs& a;
  const ops::HeadRows& head;
  int64_t first, rows;
  T* logits;  // [rows, V]
  double* losses;

  void make_logits() const {
    const int64_t width = a.head.columns(), vocabulary = a.head.rows();
    cx.pool().for_blocks(vocabulary, ops::panel_rows(width), [&](int64_t begin, int64_t end, int thread) {
      const T* panel = head.panel<T>(cx, thread, begin, end - begin);
      gemm<T>(cx.unit(), false, true, rows, end - begin, width, 1, a.x.row<T>(first), a.x.row_stride(), panel, width, 0, logits + begin, vocabulary);
    });
  }
  void make_losses() const {
    const int64_t vocabulary = a.head.rows();
    const RowKernels& k = row_kernels(cx.level());
    cx.pool().run(rows, [&](int64_t r, int) {
      T* z = logits + r * vocabulary;
      const int32_t target = a.targets.data<int32_t>()[first + r];
      const auto at_target = static_cast<double>(z[target]);
      losses[first + r] = softmax_row(k, z, vocabulary) - at_target;
      if (!a.dx) return;
      z[target] = 0;  // added at the end from the loss: softmax - 1 has few digits where the target is near certain
      const T scale = static_cast<T>(a.gradient_scale);
      for (int64_t i = 0; i < vocabulary; ++i) z[i] *= scale;
    });
  }
  void make_dx() const {
    const int64_t width = a.head.columns(), vocabulary = a.head.rows();
    auto* parts = static_cast<T*>(cx.shared_scratch(3, static_cast<size_t>(kParts * rows * width) * sizeof(T)));
    const int64_t panel = ops::panel_rows(width), part_rows = ((vocabulary + kParts - 1) / kParts + panel - 1) / panel * panel;
    cx.pool().run(kParts, [&](int64_t part, int thread) {
      T* sum = parts + part * rows * width;
      const int64_t end = std::min(vocabulary, (part + 1) * part_rows);
      bool empty = true;
      for (int64_t row = part * part_rows; row < end; row += panel, empty = false) {
        const int64_t count = std::min(panel, end - row);
        const T* w = head.panel<T>(cx, thread, row, count);
        gemm<T>(cx.unit(), false, false, rows, width, count, 1, logits + row, vocabulary, w, width, empty ? T(0) : T(1), sum, width);
      }
      if (empty) std::fill(sum, sum + rows * width, T(0));
    });
    cx.pool().run(rows, [&](int64_t r, int thread) {
      T* dx = a.dx->row<T>(first + r);
      const T* target = head.panel<T>(cx, thread, a.targets.data<int32_t>()[first + r], 1);
      const double own = a.gradient_scale * std::expm1(-losses[first + r]);
      for (int64_t i = 0; i < width; ++i) {
        double sum = own * static_cast<double>(target[i]);
        for (int64_t part = 0; part < kParts; ++part) sum += static_cast<double>(parts[(part * rows + r) * width + i]);
        dx[i] = static_cast<T>(sum);
      }
    });
  }
};

template <class T>
void run(Context& cx, const LinearCrossEntropyArgs& a) {
  const int64_t vocabulary = a.head.rows(), total = a.x.rows();
  const int64_t chunk_rows = std::clamp(kChunkBytes / (4 * vocabulary), kLeastRows, kMostRows);
  const ops::HeadRows head(a.head, cx.unit().compute);
  const Tensor losses = Tensor::empty({std::max<int64_t>(1, total)}, DType::f64);
  Tensor logits = Tensor::empty({std::min(total, chunk_rows), vocabulary}, a.x.dtype());
  auto* per_row = const_cast<double*>(losses.data<double>());
  for (int64_t first = 0; first < total; first += chunk_rows) {
    const Chunk<T> chunk{cx, a, head, first, std::min(chunk_rows, total - first), logits.data<T>(), per_row};
    chunk.make_logits();
    chunk.make_losses();
    if (a.dx) chunk.make_dx();
  }
  double sum = 0;
  for (int64_t r = 0; r < total; ++r) {
    sum += per_row[r];
    if (a.losses) a.losses->data<T>()[r] = static_cast<T>(per_row[r]);
  }
  if (a.loss_sum) *a.loss_sum = sum;
  if (a.loss_total) *a.loss_total->data<double>() += sum;
}

}  // namespace

void linear_cross_entropy_cpu(Context& cx, const LinearCrossEntropyArgs& a) {
  if (a.x.dtype() == DType::bf16) return linear_cross_entropy_bf16(cx, a);
  ops::by_type(a.x.dtype(), [&](auto t) { run<decltype(t)>(cx, a); });
}

}  // namespace lorikeet
