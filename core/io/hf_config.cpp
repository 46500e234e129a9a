// Class defaults apply where a key is missing, as in the library that wrote the file; both spellings of rope settings.
#include "core/io/hf_config.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/json_reader.h"
#include "core/io/model_limits.h"
#include "core/models/model.h"

namespace lorikeet::detail {
namespace {

struct ClassDefaults {
  std::string_view architecture;
  int64_t intermediate, kv_heads /* 0: as heads */, max_positions, sliding_window;
};
constexpr std::array kDefaults = {
    ClassDefaults{"LlamaForCausalLM", 11008, 0, 2048, 0},
    ClassDefaults{"MistralForCausalLM", 14336, 8, 131072, 4096},
};

std::string architecture_of(const JsonReader& r) {
  std::string name;
  if (const Json* list = r.find("architectures")) {
    if (!list->is_array() || list->empty() || !(*list)[0].is_string())
      r.fail("architectures", "a list with the name of a class is wanted");
    name = (*list)[0].get<std::string>();
  } else {
    const std::string type = r.text("model_type").value_or("");
    if (type == "llama") name = "LlamaForCausalLM";
    if (type == "mistral") name = "MistralForCausalLM";
    if (name.empty()) r.fail("architectures", "is missing; it names the kind of model");
  }
  if (!models().find(name))
    r.fail("architectures",
           "\"" + printable(name, 60) + "\" is not supported; this version knows " + join(models().names(), ", "));
  return name;
}

void read_rope_kind(const JsonReader& rope, const std::string& kind, ModelConfig& c) {
  if (kind == "default") return;
  if (kind == "linear" || kind == "llama3") {
    c.rope.kind = kind;
    const auto factor = rope.number("factor");
    if (!factor) rope.fail("factor", "is missing");
    c.rope.factor = *factor;
    if (kind == "linear") return;
    c.rope.low_freq_factor = rope.number("low_freq_factor").value_or(1);
    c.rope.high_freq_factor = rope.number("high_freq_factor").value_or(4);
    const auto original = rope.integer("original_max_position_embeddings", 1, int64_t{1} << 30);
    if (!original) rope.fail("original_max_position_embeddings", "is missing");
    c.rope.original_max_positions = *original;
    return;
  }
  rope.fail("rope_type", "\"" + printable(kind, 40) + "\" is not supported; default, linear and llama3 are");
}

/// Old spelling: rope_theta beside rope_scaling; transformers 5: one object rope_parameters, perhaps keyed by layer
/// type.
void read_rope(const JsonReader& r, ModelConfig& c) {
  c.rope_theta = r.number("rope_theta").value_or(10000);
  double partial = r.number("partial_rotary_factor").value_or(1);
  auto rope = r.object("rope_parameters");
  if (rope) {
    if (const auto full = rope->object("full_attention")) rope = full;
    c.rope_theta = rope->number("rope_theta").value_or(c.rope_theta);
    partial = rope->number("partial_rotary_factor").value_or(partial);
  } else {
    rope = r.object("rope_scaling");
  }
  if (partial != 1)
    r.fail("partial_rotary_factor", "found " + shortest(partial) + "; rotating a part of each head is not supported");
  if (!rope) return;
  auto kind = rope->text("rope_type");
  if (!kind) kind = rope->text("type");
  read_rope_kind(*rope, kind.value_or("default"), c);
}

/// True for 4-bit weights as bitsandbytes stores them; other pre-quantised forms are refused by name.
bool read_quantization(const JsonReader& r) {
  const auto q = r.object("quantization_config");
  if (!q) return false;
  const std::string method = q->text("quant_method").value_or("bitsandbytes");
  if (method != "bitsandbytes")
    q->fail("quant_method", "weights in the form \"" + printable(method, 40) +
                                "\" are not read; take the model before quantisation, or a GGUF");
  const auto flag = [&](const char* a, const char* b) { return q->boolean(a).value_or(q->boolean(b).value_or(false)); };
  if (flag("load_in_8bit", "_load_in_8bit"))
    q->fail("load_in_8bit",
            "8-bit bitsandbytes checkpoints are not read; take the model before quantisation, or a 4-bit one");
  return flag("load_in_4bit", "_load_in_4bit");
}

void read_sizes(const JsonReader& r, const ClassDefaults& d, ModelConfig& c) {
  const auto size = [&](const char* key, int64_t max, int64_t otherwise) {
    return r.integer(key, 1, max).value_or(otherwise);
  };
  c.vocab_size = size("vocab_size", kMaxWidth, 32000);
  c.hidden_size = size("hidden_size", kMaxWidth, 4096);
  c.intermediate_size = size("intermediate_size", kMaxWidth, d.intermediate);
  c.layers = size("num_hidden_layers", kMaxLayers, 32);
  c.heads = size("num_attention_heads", kMaxWidth, 32);
  // Written as null it means "as many as heads"; only a missing key takes the class default.
  const bool missing = !r.json().contains("num_key_value_heads");
  c.kv_heads = size("num_key_value_heads", c.heads, missing && d.kv_heads > 0 ? d.kv_heads : c.heads);
  const auto head_dim = r.integer("head_dim", 1, kMaxHeadDim);
  if (!head_dim && c.hidden_size % c.heads != 0)
    r.fail("num_attention_heads", std::to_string(c.heads) + " heads do not divide hidden_size " +
                                      std::to_string(c.hidden_size) + ", and head_dim is missing");
  c.head_dim = head_dim.value_or(c.hidden_size / c.heads);
  c.max_positions = size("max_position_embeddings", int64_t{1} << 30, d.max_positions);
}

}  // namespace

HfConfig parse_hf_config(const Json& config, const std::string& file) {
  const JsonReader r(config, file);
  HfConfig out;
  ModelConfig& c = out.model;
  c.architecture = architecture_of(r);
  const auto known = std::find_if(kDefaults.begin(), kDefaults.end(),
                                  [&](const ClassDefaults& d) { return d.architecture == c.architecture; });
  const ClassDefaults& d = known == kDefaults.end() ? kDefaults[0] : *known;
  read_sizes(r, d, c);
  c.norm_eps = r.number("rms_norm_eps").value_or(1e-6);
  read_rope(r, c);
  c.tied_head = r.boolean("tie_word_embeddings").value_or(false);
  const std::string activation = r.text("hidden_act").value_or("silu");
  if (activation == "gelu_pytorch_tanh" || activation == "gelu_new") c.activation = GateActivation::gelu_tanh;
  else if (activation != "silu" && activation != "swish")
    r.fail("hidden_act", "\"" + printable(activation, 40) + "\" is not supported; silu and gelu_pytorch_tanh are");
  if (c.architecture == "LlamaForCausalLM") {  // other classes know neither key
    c.attention_bias = r.boolean("attention_bias").value_or(false);
    c.mlp_bias = r.boolean("mlp_bias").value_or(false);
  }
  // Classes without a window ignore the key; written as null it means none.
  if (d.sliding_window > 0)
    c.sliding_window = config.contains("sliding_window") ? r.integer("sliding_window", 0, int64_t{1} << 30).value_or(0)
                                                         : d.sliding_window;
  out.bitsandbytes_4bit = read_quantization(r);
  check_limits(c, file);
  return out;
}

}  // namespace lorikeet::detail
