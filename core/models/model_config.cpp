/// Checks, parameter count and rotary frequencies of a decoder's config.
#include "core/models/model_config.h"

#include <cmath>
#include <numbers>

#include "core/base/error.h"

namespace lorikeet {
namespace {

constexpr const char* kConfig = "model configuration";

void require_positive(int64_t value, const char* field) {
  if (value <= 0) throw InputError(kConfig, field, "found " + std::to_string(value) + "; wanted a number above 0");
}

/// The llama3 rule: long wavelengths are divided by the factor, short ones kept, the band between them blended.
double llama3_frequency(double w, const RopeScaling& r) {
  const double original = static_cast<double>(r.original_max_positions);
  const double wavelength = 2 * std::numbers::pi / w;
  if (wavelength < original / r.high_freq_factor) return w;
  if (wavelength > original / r.low_freq_factor) return w / r.factor;
  const double smooth = (original / wavelength - r.low_freq_factor) / (r.high_freq_factor - r.low_freq_factor);
  return (1 - smooth) * w / r.factor + smooth * w;
}

void check_rope(const ModelConfig& c) {
  const RopeScaling& r = c.rope;
  if (!(c.rope_theta > 0)) throw InputError(kConfig, "rope_theta", "must be above 0");
  if (r.kind == "none") return;
  if (r.kind == "factors") {
    if (static_cast<int64_t>(r.factors.size()) != c.head_dim / 2)
      throw InputError(kConfig, "rope factors",
                       "found " + std::to_string(r.factors.size()) +
                           " divisors; wanted head_dim/2 = " + std::to_string(c.head_dim / 2));
    for (float f : r.factors)
      if (!(f > 0) || !std::isfinite(f)) throw InputError(kConfig, "rope factors", "a divisor is not a number above 0");
    return;
  }
  if (r.kind != "linear" && r.kind != "llama3")
    throw UnsupportedError("rope scaling \"" + r.kind + "\" is not supported; known: none, linear, llama3, factors");
  if (!(r.factor > 0) || !std::isfinite(r.factor)) throw InputError(kConfig, "rope scaling factor", "must be above 0");
  if (r.kind == "llama3" &&
      (r.original_max_positions <= 0 || !(r.low_freq_factor > 0) || !(r.high_freq_factor > r.low_freq_factor)))
    throw InputError(
        kConfig, "rope scaling",
        "llama3 needs original_max_position_embeddings above 0 and low_freq_factor below high_freq_factor");
}

}  // namespace

void check_model_config(const ModelConfig& c) {
  require_positive(c.vocab_size, "vocab_size");
  require_positive(c.hidden_size, "hidden_size");
  require_positive(c.intermediate_size, "intermediate_size");
  require_positive(c.layers, "num_hidden_layers");
  require_positive(c.heads, "num_attention_heads");
  require_positive(c.kv_heads, "num_key_value_heads");
  require_positive(c.head_dim, "head_dim");
  require_positive(c.max_positions, "max_position_embeddings");
  if (c.heads % c.kv_heads != 0)
    throw InputError(kConfig, "num_key_value_heads",
                     std::to_string(c.heads) + " attention heads cannot be shared by " + std::to_string(c.kv_heads) +
                         " key/value heads evenly");
  if (c.head_dim % 2 != 0)
    throw InputError(kConfig, "head_dim",
                     "found " + std::to_string(c.head_dim) + "; rotary embedding needs an even number");
  if (!(c.norm_eps >= 0)) throw InputError(kConfig, "rms_norm_eps", "must not be negative");
  if (c.sliding_window < 0) throw InputError(kConfig, "sliding_window", "must not be negative");
  check_rope(c);
}

int64_t ModelConfig::parameter_count() const {
  const int64_t q = heads * head_dim, kv = kv_heads * head_dim;
  int64_t block = hidden_size * (q + 2 * kv) + q * hidden_size + 3 * hidden_size * intermediate_size + 2 * hidden_size;
  if (attention_bias) block += q + 2 * kv + hidden_size;
  if (mlp_bias) block += 2 * intermediate_size + hidden_size;
  return vocab_size * hidden_size * (tied_head ? 1 : 2) + layers * block + hidden_size;
}

std::vector<double> rope_inverse_frequencies(const ModelConfig& c) {
  const int64_t half = c.head_dim / 2;
  std::vector<double> out(static_cast<size_t>(half));
  for (int64_t j = 0; j < half; ++j) {
    // Power and quotient are rounded to f32 one after the other, as where models are trained: a frequency one unit in the
    // last place beside it turns by 1e-5 more after a hundred tokens.
    const float power = static_cast<float>(std::pow(c.rope_theta, 2.0 * static_cast<double>(j) / static_cast<double>(c.head_dim)));
    const double w = static_cast<double>(1.0f / power);
    double& effective = out[static_cast<size_t>(j)];
    if (c.rope.kind == "linear")
      effective = w / c.rope.factor;
    else if (c.rope.kind == "llama3")
      effective = llama3_frequency(w, c.rope);
    else if (c.rope.kind == "factors")
      effective = w / static_cast<double>(c.rope.factors[static_cast<size_t>(j)]);
    else
      effective = w;
  }
  return out;
}

}  // namespace lorikeet
