#include <fmt/format.h>

#include "core/ops/adapted_linear.h"
#include "core/ops/attention.h"
#include "core/ops/gemm.h"
#include "tests/bench/ops_tables.h"
#include "tests/support/plain_weight.h"
#include "tests/support/support.h"

namespace lorikeet::bench {
namespace {

using test::PlainWeight;
using test::random_tensor;

constexpr int64_t kRank = 16;
struct LinearSize { int64_t out, in; };
constexpr LinearSize kLinears[] = {{576, 576}, {192, 576}, {1536, 576}, {576, 1536}};

std::string name_of(const LinearSize& s) { return fmt::format("[{}, {}]", s.out, s.in); }
double gflop(int64_t tokens, const LinearSize& s) { return 2e-9 * static_cast<double>(tokens * s.out * s.in); }

/// A linear layer with everything its forward and backward passes write.
struct LinearCase {
  PlainWeight w;
  Tensor x, dy, a, b, y, h, dx, da, db;
  LinearCase(const LinearSize& s, int64_t tokens, DType rows)
      : w(random_tensor({s.out, s.in}, 1), true), x(random_tensor({tokens, s.in}, 2).to(rows)), dy(random_tensor({tokens, s.out}, 3).to(rows)),
        a(random_tensor({kRank, s.in}, 4)), b(random_tensor({s.out, kRank}, 5)), y(Tensor::empty({tokens, s.out}, rows)),
        h(Tensor::empty({tokens, kRank}, rows)), dx(Tensor::empty({tokens, s.in}, rows)), da(Tensor::zeros({kRank, s.in})), db(Tensor::zeros({s.out, kRank})) {}
  double forward(Context& cx, bool adapter, double dropout) {
    return best_seconds([&] {
      adapted_linear(cx, {x, w, nullptr, y, adapter ? &a : nullptr, adapter ? &b : nullptr, 1, adapter ? &h : nullptr, dropout, 1});
    });
  }
  double backward(Context& cx, bool adapter, double dropout) {
    return best_seconds([&] {
      if (adapter) adapted_linear_backward(cx, {dy, x, w, &a, &b, &h, 1, dropout, 1, &dx, false, &da, &db});
      else adapted_linear_backward(cx, {dy, x, w, nullptr, nullptr, nullptr, 1, 0, 0, &dx, false, nullptr, nullptr});
    });
  }
};

}  // namespace

double gemm_rate(Context& cx, int64_t tokens, int64_t out, int64_t in) {
  const Tensor x = random_tensor({tokens, in}, 1), w = random_tensor({out, in}, 2);
  Tensor y = Tensor::empty({tokens, out});
  const int64_t step = (tokens + cx.threads() - 1) / cx.threads();
  const double s = best_seconds([&] {
    cx.pool().for_blocks(tokens, step, [&](int64_t begin, int64_t end, int) {
      gemm<float>(cx.unit(), false, true, end - begin, out, in, 1, x.row<float>(begin), in, w.data<float>(), in, 0, y.row<float>(begin), out);
    });
  });
  return gflop(tokens, {out, in}) / s;
}

void gemm_table(Report& report, const Peaks& peaks, int64_t tokens) {
  report.table("gemm", fmt::format("gemm of {} tokens on one thread by unit", tokens), {"GFLOP/s", "peak", "share"});
  for (const CpuUnit& unit : available_units()) {
    Context cx(1);
    cx.set_level(unit.level);
    cx.set_compute(unit.compute);
    const std::string name = unit_name(unit);
    const double peak = peaks.one_thread_of(name);
    for (const LinearSize& s : kLinears) {
      const double rate = gemm_rate(cx, unit.level == CpuLevel::scalar ? 64 : tokens, s.out, s.in);
      report.row(name + " " + name_of(s), {rate, peak, rate / peak});
    }
  }
}

void linear_table(Report& report, Context& cx, int64_t tokens) {
  report.table("linear " + unit_name(cx.unit()), fmt::format("linear of {} tokens, rank {}, {} (ms; of gemm: the base product's rate over a plain gemm's by the same threads)", tokens, kRank, unit_name(cx.unit())),
               {"plain", "of gemm", "adapter", "dropout", "back", "back of gemm", "back adapter", "back dropout"});
  for (const LinearSize& s : kLinears) {
    LinearCase c(s, tokens, row_type(cx));
    const double work = gflop(tokens, s), reference = gemm_rate(cx, tokens, s.out, s.in);
    const double plain = c.forward(cx, false, 0), back = c.backward(cx, false, 0);
    report.row(name_of(s), {plain * 1e3, work / plain / reference, c.forward(cx, true, 0) * 1e3, c.forward(cx, true, 0.1) * 1e3, back * 1e3,
                            work / back / reference, c.backward(cx, true, 0) * 1e3, c.backward(cx, true, 0.1) * 1e3});
  }
}

void one_token_table(Report& report, Context& cx) {
  report.table("one_token", "one token", {"us", "Gweights/s"});
  for (const LinearSize& s : {LinearSize{576, 576}, LinearSize{1536, 576}, LinearSize{576, 1536}, LinearSize{49152, 576}}) {
    LinearCase c(s, 1, row_type(cx));
    const double t = c.forward(cx, false, 0);
    report.row("linear " + name_of(s), {t * 1e6, static_cast<double>(s.out * s.in) / t * 1e-9});
  }
  const AttentionShape shape{9, 3, 64, 0.125};
  const Tensor q = random_tensor({1, 576}, 1), keys = random_tensor({512, 192}, 2), stored = random_tensor({512, 192}, 3);
  Tensor o = Tensor::empty({1, 576});
  report.row("attention over 512 keys", {best_seconds([&] { attention_cached(cx, {q, keys, stored, o, 511, shape}); }) * 1e6, std::nan("")});
}

}  // namespace lorikeet::bench
