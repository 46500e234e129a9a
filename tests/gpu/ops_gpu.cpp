// Single ops on a card, by the sizes of an 8B model: time, and the share of what the card can do, taken in the same run from
// a large copy (bytes) and a large product (operations).
//   ops_gpu --tokens 4096 --json out.json        --compute f16: rows of f16, not bf16        --small: sizes for the emulation
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include <fmt/format.h>

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/system.h"
#include "core/ops/adamw8bit_update.h"
#include "core/ops/adamw_update.h"
#include "core/ops/adapted_linear.h"
#include "core/ops/attention.h"
#include "core/ops/cpu_kernels.h"
#include "core/ops/elementwise.h"
#include "core/ops/linear_cross_entropy.h"
#include "core/ops/rms_norm.h"
#include "core/ops/rope.h"
#include "core/ops/swiglu.h"
#include "core/ops/weight_on.h"
#include "core/tensor/device_memory.h"
#include "cuda/backend.h"
#include "cuda/ops/decode.h"
#include "cuda/runtime/matmul.h"
#include "tests/gpu/arguments.h"
#include "tests/gpu/random_base.h"

using namespace lorikeet;
using namespace lorikeet::bench;

namespace {

constexpr DeviceType kGpu = DeviceType::cuda;

struct Sizes {
  int64_t tokens, hidden, heads, kv_heads, head_dim, feed_forward, vocabulary, rank, peak;
  DType rows = DType::bf16;
  std::string type() const { return std::string(dtype_name(rows)); }
};

Tensor filled(Shape shape, DType type, double value) {
  Tensor t = Tensor::empty(std::move(shape), type);
  t.fill(value);
  return t.on(kGpu);
}
/// Rows as a model has them: a card multiplies equal numbers faster than numbers that differ.
Tensor random_rows(Shape shape, DType type, double spread = 0.5) { return random_values(std::move(shape), type, spread).on(kGpu); }

class Table {
 public:
  explicit Table(int repeats) : repeats_(repeats) {}
  double seconds(const std::function<void()>& work) const {
    work();
    device_memory(kGpu).synchronize();
    const double began = monotonic_seconds();
    for (int i = 0; i < repeats_; ++i) work();
    device_memory(kGpu).synchronize();
    return (monotonic_seconds() - began) / repeats_;
  }
  void set_peaks(const std::string& type, double bytes, double flops) {
    bytes_ = bytes;
    flops_ = flops;
    json_["copy_gb_per_s"] = bytes * 1e-9;
    json_["product_tflops"] = flops * 1e-12;
    fmt::print("copy {:.0f} GB/s, product of {} {:.1f} TFLOP/s\n{:<34} {:>10} {:>10} {:>8}\n", bytes * 1e-9, type, flops * 1e-12, "op", "us", "rate", "share");
  }
  /// Bound by `bytes` moved or, when given, by `flops`.
  void row(const std::string& name, double bytes, double flops, const std::function<void()>& work) {
    const double s = seconds(work), rate = flops > 0 ? flops / s : bytes / s, share = rate / (flops > 0 ? flops_ : bytes_);
    fmt::print("{:<34} {:>10.1f} {:>7.1f} {} {:>6.1f} %\n", name, s * 1e6, flops > 0 ? rate * 1e-12 : rate * 1e-9, flops > 0 ? "TF" : "GB", 100 * share);
    std::fflush(stdout);
    json_["ops"].push_back({{"op", name}, {"us", s * 1e6}, {"bytes", bytes}, {"flops", flops}, {"share", share}});
  }
  Json& json() { return json_; }

