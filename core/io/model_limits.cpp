// One sentence for each size that no real model has; check_model_config knows what makes a decoder.
#include "core/io/model_limits.h"

#include <cmath>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lorikeet::detail {
namespace {

void require_range(const std::string& file, const char* field, int64_t v, int64_t min, int64_t max) {
  if (v < min || v > max)
    throw InputError(file, field,
                     "found " + std::to_string(v) + "; wanted " + std::to_string(min) + " to " + std::to_string(max));
}

}  // namespace

void check_limits(const ModelConfig& c, const std::string& file) {
  require_range(file, "number of layers", c.layers, 1, kMaxLayers);
  require_range(file, "hidden size", c.hidden_size, 1, kMaxWidth);
  require_range(file, "intermediate size", c.intermediate_size, 1, kMaxWidth);
  require_range(file, "vocabulary size", c.vocab_size, 1, kMaxWidth);
  require_range(file, "attention heads", c.heads, 1, kMaxWidth);
  require_range(file, "key/value heads", c.kv_heads, 1, c.heads);
  require_range(file, "head size", c.head_dim, 2, kMaxHeadDim);
  require_range(file, "context length", c.max_positions, 1, int64_t{1} << 30);
  if (!(c.norm_eps > 0 && c.norm_eps < 1))
    throw InputError(file, "norm epsilon", "found " + shortest(c.norm_eps) + "; wanted above 0 and below 1");
  if (!(c.rope_theta > 0) || !std::isfinite(c.rope_theta))
    throw InputError(file, "rope theta", "found " + shortest(c.rope_theta) + "; wanted above 0");
  try {
    check_model_config(c);
  } catch (const InputError& e) {
    throw InputError(file, "", e.what());
  } catch (const UnsupportedError& e) {
    throw InputError(file, "", e.what());
  }
}

}  // namespace lorikeet::detail
