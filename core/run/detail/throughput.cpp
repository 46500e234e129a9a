#include "core/run/detail/throughput.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/system.h"
#include "core/run/detail/gpu_estimate.h"
#include "core/run/detail/run_setup.h"
#include "core/tensor/cpu_level.h"
#include "core/tensor/device_memory.h"

namespace lorikeet::detail {
namespace {

std::string store_path() { return user_cache_folder() + "/throughput.json"; }

CpuUnit unit_of(const RunConfig& c) { return {cpu_level(), compute_type_of(c)}; }

std::string key_of(const RunConfig& c, const ModelFacts& m, const std::string& policy) {
  const bool gpu = device_of(c.device.kind) != DeviceType::cpu;
  std::string where = fmt::format("threads={} {}", c.device.threads, cpu_level_name(cpu_level()));
  if (gpu) where = device_problem(c.device.kind).empty() ? device_memory(DeviceType::cuda).name() : c.device.kind;
  return fmt::format("{} {} {} {} {} {}", m.base_name, m.config.parameter_count(), c.quantization.format, policy, where,
                     compute_type_name(unit_of(c).compute));
}

Json read_store() {
  try {
    Json j = read_json_file(store_path(), 1u << 20);
    if (j.is_object()) return j;
  } catch (const Error&) {  // no file yet, or not ours: start a new one
  }
  return Json::object();
}

/// Useful operations a second of one thread in training, decode and small ops included: a rough figure for a first plan
/// only, replaced by a measurement after the first run. From steps of SmolLM2-135M on a Zen 4 server core, a third taken
/// off for slower clocks; tiles: computed.
double flops_per_thread(CpuUnit unit) {
  const bool rounded = unit.compute == ComputeType::bf16;
  switch (unit.level) {
    case CpuLevel::amx: return rounded ? 350e9 : 55e9;
    case CpuLevel::avx512: return rounded && cpu_probe().bf16_dot ? 110e9 : 55e9;
    case CpuLevel::avx2: return 45e9;
    default: return 11e9;
  }
}

}  // namespace

std::optional<double> measured_tokens_per_s(const RunConfig& c, const ModelFacts& m, const std::string& policy) {
  const Json store = read_store();
  const std::string key = key_of(c, m, policy);
  if (!store.contains(key) || !store[key].is_object()) return std::nullopt;
  const Json rate = store[key].value("tokens_per_s", Json());
  if (!rate.is_number() || !(rate.get<double>() > 0)) return std::nullopt;
  return rate.get<double>();
}

void keep_tokens_per_s(const RunConfig& c, const ModelFacts& m, const std::string& policy, double tokens_per_s) {
  if (!(tokens_per_s > 0)) return;
  try {
    Json store = read_store();
    store[key_of(c, m, policy)] = {{"tokens_per_s", tokens_per_s}, {"time", wall_seconds()}};
    fs::create_directories(user_cache_folder());
    write_file_atomic(store_path(), dump_json(store, 2) + "\n");
  } catch (const std::exception&) {
  }
}

double estimated_tokens_per_s(const RunConfig& c, const ModelFacts& m, const BatchFacts& b, const std::string& policy, const Card* card) {
  double linears = 0;
  for (const LinearShape& s : linear_shapes(m.config)) linears += static_cast<double>(s.rows) * static_cast<double>(s.columns);
  const double passes = policy == "full" || policy == "offload" ? 3 : 2;  // forward, gradient of the input, and the forward again
  const double share_of_targets = b.total_tokens > 0 ? static_cast<double>(b.total_targets) / static_cast<double>(b.total_tokens) : 1;
  const double head = 2.0 * static_cast<double>(m.config.vocab_size) * static_cast<double>(m.config.hidden_size) * share_of_targets;
  const double length = static_cast<double>(std::max<int64_t>(b.longest_document, 1));
  const double attention = static_cast<double>(m.config.layers * m.config.heads * m.config.head_dim) * length;  // causal: half of T x T, two products
  const double flops = 2 * (passes * (linears + attention) + head);
  if (device_of(c.device.kind) == DeviceType::cpu)
    return flops_per_thread(unit_of(c)) * static_cast<double>(std::max<int64_t>(c.device.threads, 1)) / std::max(flops, 1.0);
  if (!card) return 0;
  const double tokens = static_cast<double>(std::max<int64_t>(b.most_tokens, 1));
  return tokens / gpu_pass_seconds(*card, m.config, flops * tokens, passes);
}

}  // namespace lorikeet::detail
