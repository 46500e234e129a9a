// Output head and loss on rows of bf16, in one walk over the vocabulary: it is attention with the head's rows as keys
// and values. A stretch of the head is packed both ways once for all threads; each task owns a block of rows, makes their
// logits panel by panel, keeps a running maximum and sum (Milakov & Gimelshein 2018, arXiv:1805.02867) and adds
// exp(logit - maximum) times the head's rows to its gradient, rescaled when the maximum rises. 4 N C V operations,
// never more logits than a panel. The target's own term is added at the end in f32: there a rounded softmax would
// cancel.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/ops/bf16_rows.h"
#include "core/ops/cpu_twins.h"
#include "core/ops/head_rows.h"
#include "core/ops/row_kernels.h"

namespace lorikeet {
namespace {

using ops::bf16_row;
using ops::Packed;
using ops::PackedProduct;
constexpr int64_t kStretchBytes = 8 << 20;  // packed head shared by all threads, both ways
constexpr int64_t kPanel = 256;             // logits of a row at a time
constexpr int64_t kPackRows = 64;
enum Slot { logits = 4, weights = 6 };  // of a thread; head.panel() has 0 and 1
constexpr int kColumnsSlot = 3, kAlongSlot = 4, kRowsSlot = 5;  // shared scratch

/// What the walk keeps of a row.
struct Running {
  float top = -std::numeric_limits<float>::infinity();
  float target = 0;  // its logit
  double sum = 0;    // of exp(logit - top)
  double others = 0; // of those as rounded for the gradient, without the target's
};

struct Walk {
  Context& cx;
  const LinearCrossEntropyArgs& a;
  const ops::HeadRows head{a.head, ComputeType::bf16};
  const PackedProduct product{cx.unit()};
  const RowKernels& kernels = row_kernels(cx.level());
  const int64_t width = a.head.columns(), total = a.x.rows();
  const ops::Bf16Rows x = ops::spread_rows(cx, kRowsSlot, a.x);
  std::vector<Running> rows = std::vector<Running>(static_cast<size_t>(a.x.rows()));
  Packed columns{}, along{};  // the stretch at hand: rows of the head as columns, and along k

  void pack_stretch(int64_t first, int64_t count) {
    columns = {static_cast<uint32_t*>(cx.shared_scratch(kColumnsSlot, static_cast<size_t>(product.words(count, width)) * 4)), product.steps(width)};
    along = {nullptr, product.steps(count)};
    if (a.dx) along.data = static_cast<uint32_t*>(cx.shared_scratch(kAlongSlot, static_cast<size_t>(product.words(width, count)) * 4));
    cx.pool().for_blocks(count, kPackRows, [&](int64_t begin, int64_t end, int thread) {
      const float* w = head.panel<float>(cx, thread, first + begin, end - begin);
      product.pack({w, width, 1}, end - begin, width, 1, columns.from(begin));
      if (a.dx) product.pack({w, 1, width}, width, end - begin, 1, along.from(0, begin / 2));
    });
  }

  /// Rows [begin, end) against vocabulary [first + at, first + at + count).
  void panel(int64_t begin, int64_t end, int64_t first, int64_t at, int64_t count, int thread) {
    const int64_t n = end - begin;
    auto* z = static_cast<float*>(cx.scratch(thread, logits, static_cast<size_t>(PackedProduct::kRows * kPanel) * 4));
    auto* p = static_cast<uint16_t*>(cx.scratch(thread, weights, static_cast<size_t>(PackedProduct::kRows * kPanel) * 2));
    product.multiply(x.from(begin), n, width, columns.from(at), count, z, kPanel, false);
    for (int64_t r = 0; r < n; ++r) {
      Running& row = rows[static_cast<size_t>(begin + r)];
      float* logit = z + r * kPanel;
      uint16_t* weight = p + r * kPanel;
      const float top = std::max(row.top, kernels.max(logit, count));
      if (top > row.top) {
        const float factor = std::exp(row.top - top);
        row.sum *= static_cast<double>(factor);
        row.others *= static_cast<double>(factor);
        if (a.dx)
          for (int64_t i = 0; i < width; ++i) a.dx->row<float>(begin + r)[i] *= factor;
        row.top = top;
      }
      const int64_t target = a.targets.data<int32_t>()[begin + r] - first - at;
      if (target >= 0 && target < count) row.target = logit[target];
      const ExpSums sums = kernels.exp_sum_bf16(logit, 1, top, weight, count);
      row.sum += static_cast<double>(sums.exact);
      row.others += static_cast<double>(sums.rounded);
      if (target >= 0 && target < count) {
        row.others -= static_cast<double>(f32_from_bf16(weight[target]));
        weight[target] = 0;
      }
    }
    if (a.dx) product.multiply({p, kPanel}, n, count, along.from(0, at / 2), width, a.dx->row<float>(begin), a.dx->row_stride(), true);
  }