 private:
  int repeats_;
  double bytes_ = 1, flops_ = 1;
  Json json_ = {{"ops", Json::array()}};
};

void peaks(Table& t, const Sizes& s) {
  const int64_t n = s.peak;
  Tensor a = random_rows({n, n}, s.rows), b = random_rows({n, n}, s.rows), c = Tensor::empty({n, n}, s.rows, kGpu);
  const double copy = t.seconds([&] { c.copy_from(a); });
  const double product = t.seconds([&] {
    cuda::matmul({.m = n, .n = n, .k = n, .a = a.raw(), .a_stride = n, .a_turned = false, .b = b.raw(), .b_stride = n, .b_turned = true, .type = s.rows, .c = c.raw(), .c_stride = n, .c_type = s.rows});
  });
  t.set_peaks(s.type(), 2.0 * static_cast<double>(a.bytes()) / copy, 2.0 * std::pow(static_cast<double>(n), 3) / product);
}

void pointwise(Table& t, Context& cx, const Sizes& s) {
  const auto numbers = static_cast<double>(s.tokens * s.hidden), wide = static_cast<double>(s.tokens * s.feed_forward);
  const Tensor x = random_rows({s.tokens, s.hidden}, DType::f32), weight = filled({s.hidden}, DType::f32, 1);
  Tensor y = Tensor::empty({s.tokens, s.hidden}, s.rows, kGpu), rstd = Tensor::empty({s.tokens}, DType::f32, kGpu), dx = random_rows({s.tokens, s.hidden}, DType::f32);
  t.row("rms_norm f32 to " + s.type(), numbers * 6, 0, [&] { rms_norm(cx, {x, weight, y, &rstd, 1e-5}); });
  t.row("rms_norm backward, added", numbers * 16, 0, [&] { rms_norm_backward(cx, {x, x, weight, rstd, dx, true}); });
  const Tensor gate = random_rows({s.tokens, s.feed_forward}, s.rows), up = random_rows({s.tokens, s.feed_forward}, s.rows);
  Tensor product = Tensor::empty({s.tokens, s.feed_forward}, s.rows, kGpu), dg = product, du = Tensor::empty({s.tokens, s.feed_forward}, s.rows, kGpu);
  t.row("swiglu " + s.type(), wide * 6, 0, [&] { swiglu(cx, {gate, up, product}); });
  t.row("swiglu backward " + s.type(), wide * 10, 0, [&] { swiglu_backward(cx, {gate, gate, up, dg, du}); });
  const int64_t width = s.heads * s.head_dim;
  Tensor q = random_rows({s.tokens, width}, DType::f32), rounded = Tensor::empty({s.tokens, width}, s.rows, kGpu);
  std::vector<int32_t> positions(static_cast<size_t>(s.tokens));
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(i);
  const Tensor at = Tensor::from<int32_t>(positions, {s.tokens}).on(kGpu), table = random_rows({s.tokens, s.head_dim}, DType::f32);
  t.row("rope f32 to " + s.type(), static_cast<double>(s.tokens * width) * 6, 0, [&] { rope(cx, {q, at, table, s.head_dim, false, &rounded}); });
  t.row("add f32", numbers * 12, 0, [&] { add(cx, x, dx, dx); });
}

void attentions(Table& t, Context& cx, const Sizes& s) {
  const int64_t wide = s.heads * s.head_dim, narrow = s.kv_heads * s.head_dim;
  const Tensor q = random_rows({s.tokens, wide}, s.rows), k = random_rows({s.tokens, narrow}, s.rows), v = random_rows({s.tokens, narrow}, s.rows);
  const Tensor starts = Tensor::from<int32_t>({0, static_cast<int32_t>(s.tokens)}, {2}).on(kGpu);
  Tensor o = Tensor::empty({s.tokens, wide}, s.rows, kGpu), lse = Tensor::empty({s.tokens, s.heads}, DType::f32, kGpu);
  Tensor dq = Tensor::empty({s.tokens, wide}, DType::f32, kGpu), dk = Tensor::empty({s.tokens, narrow}, DType::f32, kGpu), dv = Tensor::empty({s.tokens, narrow}, DType::f32, kGpu);
  const AttentionShape shape{s.heads, s.kv_heads, s.head_dim, 1 / std::sqrt(static_cast<double>(s.head_dim))};
  const double flops = 2.0 * static_cast<double>(wide) * static_cast<double>(s.tokens) * static_cast<double>(s.tokens + 1);
  t.row("attention " + s.type() + ", causal", 0, flops, [&] { attention(cx, {q, k, v, starts, o, &lse, shape}); });
  t.row("attention backward " + s.type() + ", causal", 0, 2.5 * flops, [&] { attention_backward(cx, {o, q, k, v, o, lse, starts, dq, dk, dv, shape}); });
}

void linears(Table& t, Context& cx, const Sizes& s, WeightSource& source) {
  const FrozenWeightPtr w = weight_on(kGpu, source.matrix("gate", s.feed_forward, s.hidden, true));
  const Tensor x = random_rows({s.tokens, s.hidden}, s.rows), dy = random_rows({s.tokens, s.feed_forward}, s.rows);
  const Tensor a = random_rows({s.rank, s.hidden}, DType::f32), b = random_rows({s.feed_forward, s.rank}, DType::f32);
  Tensor y = Tensor::empty({s.tokens, s.feed_forward}, s.rows, kGpu), h = Tensor::empty({s.tokens, s.rank}, s.rows, kGpu);
  Tensor dx = Tensor::empty({s.tokens, s.hidden}, DType::f32, kGpu), da = random_rows({s.rank, s.hidden}, DType::f32), db = random_rows({s.feed_forward, s.rank}, DType::f32);
  const double flops = 2.0 * static_cast<double>(s.tokens * s.feed_forward) * static_cast<double>(s.hidden + s.rank);
  t.row("linear nf4 + adapter", 0, flops, [&] { adapted_linear(cx, {.x = x, .w = *w, .bias = nullptr, .y = y, .a = &a, .b = &b, .scale = 2, .h = &h, .dropout = 0, .dropout_seed = 0}); });
  t.row("linear nf4 + adapter backward", 0, flops, [&] {
    adapted_linear_backward(cx, {.dy = dy, .x = x, .w = *w, .a = &a, .b = &b, .h = &h, .scale = 2, .dropout = 0, .dropout_seed = 0, .dx = &dx, .accumulate_dx = false, .da = &da, .db = &db});
  });
  Tensor decoded = Tensor::empty({s.feed_forward, s.hidden}, s.rows, kGpu);
  const auto& stored = dynamic_cast<const cuda::DeviceWeight&>(*w);
  t.row("decode nf4 to " + s.type(), static_cast<double>(w->bytes() + decoded.bytes()), 0, [&] { cuda::decode_weight(stored, 0, s.feed_forward, s.rows, decoded.raw(), s.hidden); });
  // One row through the whole matrix as it is stored.
  const Tensor one = random_rows({1, s.hidden}, s.rows);
  Tensor out = Tensor::empty({1, s.feed_forward}, s.rows, kGpu);
  t.row("one row through nf4", static_cast<double>(w->bytes()), 0, [&] { adapted_linear(cx, {.x = one, .w = *w, .bias = nullptr, .y = out, .a = nullptr, .b = nullptr, .scale = 1, .h = nullptr, .dropout = 0, .dropout_seed = 0}); });
}

void losses(Table& t, Context& cx, const Sizes& s, WeightSource& source) {
  const FrozenWeightPtr head = weight_on(kGpu, source.matrix("head", s.vocabulary, s.hidden, false));
  const int64_t rows = std::min<int64_t>(s.tokens, 1024);
  const Tensor x = random_rows({rows, s.hidden}, s.rows), targets = Tensor::from<int32_t>(std::vector<int32_t>(static_cast<size_t>(rows), 1), {rows}).on(kGpu);
  Tensor dx = Tensor::empty({rows, s.hidden}, DType::f32, kGpu);
  double sum = 0;
  t.row("head and loss, both ways", 0, 4.0 * static_cast<double>(rows * s.hidden) * static_cast<double>(s.vocabulary),
        [&] { linear_cross_entropy(cx, {.x = x, .head = *head, .targets = targets, .loss_sum = &sum, .losses = nullptr, .dx = &dx, .gradient_scale = 1}); });
}

void updates(Table& t, Context& cx, const Sizes& s) {
  const Shape shape{s.hidden, s.hidden};
  const auto n = static_cast<double>(s.hidden * s.hidden);
  Tensor p = random_rows(shape, DType::f32, 0.01), m = filled(shape, DType::f32, 0), v = filled(shape, DType::f32, 0);
  const Tensor g = random_rows(shape, DType::f32, 0.01);
  t.row("adamw f32", n * 28, 0, [&] { adamw_update(cx, {.tensors = {{p, g, m, v}}, .grad_scale = 1, .learning_rate = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0, .step = 1}); });
  const int64_t blocks = (s.hidden * s.hidden + 255) / 256;
  Tensor mc = Tensor::zeros(shape, DType::u8, kGpu), vc = Tensor::zeros(shape, DType::u8, kGpu), ma = Tensor::zeros({blocks}, DType::f32, kGpu), va = Tensor::zeros({blocks}, DType::f32, kGpu);
  t.row("adamw 8-bit", n * 16, 0, [&] {
    adamw8bit_update(cx, {.tensors = {{p, g, mc, vc, ma, va}}, .grad_scale = 1, .learning_rate = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0, .step = 1});
  });
}

Json measured(const Arguments& a) {
  const bool small = a.flag("--small");
  Sizes s = small ? Sizes{40, 128, 2, 1, 64, 192, 300, 4, 32} : Sizes{a.number("--tokens", 4096), 4096, 32, 8, 128, 14336, 128256, 16, 8192};
  Context cx(1, kGpu);
  const std::string compute = a.text("--compute", "bf16");
  if (compute != "bf16" && compute != "f16") throw ConfigError("--compute", "--compute " + printable(compute) + ": known are bf16, f16");
  s.rows = dtype_from_name(compute).value();
  cx.set_compute(compute_type_from_name(compute).value());
  Table table(small ? 1 : 10);
  const auto source = random_source(shape_named(small ? "tiny" : "8b"));
  peaks(table, s);
  pointwise(table, cx, s);
  attentions(table, cx, s);
  linears(table, cx, s, *source);
  losses(table, cx, s, *source);
  updates(table, cx, s);
  table.json()["device"] = device_memory(kGpu).name();
  table.json()["tokens"] = s.tokens;
  return table.json();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments arguments(argc, argv);
    register_cpu_kernels();
    const GpuList list = list_gpus();
    if (!list.reason.empty()) {
      std::fprintf(stderr, "ops_gpu: %s\n", list.reason.c_str());
      return 3;
    }
    register_cuda_kernels();
    const Json result = measured(arguments);
    if (const std::string path = arguments.text("--json", ""); !path.empty()) write_file_atomic(path, dump_json(result, 2) + "\n");
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "ops_gpu: %s\n", e.what());
    return 1;
  }
}
