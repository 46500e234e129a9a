#include "tests/bench/step_flops.h"

namespace lorikeet::bench {
namespace {

/// Without dX of the first block's q, k and v.
bool passes_gradient_on(const LinearShape& s) {
  for (const char* name : {"layers.0.self_attn.q_proj", "layers.0.self_attn.k_proj", "layers.0.self_attn.v_proj"})
    if (s.name.ends_with(name)) return false;
  return true;
}

}  // namespace

StepFlops step_flops(const ModelConfig& config, int64_t rank, int64_t tokens, int64_t rows) {
  const auto t = static_cast<double>(tokens * rows), r = static_cast<double>(rank);
  StepFlops f;
  for (const LinearShape& s : linear_shapes(config)) {
    const auto in = static_cast<double>(s.columns), out = static_cast<double>(s.rows);
    const bool dx = passes_gradient_on(s);
    f.linears += (dx ? 4 : 2) * t * in * out;
    f.adapters += 4 * t * r * (in + out) + 2 * t * r * out + (dx ? 2 * t * r * in : 0);
  }
  const auto length = static_cast<double>(tokens), width = static_cast<double>(config.heads * config.head_dim);
  f.attention = 6 * length * length * width * static_cast<double>(rows * config.layers);
  f.head = 4 * t * static_cast<double>(config.vocab_size * config.hidden_size);
  return f;
}

}  // namespace lorikeet::bench
