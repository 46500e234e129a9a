#include "tests/bench/generation.h"

#include <algorithm>

#include "core/base/random.h"
#include "core/base/system.h"
#include "core/run/detail/loaded_model.h"
#include "core/run/detail/sampler.h"
#include "core/tensor/host_arena.h"

namespace lorikeet::bench {
namespace {

constexpr int64_t kLongPrompt = 512, kShortPrompt = 32, kNewTokens = 64;
constexpr int kRuns = 2;

std::vector<int32_t> random_ids(int64_t count, int64_t vocabulary) {
  RandomStream random(2, stream_of("bench prompt"));
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (auto& id : ids) id = static_cast<int32_t>(random.below(static_cast<uint64_t>(vocabulary)));
  return ids;
}

/// One step of the sequence in `cache`: the next token, greedy.
int32_t next_token(detail::LoadedModel& m, const std::vector<int32_t>& ids, KvCache& cache) {
  const Tensor logits = logits_of(*m.cx, *m.model, m.model->forward_cached(*m.cx, {ids}, {&cache}));
  RandomStream unused(0, 0);
  return detail::sample_token(logits.data<float>(), logits.size(), 0, 1, unused);
}

/// As the product keeps it unless told otherwise (kv_cache auto).
KvCache make_cache(detail::LoadedModel& m, int64_t capacity) {
  return m.model->make_cache(capacity, m.cx->unit().compute == ComputeType::bf16 ? DType::bf16 : DType::f32);
}

double prompt_rate(detail::LoadedModel& m) {
  KvCache cache = make_cache(m, kLongPrompt);
  const double began = monotonic_seconds();
  next_token(m, random_ids(kLongPrompt, m.model->config().vocab_size), cache);
  return static_cast<double>(kLongPrompt) / (monotonic_seconds() - began);
}

double writing_rate(detail::LoadedModel& m) {
  KvCache cache = make_cache(m, kShortPrompt + kNewTokens);
  int32_t token = next_token(m, random_ids(kShortPrompt, m.model->config().vocab_size), cache);
  const double began = monotonic_seconds();
  for (int64_t i = 0; i < kNewTokens; ++i) token = next_token(m, {token}, cache);
  return static_cast<double>(kNewTokens) / (monotonic_seconds() - began);
}

}  // namespace

GenerationFigures measure_generation(const std::string& model, const std::string& quantization, int threads, ComputeType compute) {
  arena_trim();
  reset_peak_resident();
  GenerationFigures f;
  f.quantization = quantization;
  const double began = monotonic_seconds();
  detail::LoadRequest request;
  request.model = model;
  request.options.quantization = quantization;
  request.threads = threads;
  request.compute = compute;
  detail::LoadedModel loaded = detail::load_for_use(request, {});
  f.load_s = monotonic_seconds() - began;
  f.weight_bytes = loaded.model->weight_bytes(DeviceType::cpu);
  for (int run = 0; run < kRuns; ++run) {
    f.prompt_tokens_per_s = std::max(f.prompt_tokens_per_s, prompt_rate(loaded));
    f.tokens_per_s = std::max(f.tokens_per_s, writing_rate(loaded));
  }
  f.peak_bytes = peak_resident_bytes();
  return f;
}

Json generation_to_json(const GenerationFigures& f) {
  return {{"quantization", f.quantization}, {"load_s", f.load_s}, {"prompt_tokens_per_s", f.prompt_tokens_per_s},
          {"tokens_per_s", f.tokens_per_s}, {"weight_bytes", f.weight_bytes}, {"peak_bytes", f.peak_bytes}};
}

}  // namespace lorikeet::bench
