/// The list of architectures. To add one: write models/<name>.cpp with make_<name>() and add its line here.
#include "core/base/error.h"
#include "core/models/llama.h"
#include "core/models/model.h"
#include "core/ops/adapted_linear.h"

namespace lorikeet {

const Registry<ModelFactory>& models() {
  static const Registry<ModelFactory> list("architecture", {
                                                               {"LlamaForCausalLM", &make_llama},
                                                               {"MistralForCausalLM", &make_llama},
                                                           });
  return list;
}

namespace {
constexpr std::string_view kPolicies[] = {"none", "norms+swiglu", "mlp", "full", "offload"};
}  // namespace

std::string_view checkpoint_policy_name(CheckpointPolicy policy) { return kPolicies[static_cast<size_t>(policy)]; }

CheckpointPolicy checkpoint_policy_from_name(std::string_view name) {
  for (const CheckpointPolicy p : kCheckpointPolicies)
    if (checkpoint_policy_name(p) == name) return p;
  throw ConfigError("training.checkpointing", "training.checkpointing: \"" + std::string(name) + "\"; known are none, norms+swiglu, mlp, full, offload");
}

uint64_t KvCache::bytes() const {
  uint64_t sum = 0;
  for (const auto* stores : {&keys, &values})
    for (const KvStore& s : *stores) sum += s.bytes();
  return sum;
}

Tensor logits_of(Context& cx, const Model& model, const Tensor& hidden) {
  Tensor logits = cx.empty({hidden.rows(), model.head().rows()}, sum_type(hidden.dtype()));
  adapted_linear(cx, {.x = hidden,
                      .w = model.head(),
                      .bias = nullptr,
                      .y = logits,
                      .a = nullptr,
                      .b = nullptr,
                      .scale = 1,
                      .h = nullptr,
                      .dropout = 0,
                      .dropout_seed = 0});
  const Tensor here = logits.on(DeviceType::cpu);
  return here.dtype() == DType::f32 ? here : here.to(DType::f32);
}

std::vector<LinearShape> linear_shapes(const ModelConfig& config) {
  const int64_t c = config.hidden_size, f = config.intermediate_size;
  const int64_t q = config.heads * config.head_dim, kv = config.kv_heads * config.head_dim;
  std::vector<LinearShape> out;
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer);
    const std::string attention = prefix + ".self_attn.", mlp = prefix + ".mlp.";
    out.push_back({attention + "q_proj", q, c});
    out.push_back({attention + "k_proj", kv, c});
    out.push_back({attention + "v_proj", kv, c});
    out.push_back({attention + "o_proj", c, q});
    out.push_back({mlp + "gate_proj", f, c});
    out.push_back({mlp + "up_proj", f, c});
    out.push_back({mlp + "down_proj", c, f});
  }
  return out;
}

}  // namespace lorikeet
