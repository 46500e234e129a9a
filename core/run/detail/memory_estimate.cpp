#include "core/run/detail/memory_estimate.h"

#include <algorithm>

#include "core/run/detail/run_setup.h"

namespace lorikeet::detail {
namespace {

constexpr uint64_t kFloat = 4;

const ModelTensorInfo* find_tensor(const ModelFacts& m, const std::string& name) {
  for (const auto& t : m.tensors)
    if (t.name == name) return &t;
  return nullptr;
}

}  // namespace

WeightSize weight_size(const RunConfig& c, const ModelFacts& m) {
  WeightSize out;
  uint64_t linear_bytes = 0, linear_values = 0;
  for (const LinearShape& s : linear_shapes(m.config)) {
    linear_values += static_cast<uint64_t>(s.rows * s.columns);
    const ModelTensorInfo* t = find_tensor(m, s.name + ".weight");
    if (c.quantization.format == "keep")
      linear_bytes += t ? t->bytes : 0;
    else
      linear_bytes += weight_formats().get(c.quantization.format)->bytes(s.rows, s.columns, quant_options_of(c));
  }
  out.bytes = linear_bytes;
  // Embedding and head stay as stored; norms and biases are held as f32.
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"})
    if (const ModelTensorInfo* t = find_tensor(m, name); t && !(m.config.tied_head && std::string_view(name) == "lm_head.weight")) out.bytes += t->bytes;
  out.bytes += static_cast<uint64_t>((2 * m.config.layers + 1) * m.config.hidden_size) * kFloat;
  out.bits_per_weight = linear_values > 0 ? 8.0 * static_cast<double>(linear_bytes) / static_cast<double>(linear_values) : 0;
  return out;
}

uint64_t checkpoint_bytes(int64_t trainable) {
  // The adapter once and two moments, all f32, and small files.
  return static_cast<uint64_t>(trainable) * 3 * kFloat + (64u << 10);
}

}  // namespace lorikeet::detail
