// Every CPU level and device present against f64: the same ops a training step uses, on odd sizes; then speed.
#include <algorithm>
#include <cmath>
#include <functional>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/system.h"
#include "core/ops/adapted_linear.h"
#include "core/ops/attention.h"
#include "core/ops/gemm.h"
#include "core/ops/rms_norm.h"
#include "core/ops/swiglu.h"
#include "core/ops/weight_on.h"
#include "core/quant/weight_format.h"
#include "core/run/detail/device_trial.h"
#include "core/run/detail/run_setup.h"
#include "core/run/queries.h"
#include "core/tensor/device_cards.h"
#include "core/tensor/device_memory.h"

namespace lorikeet {
namespace {

constexpr double kBf16Tolerance = 1e-2;  // relative L2 with operands rounded to bf16
constexpr double kF16Tolerance = 2e-3;   // and to f16, on a GPU
constexpr double kTolerance = 2e-5;  // relative L2 of f32 kernels against f64, with room for long sums

Tensor values(Shape shape, uint64_t seed) {
  Tensor t = Tensor::empty(std::move(shape), DType::f64);
  RandomStream random(seed, stream_of("selftest"));
  for (int64_t i = 0; i < t.size(); ++i) t.data<double>()[i] = random.uniform(-1, 1);
  return t;
}

double relative_l2(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(DType::f64), y = b.to(DType::f64);
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    const double d = x.data<double>()[i] - y.data<double>()[i];
    difference += d * d;
    norm += y.data<double>()[i] * y.data<double>()[i];
  }
  return std::sqrt(difference / std::max(norm, 1e-300));
}

// The op in f64 on the scalar level is the reference, its f32 form on `level` the candidate.
double compared(Context& cx, CpuLevel level, const std::function<Tensor(Context&, DType)>& op) {
  cx.set_level(CpuLevel::scalar);
  const Tensor reference = op(cx, DType::f64);
  cx.set_level(level);
  return relative_l2(op(cx, DType::f32), reference);
}

Tensor rms_norm_case(Context& cx, DType t) {
  const Tensor x = values({33, 577}, 1).to(t).on(cx.device()), w = values({577}, 2).to(t).on(cx.device());
  Tensor y = cx.empty({33, 577}, t);
  rms_norm(cx, {x, w, y, nullptr, 1e-5});
  return y;
}

Tensor swiglu_case(Context& cx, DType t) {
  const Tensor gate = values({17, 129}, 3).to(t).on(cx.device()), up = values({17, 129}, 4).to(t).on(cx.device());
  Tensor y = cx.empty({17, 129}, t);
  swiglu(cx, {gate, up, y});
  return y;
}

Tensor attention_of(Context& cx, DType t, int64_t head_dim) {
  const auto of = [&](int64_t heads, uint64_t seed) { return values({70, heads * head_dim}, seed).to(t).on(cx.device()); };
  const Tensor q = of(6, 5), k = of(2, 6), v = of(2, 7), starts = Tensor::from<int32_t>({0, 13, 70}, {3}).on(cx.device());
  Tensor o = cx.empty({70, 6 * head_dim}, t);
  attention(cx, {q, k, v, starts, o, nullptr, {6, 2, head_dim, 1 / std::sqrt(static_cast<double>(head_dim))}});
  return o;
}
Tensor attention_case(Context& cx, DType t) { return attention_of(cx, t, 32); }
Tensor wide_attention_case(Context& cx, DType t) { return attention_of(cx, t, 64); }

FrozenWeightPtr nf4_weight(Context& cx, int64_t rows, int64_t columns) {
  const Tensor w = values({rows, columns}, 8).to(DType::f32);
  return weight_formats().get("nf4")->encode(cx, w.data<float>(), rows, columns, {});
}

Tensor linear_case(Context& cx, DType t) {
  const auto w = weight_on(cx.device(), nf4_weight(cx, 131, 192));
  const Tensor x = values({37, 192}, 9).to(t).on(cx.device());
  Tensor y = cx.empty({37, 131}, t);
  adapted_linear(cx, {x, *w, nullptr, y, nullptr, nullptr, 1, nullptr, 0, 0});
  return y;
}

double seconds_of(const std::function<void()>& work) {
  work();
  double best = 1e9;
  for (int repeat = 0; repeat < 3; ++repeat) {
    const double began = monotonic_seconds();
    work();
    best = std::min(best, monotonic_seconds() - began);
  }
  return best;
}

double gflops(Context& cx, CpuUnit level) {
  const int64_t m = level.level == CpuLevel::scalar ? 64 : 512, n = 576, k = 576;
  const Tensor x = values({m, k}, 10).to(DType::f32), w = values({n, k}, 11).to(DType::f32);
  Tensor y = Tensor::empty({m * cx.threads(), n});
  const double s = seconds_of([&] {
    cx.pool().run(cx.threads(), [&](int64_t part, int) {
      gemm<float>(level, false, true, m, n, k, 1, x.data<float>(), k, w.data<float>(), k, 0, y.data<float>() + part * m * n, n);
    });
  });
  return 2.0 * static_cast<double>(m * n * k) * cx.threads() / s / 1e9;
}

double decode_gweights(Context& cx) {
  const auto w = nf4_weight(cx, 1536, 576);
  Tensor out = Tensor::empty({1536, 576});
  const double s = seconds_of([&] {
    cx.pool().for_blocks(1536, 64, [&](int64_t begin, int64_t end, int) { w->decode_rows(begin, end - begin, out.row<float>(begin), 576); });
  });
  return 1536.0 * 576 / s / 1e9;
}

/// A device's kernels in f32, f16 and, where it is fast at it, bf16 against f64 on the host.
Json device_entry(DeviceType device) {
  Context host(1), there(1, device);
  host.set_level(CpuLevel::scalar);
  const auto error = [&](DType t, const std::function<Tensor(Context&, DType)>& op) { return relative_l2(op(there, t).on(DeviceType::cpu), op(host, DType::f64)); };
  Json errors;
  errors["rms_norm"] = error(DType::f32, rms_norm_case);
  errors["swiglu"] = error(DType::f32, swiglu_case);
  errors["attention"] = error(DType::f32, attention_case);
  errors["linear_nf4"] = error(DType::f32, linear_case);
  double worst = 0;
  for (const auto& e : errors) worst = std::max(worst, e.get<double>());
  Json entry = {{"name", std::string(device_name(device))}, {"device", device_memory(device).name()}, {"max_error", worst}, {"errors", errors}};
  bool passed = std::isfinite(worst) && worst <= kTolerance;
  for (const auto& [type, tolerance] : {std::pair(ComputeType::bf16, kBf16Tolerance), {ComputeType::f16, kF16Tolerance}}) {
    if (type == ComputeType::bf16 && !device_memory(device).fast_bf16()) continue;
    there.set_compute(type);
    const double rounded = std::max(error(row_type(type), linear_case), error(row_type(type), wide_attention_case));
    entry[std::string(compute_type_name(type))] = {{"max_error", rounded}};
    passed = passed && std::isfinite(rounded) && rounded <= tolerance;
  }
  entry["passed"] = passed;
  return entry;
}

/// The GPU that is asked for, or every one that can be used.
std::vector<std::string> devices_to_test(const std::string& device) {
  if (device == "cpu" || !has_device(DeviceType::cuda)) return {};
  if (device != "auto") return {device};
  const std::vector<UsableCard> cards = usable_cards();
  if (cards.size() < 2) return {detail::chosen_device(device)};
  std::vector<std::string> out;
  for (const UsableCard& c : cards) out.push_back(fmt::format("cuda:{}", c.number));
  return out;
}

}  // namespace

