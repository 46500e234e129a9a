/// The sizes and switches of a decoder, whatever file they were read from (config.json or GGUF metadata).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/ops/gate_activation.h"

namespace lorikeet {

/// RoPE frequencies: formats.md 2.4-2.5. `kind` none | linear | llama3 | factors (explicit divisors, GGUF rope_freqs).
struct RopeScaling {
  std::string kind = "none";
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_positions = 0;
  std::vector<float> factors;  // R/2 divisors when kind == "factors"
};

struct ModelConfig {
  std::string architecture = "LlamaForCausalLM";  // a name of models/models.cpp
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, layers = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0, max_positions = 0;
  double norm_eps = 1e-6, rope_theta = 10000;
  RopeScaling rope;
  bool tied_head = false, attention_bias = false, mlp_bias = false;
  GateActivation activation = GateActivation::silu;
  int64_t sliding_window = 0;  // tokens a token sees, itself included; 0: all before it
  /// Parameters of the whole model, tied head counted once.
  int64_t parameter_count() const;
};
/// Throws InputError when the sizes cannot be a decoder (zero or negative, heads not divisible by kv_heads, odd
/// head_dim), UnsupportedError for an unknown rope kind.
void check_model_config(const ModelConfig& c);
/// The effective inverse frequencies w'_j, j = 0..head_dim/2-1; theta's powers are rounded to f32 as transformers rounds them.
std::vector<double> rope_inverse_frequencies(const ModelConfig& c);

}  // namespace lorikeet
