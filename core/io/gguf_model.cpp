// Model sizes from GGUF metadata, each with its range; tensors are compared with them by the caller
// (expected_tensors.h).
#include <charconv>
#include <cstring>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/gguf.h"
#include "core/io/model_limits.h"

namespace lorikeet {
namespace {

/// Metadata holds f32; 1e-05 in the model's config became 9.9999997e-06. The shortest text of the f32 is what was
/// meant.
double as_written(double v) {
  const auto narrow = static_cast<float>(v);
  if (static_cast<double>(narrow) != v) return v;
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, narrow);
  return parse_double(std::string_view(text, static_cast<size_t>(end.ptr - text))).value_or(v);
}

void refuse_other_kinds(const GgufFile& f) {
  const auto refuse = [&](const std::string& where, const std::string& text) {
    throw InputError(f.path(), where, text);
  };
  const std::string type = f.text("general.type").value_or("model");
  if (type == "adapter") refuse("key general.type", "this is an adapter, not a model; give the model it belongs to");
  if (type != "model") refuse("key general.type", "\"" + printable(type, 40) + "\" is no language model");
  const auto architecture = f.text("general.architecture");
  if (!architecture) refuse("key general.architecture", "is missing; this is no model file");
  if (*architecture != "llama")
    refuse("key general.architecture", "\"" + printable(*architecture, 40) +
                                           "\" is not supported; this version reads GGUF models of architecture llama");
  if (f.integer("split.count", 0, 65535).value_or(1) > 1)
    refuse("key split.count", "this is one part of a split model; join the parts first (llama-gguf-split --merge)");
  if (f.integer("llama.expert_count", 0, 65535).value_or(0) > 0)
    refuse("key llama.expert_count", "mixture-of-experts models are not supported");
}

int64_t wanted(const GgufFile& f, const std::string& key, int64_t max) {
  const auto v = f.integer(key, 1, max);
  if (!v) throw InputError(f.path(), "key " + key, "is missing; the model's sizes cannot be known without it");
  return *v;
}

void read_rope(const GgufFile& f, ModelConfig& c) {
  c.rope_theta = as_written(f.number("llama.rope.freq_base").value_or(10000));
  const int64_t rotated = f.integer("llama.rope.dimension_count", 1, detail::kMaxHeadDim).value_or(c.head_dim);
  if (rotated != c.head_dim)
    throw InputError(f.path(), "key llama.rope.dimension_count",
                     "found " + std::to_string(rotated) + " of " + std::to_string(c.head_dim) +
                         " dimensions; rotating a part of each head is not supported");
  const std::string kind = f.text("llama.rope.scaling.type").value_or("none");
  const auto old_factor = f.number("llama.rope.scale_linear");  // files from before scaling.type
  if (kind == "linear" || (kind == "none" && old_factor.value_or(1) != 1)) {
    c.rope.kind = "linear";
    c.rope.factor = as_written(f.number("llama.rope.scaling.factor").value_or(old_factor.value_or(1)));
  } else if (kind != "none") {
    throw InputError(f.path(), "key llama.rope.scaling.type",
                     "\"" + printable(kind, 40) + "\" is not supported; none and linear are");
  }
  const GgufTensor* factors = f.find("rope_freqs.weight");
  if (!factors) return;
  if (factors->type != 0 || factors->shape != std::vector<int64_t>{c.head_dim / 2})
    throw InputError(f.path(), "tensor rope_freqs.weight",
                     "must be F32 with " + std::to_string(c.head_dim / 2) + " values");
  if (c.rope.kind == "linear")
    throw InputError(f.path(), "tensor rope_freqs.weight",
                     "stands beside linear rope scaling; both at once have no meaning here");
  c.rope.kind = "factors";
  c.rope.factors.resize(static_cast<size_t>(c.head_dim / 2));
  std::memcpy(c.rope.factors.data(), f.bytes(*factors).data(), factors->bytes);
}

}  // namespace

ModelConfig model_config_of_gguf(const GgufFile& f) {
  refuse_other_kinds(f);
  ModelConfig c;
  c.layers = wanted(f, "llama.block_count", detail::kMaxLayers);
  c.hidden_size = wanted(f, "llama.embedding_length", detail::kMaxWidth);
  c.intermediate_size = wanted(f, "llama.feed_forward_length", detail::kMaxWidth);
  c.heads = wanted(f, "llama.attention.head_count", detail::kMaxWidth);
  c.kv_heads = f.integer("llama.attention.head_count_kv", 1, c.heads).value_or(c.heads);
  c.max_positions = wanted(f, "llama.context_length", int64_t{1} << 30);
  const auto key_length = f.integer("llama.attention.key_length", 1, detail::kMaxHeadDim);
  c.head_dim = key_length.value_or(c.hidden_size / c.heads);
  if (f.integer("llama.attention.value_length", 1, detail::kMaxHeadDim).value_or(c.head_dim) != c.head_dim)
    throw InputError(f.path(), "key llama.attention.value_length",
                     "keys and values of different width are not supported");
  if (!key_length && c.hidden_size % c.heads != 0)
    throw InputError(f.path(), "key llama.attention.head_count",
                     std::to_string(c.heads) + " heads do not divide the width " + std::to_string(c.hidden_size));
  const auto eps = f.number("llama.attention.layer_norm_rms_epsilon");
  if (!eps) throw InputError(f.path(), "key llama.attention.layer_norm_rms_epsilon", "is missing");
  c.norm_eps = as_written(*eps);
  c.sliding_window = f.integer("llama.attention.sliding_window", 0, INT64_MAX).value_or(0);
  read_rope(f, c);
  const GgufTensor* embedding = f.find("token_embd.weight");
  if (!embedding || embedding->shape.size() != 2)
    throw InputError(f.path(), "tensor token_embd.weight", "is missing; the file holds no model");
  c.vocab_size = f.integer("llama.vocab_size", 1, detail::kMaxWidth).value_or(embedding->shape[0]);
  c.tied_head = f.find("output.weight") == nullptr;
  c.attention_bias = f.find("blk.0.attn_q.bias") != nullptr;
  c.mlp_bias = f.find("blk.0.ffn_gate.bias") != nullptr;
  detail::check_limits(c, f.path());
  return c;
}

}  // namespace lorikeet
