/// LoRA and rank-stabilised LoRA (Hu et al. 2021, arXiv:2106.09685; Kalajdzievski 2023, arXiv:2312.03732) as PEFT
/// initialises and names them. Each matrix draws from a stream of its own name, so values do not depend on order.
#include "core/methods/lora.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/methods/target_match.h"

namespace lorikeet {
namespace {

constexpr const char* kPeftPrefix = "base_model.model.";

/// The first pattern that matches wins, as in PEFT.
template <class Value>
Value pattern_value(const std::map<std::string, Value>& patterns, const char* key, const std::string& module,
                    Value otherwise) {
  for (const auto& [text, value] : patterns)
    if (NamePattern(key, module_end_pattern(text)).matches(module)) return value;
  return otherwise;
}

void check_spec(const AdapterSpec& spec) {
  if (spec.dora)
    throw UnsupportedError(
        "adapter.dora: weight-decomposed adapters (DoRA) are not in this version; set adapter.dora to false");
  if (spec.init != "default" && spec.init != "gaussian")
    throw ConfigError("adapter.init", "adapter.init: \"" + spec.init + "\" is unknown; known: default, gaussian");
  if (!(spec.dropout >= 0 && spec.dropout < 1))
    throw ConfigError("adapter.dropout", "adapter.dropout: must be at least 0 and below 1");
}

Tensor initial_a(const AdapterSpec& spec, const std::string& module, int64_t rank, int64_t in) {
  Tensor a = Tensor::empty({rank, in});
  RandomStream random(spec.seed, stream_of(module + ".lora_A"));
  // Kaiming-uniform with slope sqrt(5) comes to U(-1/sqrt(in), 1/sqrt(in)).
  const double bound = 1.0 / std::sqrt(static_cast<double>(in)), deviation = 1.0 / static_cast<double>(rank);
  float* out = a.data<float>();
  for (int64_t i = 0; i < a.size(); ++i)
    out[i] = static_cast<float>(spec.init == "gaussian" ? deviation * random.normal() : random.uniform(-bound, bound));
  return a;
}

std::vector<LinearShape> shapes_of(const std::vector<Linear*>& linears) {
  std::vector<LinearShape> out;
  for (const Linear* l : linears) out.push_back({l->name(), l->out_features(), l->in_features()});
  return out;
}

class Lora final : public Method {
 public:
  void attach(Model& model, const AdapterSpec& spec) const override {
    check_spec(spec);
    const std::vector<Linear*> linears = model.linears();
    const std::vector<LinearShape> wanted = matched_modules(shapes_of(linears), spec);
    auto next = wanted.begin();  // a subsequence of the linears, in the same order
    for (Linear* linear : linears) {
      if (next == wanted.end() || next->name != linear->name()) {
        linear->set_adapter(nullptr);
        continue;
      }
      ++next;
      const int64_t rank = rank_and_alpha(spec, linear->name()).first;
      auto adapter = std::make_unique<LoraAdapter>();
      const DeviceType device = linear->weight().device();
      adapter->a = make_leaf(initial_a(spec, linear->name(), rank, linear->in_features()).on(device), true);
      adapter->b = make_leaf(Tensor::zeros({linear->out_features(), rank}, DType::f32, device), true);
      adapter->scale = static_cast<float>(adapter_scale(spec, linear->name()));
      adapter->dropout = static_cast<float>(spec.dropout);
      linear->set_adapter(std::move(adapter));
    }
  }

  std::vector<NamedParameter> parameters(Model& model) const override {
    std::vector<NamedParameter> out;
    for (Linear* linear : model.linears()) {
      LoraAdapter* adapter = linear->adapter();
      if (!adapter) continue;
      out.push_back({kPeftPrefix + linear->name() + ".lora_A.weight", adapter->a});
      out.push_back({kPeftPrefix + linear->name() + ".lora_B.weight", adapter->b});
    }
    std::sort(out.begin(), out.end(), [](const NamedParameter& a, const NamedParameter& b) { return a.name < b.name; });
    return out;
  }

  int64_t parameter_count(const std::vector<LinearShape>& linears, const AdapterSpec& spec) const override {
    int64_t count = 0;
    for (const LinearShape& s : matched(linears, spec))
      count += rank_and_alpha(spec, s.name).first * (s.rows + s.columns);
    return count;
  }

  std::vector<LinearShape> matched(const std::vector<LinearShape>& linears, const AdapterSpec& spec) const override {
    check_spec(spec);  // asked before a run folder is made
    return matched_modules(linears, spec);
  }
};

}  // namespace

const Method* lora_method() {
  static const Lora method;
  return &method;
}

std::pair<int64_t, double> rank_and_alpha(const AdapterSpec& spec, const std::string& module) {
  const int64_t rank = pattern_value(spec.rank_pattern, "adapter.rank_pattern", module, spec.rank);
  const double alpha = pattern_value(spec.alpha_pattern, "adapter.alpha_pattern", module, spec.alpha);
  if (rank <= 0)
    throw ConfigError("adapter.rank",
                      "adapter.rank: " + std::to_string(rank) + " for " + module + "; wanted at least 1");
  return {rank, alpha};
}

double adapter_scale(const AdapterSpec& spec, const std::string& module) {
  const auto [rank, alpha] = rank_and_alpha(spec, module);
  return spec.rslora ? alpha / std::sqrt(static_cast<double>(rank)) : alpha / static_cast<double>(rank);
}

void enable_adapters(Model& model, bool on) {
  for (Linear* linear : model.linears())
    if (LoraAdapter* adapter = linear->adapter()) adapter->enabled = on;
}

}  // namespace lorikeet