void detail::try_device(DeviceType device) {
  static std::mutex mutex;
  static std::set<int> tried;
  const std::lock_guard lock(mutex);
  const DeviceCards* cards = device_cards(device);
  const int card = cards ? cards->in_use() : 0;
  if (tried.contains(card)) return;
  const Json j = device_entry(device);
  if (!j["passed"].get<bool>()) {
    std::string found = fmt::format("{:.1e} in f32", j["max_error"].get<double>());
    for (const char* type : {"bf16", "f16"})
      if (j.contains(type)) found += fmt::format(", {:.1e} in {}", j[type]["max_error"].get<double>(), type);
    throw RunError(fmt::format("{} computes wrongly: a trial of its kernels is off by {}; use --device cpu and tell us", j["device"].get<std::string>(), found));
  }
  tried.insert(card);
}

Json run_selftest(int64_t threads, const std::string& device) {
  detail::require_device(device);
  Context cx(static_cast<int>(threads));
  Json levels = Json::array();
  bool all = true;
  const CpuLevel chosen = cpu_level();
  for (const CpuLevel level : cpu_probe().available) {
    force_cpu_level(level);
    Json errors;
    errors["rms_norm"] = compared(cx, level, rms_norm_case);
    errors["swiglu"] = compared(cx, level, swiglu_case);
    errors["attention"] = compared(cx, level, attention_case);
    errors["linear_nf4"] = compared(cx, level, linear_case);
    double worst = 0;
    for (const auto& e : errors) worst = std::max(worst, e.get<double>());
    cx.set_level(level);
    cx.set_compute(ComputeType::bf16);
    const double bf16_error = compared(cx, level, linear_case);
    cx.set_compute(ComputeType::f32);
    const bool passed = std::isfinite(worst) && worst <= kTolerance && bf16_error <= kBf16Tolerance;
    all = all && passed;
    levels.push_back({{"name", std::string(cpu_level_name(level))}, {"max_error", worst}, {"errors", errors}, {"gflops", gflops(cx, level)},
                      {"bf16", {{"max_error", bf16_error}, {"gflops", gflops(cx, {level, ComputeType::bf16})}}},
                      {"nf4_gweights_per_s", decode_gweights(cx)}, {"passed", passed}});
  }
  force_cpu_level(chosen);
  for (const std::string& kind : devices_to_test(device)) {
    const CardScope card = detail::use_device(kind);
    levels.push_back(device_entry(DeviceType::cuda));
    levels.back()["name"] = kind;
    all = all && levels.back()["passed"].get<bool>();
  }
  return {{"levels", levels}, {"tolerance", kTolerance}, {"bf16_tolerance", kBf16Tolerance}, {"f16_tolerance", kF16Tolerance}, {"threads", cx.threads()}, {"passed", all}};
}

}  // namespace lorikeet