  void run() {
    const int64_t vocabulary = a.head.rows();
    const int64_t stretch = std::max<int64_t>(kPanel, kStretchBytes / (4 * std::max<int64_t>(width, 1)) / kPanel * kPanel);
    // Few rows are shared out in smaller blocks: sums do not depend on them.
    const int64_t even = (total + cx.threads() - 1) / cx.threads();
    const int64_t block = std::clamp<int64_t>((even + 15) / 16 * 16, 16, PackedProduct::kRows);
    for (int64_t first = 0; first < vocabulary; first += stretch) {
      const int64_t count = std::min(stretch, vocabulary - first);
      pack_stretch(first, count);
      cx.pool().for_blocks(total, block, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t at = 0; at < count; at += kPanel) panel(begin, end, first, at, std::min(kPanel, count - at), thread);
      });
    }
  }

  /// dx = scale (sum of p_v head[v] over the others - (sum of p_v over the others) head[target]); returns the row's loss.
  /// With the weights as they were rounded the factors sum to zero, so that what all rows of the head share cancels.
  double finish(int64_t r, int thread) {
    const Running& row = rows[static_cast<size_t>(r)];
    const double log_sum = static_cast<double>(row.top) + std::log(row.sum);
    const double loss = log_sum - static_cast<double>(row.target);
    if (!a.dx) return loss;
    const float* w = head.panel<float>(cx, thread, a.targets.data<int32_t>()[r], 1);
    const auto others = static_cast<float>(a.gradient_scale / row.sum);
    const auto own = static_cast<float>(-a.gradient_scale * row.others / row.sum);
    float* dx = a.dx->row<float>(r);
    for (int64_t i = 0; i < width; ++i) dx[i] = dx[i] * others + w[i] * own;
    return loss;
  }
};

void walk(Context& cx, const LinearCrossEntropyArgs& a) {
  Walk w{cx, a};
  if (a.dx) a.dx->fill(0);
  w.run();
  std::vector<double> losses(static_cast<size_t>(w.total));
  cx.pool().run(w.total, [&](int64_t r, int thread) { losses[static_cast<size_t>(r)] = w.finish(r, thread); });
  double sum = 0;
  for (int64_t r = 0; r < w.total; ++r) {
    sum += losses[static_cast<size_t>(r)];
    if (a.losses) a.losses->data<float>()[r] = static_cast<float>(losses[static_cast<size_t>(r)]);
  }
  if (a.loss_sum) *a.loss_sum = sum;
  if (a.loss_total) *a.loss_total->data<double>() += sum;
}

}  // namespace

void linear_cross_entropy_bf16(Context& cx, const LinearCrossEntropyArgs& a) {
  if (PackedProduct::offered(cx.unit())) return walk(cx, a);
  const Tensor x = ops::as_f32(cx, a.x);
  linear_cross_entropy_cpu(cx, {x, a.head, a.targets, a.loss_sum, a.losses, a.dx, a.gradient_scale, a.loss_total});
}

}  // namespace lorikeet
