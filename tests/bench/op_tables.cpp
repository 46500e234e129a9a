#include <fmt/format.h>

#include "core/ops/adamw_update.h"
#include "core/ops/attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/linear_cross_entropy.h"
#include "core/ops/rms_norm.h"
#include "core/ops/rope.h"
#include "core/ops/swiglu.h"
#include "tests/bench/ops_tables.h"
#include "tests/support/plain_weight.h"
#include "tests/support/support.h"

namespace lorikeet::bench {
namespace {

using test::PlainWeight;
using test::random_tensor;

constexpr int64_t kWidth = 576, kKeyWidth = 192, kInner = 1536, kVocabulary = 49152;

double ms(const std::function<void()>& f) { return best_seconds(f) * 1e3; }

void norm_rows(Report& report, Context& cx, int64_t tokens) {
  Tensor x = random_tensor({tokens, kWidth}, 1), y = x.clone(), dx = x.clone(), w = random_tensor({kWidth}, 2), rstd = Tensor::empty({tokens});
  report.row("rms_norm", {ms([&] { rms_norm(cx, {x, w, y, &rstd, 1e-5}); })});
  report.row("rms_norm_backward", {ms([&] { rms_norm_backward(cx, {y, x, w, rstd, dx}); })});
  report.row("add", {ms([&] { add(cx, x, dx, y); })});
  const Tensor table = random_tensor({tokens, 64}, 5), positions = Tensor::zeros({tokens}, DType::i32);
  report.row("rope", {ms([&] { rope(cx, {x, positions, table, 64, false}); })});
}

void swiglu_rows(Report& report, Context& cx, int64_t tokens) {
  Tensor gate = random_tensor({tokens, kInner}, 3), up = random_tensor({tokens, kInner}, 4), out = gate.clone(), dg = gate.clone(), du = gate.clone();
  report.row("swiglu", {ms([&] { swiglu(cx, {gate, up, out}); })});
  report.row("swiglu_backward", {ms([&] { swiglu_backward(cx, {out, gate, up, dg, du}); })});
}

void update_row(Report& report, Context& cx) {
  Tensor p = random_tensor({16, 30000}, 8), g = random_tensor({16, 30000}, 9), m = Tensor::zeros({16, 30000}), second = m.clone();
  report.row("adamw_update of 480000", {ms([&] { adamw_update(cx, {{{p, g, m, second}}, 1, 1e-4, 0.9, 0.999, 1e-8, 0.01, 1}); })});
}

}  // namespace

void attention_table(Report& report, Context& cx) {
  report.table("attention " + unit_name(cx.unit()), "attention, 9 heads over 3 of 64, causal, " + unit_name(cx.unit()), {"forward ms", "GFLOP/s", "backward ms", "back GFLOP/s"});
  const AttentionShape shape{9, 3, 64, 0.125};
  for (const int64_t tokens : {128, 512, 2048}) {
    const Tensor starts = Tensor::from(std::vector<int32_t>{0, static_cast<int32_t>(tokens)}, {2});
    const DType rows = row_type(cx);
    const Tensor q = random_tensor({tokens, kWidth}, 1).to(rows), k = random_tensor({tokens, kKeyWidth}, 6).to(rows), v = random_tensor({tokens, kKeyWidth}, 7).to(rows);
    Tensor y = q.clone(), lse = Tensor::empty({tokens, 9}), dq = Tensor::empty(q.shape()), dk = Tensor::empty(k.shape()), dv = Tensor::empty(v.shape());
    const double work = 2e-9 * static_cast<double>(tokens * tokens * kWidth);
    const double forward = best_seconds([&] { attention(cx, {q, k, v, starts, y, &lse, shape}); });
    const double backward = best_seconds([&] { attention_backward(cx, {q, q, k, v, y, lse, starts, dq, dk, dv, shape}); });
    report.row(fmt::format("{} tokens", tokens), {forward * 1e3, work / forward, backward * 1e3, 2 * work / backward});
  }
}

void head_table(Report& report, Context& cx, int64_t tokens) {
  const PlainWeight head(random_tensor({kVocabulary, kWidth}, 10), true);
  const Tensor x = random_tensor({tokens, kWidth}, 1).to(row_type(cx));
  Tensor dx = Tensor::empty(x.shape());
  std::vector<int32_t> wanted(static_cast<size_t>(tokens));
  for (size_t i = 0; i < wanted.size(); ++i) wanted[i] = static_cast<int32_t>(i * 91 % kVocabulary);
  const Tensor targets = Tensor::from(wanted, {tokens});
  double sum = 0;
  const double forward = best_seconds([&] { linear_cross_entropy(cx, {x, head, targets, &sum, nullptr, nullptr, 1}); });
  const double both = best_seconds([&] { linear_cross_entropy(cx, {x, head, targets, &sum, nullptr, &dx, 1}); });
  const double work = 2e-9 * static_cast<double>(tokens * kVocabulary * kWidth), rate = gemm_rate(cx, tokens, kInner, kWidth);
  report.table("head " + unit_name(cx.unit()), "linear_cross_entropy, " + unit_name(cx.unit()), {"ms", "of gemm"});
  report.row("loss", {forward * 1e3, work / forward / rate});
  report.row("loss and gradient", {both * 1e3, 2 * work / both / rate});
}

void op_table(Report& report, Context& cx, int64_t tokens) {
  report.table("ops", fmt::format("ops at {} tokens", tokens), {"ms"});
  norm_rows(report, cx, tokens);
  swiglu_rows(report, cx, tokens);
  update_row(report, cx);
}

}  // namespace lorikeet::bench
