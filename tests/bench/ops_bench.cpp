// GFLOP/s of gemm by level and shape as a share of a multiply-add loop in registers, and the time of every op of a
// SmolLM2-135M training step at 512 tokens. "of gemm": an op's rate over that of a plain gemm split the same way.
// Usage: ops_bench [tokens] [threads]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "core/base/system.h"
#include "core/ops/adamw_update.h"
#include "core/ops/adapted_linear.h"
#include "core/ops/attention.h"
#include "core/ops/cpu_kernels.h"
#include "core/ops/elementwise.h"
#include "core/ops/gemm.h"
#include "core/ops/linear_cross_entropy.h"
#include "core/ops/rms_norm.h"
#include "core/ops/rope.h"
#include "core/ops/swiglu.h"
#include "tests/bench/peaks.h"
#include "tests/support/plain_weight.h"
#include "tests/support/support.h"

using namespace lorikeet;
using test::PlainWeight;
using test::random_tensor;

namespace {

/// Best seconds of one call over about half a second of calls.
double seconds(const std::function<void()>& f) {
  f();
  double best = 1e30;
  const double end = monotonic_seconds() + 0.5;
  for (int i = 0; i < 5 || monotonic_seconds() < end; ++i) {
    const double begin = monotonic_seconds();
    f();
    best = std::min(best, monotonic_seconds() - begin);
  }
  return best;
}

/// Plain product of [tokens, in] and [out, in]^T by all threads, tokens split evenly: what a linear layer is held against.
double gemm_rate(Context& cx, int64_t tokens, int64_t out, int64_t in) {
  const Tensor x = random_tensor({tokens, in}, 1), w = random_tensor({out, in}, 2);
  Tensor y = Tensor::empty({tokens, out});
  const int64_t step = (tokens + cx.threads() - 1) / cx.threads();
  const double s = seconds([&] {
    cx.pool().for_blocks(tokens, step, [&](int64_t begin, int64_t end, int) {
      gemm<float>(cx.level(), false, true, end - begin, out, in, 1, x.row<float>(begin), in, w.data<float>(), in, 0, y.row<float>(begin), out);
    });
  });
  return 2e-9 * static_cast<double>(tokens * out * in) / s;
}

void gemm_table(int64_t tokens) {
  for (CpuLevel level : cpu_probe().available) {
    Context cx(1);
    cx.set_level(level);
    const double peak = bench::peak_gflops(level);
    std::printf("%s: peak of one thread %.1f GFLOP/s\n", std::string(cpu_level_name(level)).c_str(), peak);
    const int64_t shapes[][2] = {{576, 576}, {192, 576}, {1536, 576}, {576, 1536}};
    for (const auto& s : shapes) {
      const double rate = gemm_rate(cx, level == CpuLevel::scalar ? 64 : tokens, s[0], s[1]);
      std::printf("  gemm [%4ld, %4ld] %7.1f GFLOP/s  %3.0f %% of peak\n", static_cast<long>(s[0]), static_cast<long>(s[1]), rate, 100 * rate / peak);
    }
  }
}

void linear_table(Context& cx, int64_t tokens) {
  std::printf("linear, rank 16 (ms; in brackets the base product's rate over gemm's by the same threads)\n");
  const int64_t shapes[][2] = {{576, 576}, {192, 576}, {1536, 576}, {576, 1536}};
  for (const auto& s : shapes) {
    const int64_t out = s[0], in = s[1];
    const PlainWeight w(random_tensor({out, in}, 1), true);
    const Tensor x = random_tensor({tokens, in}, 2), dy = random_tensor({tokens, out}, 3), a = random_tensor({16, in}, 4), b = random_tensor({out, 16}, 5);
    Tensor y = Tensor::empty({tokens, out}), h = Tensor::empty({tokens, 16}), dx = Tensor::empty({tokens, in}), da = Tensor::zeros({16, in}), db = Tensor::zeros({out, 16});
    const double flops = 2e-9 * static_cast<double>(tokens * out * in), reference = gemm_rate(cx, tokens, out, in);
    const double plain = seconds([&] { adapted_linear(cx, {x, w, nullptr, y, nullptr, nullptr, 1, nullptr, 0, 0}); });
    const double adapted = seconds([&] { adapted_linear(cx, {x, w, nullptr, y, &a, &b, 1, &h, 0, 0}); });
    const double masked = seconds([&] { adapted_linear(cx, {x, w, nullptr, y, &a, &b, 1, &h, 0.1, 1}); });
    const double plain_back = seconds([&] { adapted_linear_backward(cx, {dy, x, w, nullptr, nullptr, nullptr, 1, 0, 0, &dx, false, nullptr, nullptr}); });
    const double back = seconds([&] { adapted_linear_backward(cx, {dy, x, w, &a, &b, &h, 1, 0, 0, &dx, false, &da, &db}); });
    const double masked_back = seconds([&] { adapted_linear_backward(cx, {dy, x, w, &a, &b, &h, 1, 0.1, 1, &dx, false, &da, &db}); });
    std::printf("  [%4ld, %4ld] forward %.3f (%.0f %%), adapter %.3f, dropout %.3f | backward %.3f (%.0f %%), adapter %.3f, dropout %.3f\n", static_cast<long>(out),
                static_cast<long>(in), plain * 1e3, 100 * flops / plain / reference, adapted * 1e3, masked * 1e3, plain_back * 1e3, 100 * flops / plain_back / reference, back * 1e3,
                masked_back * 1e3);
  }
}

void one_token_table(Context& cx) {
  std::printf("one token\n");
  const int64_t shapes[][2] = {{576, 576}, {1536, 576}, {576, 1536}, {49152, 576}};
  for (const auto& s : shapes) {
    const PlainWeight w(random_tensor({s[0], s[1]}, 1), true);
    const Tensor x = random_tensor({1, s[1]}, 2);
    Tensor y = Tensor::empty({1, s[0]});
    const double t = seconds([&] { adapted_linear(cx, {x, w, nullptr, y, nullptr, nullptr, 1, nullptr, 0, 0}); });
    std::printf("  linear [%5ld, %4ld] %8.1f us, %.2f weights/ns\n", static_cast<long>(s[0]), static_cast<long>(s[1]), t * 1e6, static_cast<double>(s[0] * s[1]) / t * 1e-9);
  }
  const AttentionShape shape{9, 3, 64, 0.125};
  const Tensor q = random_tensor({1, 576}, 1), keys = random_tensor({512, 192}, 2), stored = random_tensor({512, 192}, 3);
  Tensor o = Tensor::empty({1, 576});
  std::printf("  attention over 512 keys %.1f us\n", 1e6 * seconds([&] { attention_cached(cx, {q, keys, stored, o, 511, shape}); }));
}

void op_table(Context& cx, int64_t tokens) {
  const auto line = [](const char* name, double s) { std::printf("  %-28s %9.3f ms\n", name, s * 1e3); };
  std::printf("ops at %ld tokens\n", static_cast<long>(tokens));
  Tensor x = random_tensor({tokens, 576}, 1), y = x.clone(), dx = x.clone(), w = random_tensor({576}, 2), rstd = Tensor::empty({tokens});
  line("rms_norm", seconds([&] { rms_norm(cx, {x, w, y, &rstd, 1e-5}); }));
  line("rms_norm_backward", seconds([&] { rms_norm_backward(cx, {y, x, w, rstd, dx}); }));
  line("add", seconds([&] { add(cx, x, dx, y); }));
  Tensor gate = random_tensor({tokens, 1536}, 3), up = random_tensor({tokens, 1536}, 4), out = gate.clone(), dg = gate.clone(), du = gate.clone();
  line("swiglu", seconds([&] { swiglu(cx, {gate, up, out}); }));
  line("swiglu_backward", seconds([&] { swiglu_backward(cx, {out, gate, up, dg, du}); }));
  Tensor table = random_tensor({tokens, 64}, 5), positions = Tensor::zeros({tokens}, DType::i32);
  line("rope", seconds([&] { rope(cx, {x, positions, table, 64, false}); }));
  const AttentionShape shape{9, 3, 64, 0.125};
  const Tensor starts = Tensor::from(std::vector<int32_t>{0, static_cast<int32_t>(tokens)}, {2});
  Tensor k = random_tensor({tokens, 192}, 6), v = random_tensor({tokens, 192}, 7), lse = Tensor::empty({tokens, 9}), dk = k.clone(), dv = v.clone();
  x = random_tensor({tokens, 576}, 1);
  line("attention", seconds([&] { attention(cx, {x, k, v, starts, y, &lse, shape}); }));
  line("attention_backward", seconds([&] { attention_backward(cx, {x, x, k, v, y, lse, starts, dx, dk, dv, shape}); }));
  Tensor p = random_tensor({16, 30000}, 8), g = random_tensor({16, 30000}, 9), m = Tensor::zeros({16, 30000}), second = m.clone();
  line("adamw_update of 480000", seconds([&] { adamw_update(cx, {p, g, m, second, 1, 1e-4, 0.9, 0.999, 1e-8, 0.01, 1}); }));
  const PlainWeight head(random_tensor({49152, 576}, 10), true);
  std::vector<int32_t> wanted(static_cast<size_t>(tokens));
  for (size_t i = 0; i < wanted.size(); ++i) wanted[i] = static_cast<int32_t>(i * 91 % 49152);
  const Tensor targets = Tensor::from(wanted, {tokens});
  double sum = 0;
  const double forward = seconds([&] { linear_cross_entropy(cx, {x, head, targets, &sum, nullptr, nullptr, 1}); });
  const double both = seconds([&] { linear_cross_entropy(cx, {x, head, targets, &sum, nullptr, &dx, 1}); });
  const double flops = 2e-9 * static_cast<double>(tokens) * 49152 * 576, rate = gemm_rate(cx, tokens, 1536, 576);
  std::printf("  linear_cross_entropy         %9.3f ms (%.0f %% of gemm), with gradient %.3f ms (%.0f %%)\n", forward * 1e3, 100 * flops / forward / rate, both * 1e3, 200 * flops / both / rate);
}

}  // namespace

int main(int argc, char** argv) {
  register_cpu_kernels();
  const int64_t tokens = argc > 1 ? std::atoi(argv[1]) : 512;
  Context cx(argc > 2 ? std::atoi(argv[2]) : 0);
  std::printf("%s, %d threads, level %s\n", cpu_probe().model_name.c_str(), cx.threads(), std::string(cpu_level_name(cx.level())).c_str());
  gemm_table(tokens);
  linear_table(cx, tokens);
  one_token_table(cx);
  op_table(cx, tokens);
}
