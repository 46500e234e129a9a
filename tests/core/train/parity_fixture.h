/// The fixtures of tests/tools/make_parity_fixtures.py: small models with logits, losses, adapter gradients and 20 AdamW
/// steps of transformers + PEFT in f32.
#pragma once
#include "core/methods/method.h"
#include "core/models/weights_on.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

namespace lorikeet::test {

inline constexpr const char* kParityFixtures[] = {"gqa_tied", "mha_untied_bias", "llama3_rope", "linear_rope", "mistral_window_geglu"};

inline AdapterSpec spec_from(const std::string& path) {
  const Json j = read_json_file(path);
  AdapterSpec spec;
  spec.rank = j["r"];
  spec.alpha = j["lora_alpha"];
  spec.rslora = j["use_rslora"];
  spec.target_is_pattern = j["target_modules"].is_string();
  if (spec.target_is_pattern)
    spec.target_modules = {j["target_modules"].get<std::string>()};
  else
    spec.target_modules = j["target_modules"].get<std::vector<std::string>>();
  spec.rank_pattern = j["rank_pattern"].get<std::map<std::string, int64_t>>();
  spec.alpha_pattern = j["alpha_pattern"].get<std::map<std::string, double>>();
  return spec;
}

/// A fixture opened: the base model, its adapter with the saved values, and what is expected.
struct ParityFixture {
  Context cx;
  std::unique_ptr<Model> model;
  std::vector<NamedParameter> parameters;
  TensorMap expected;
  Json settings;

  explicit ParityFixture(const std::string& name, DeviceType device = DeviceType::cpu) : cx(2, device) {
    const std::string folder = data_path("parity/" + name);
    MapSource source(read_fixture(folder + "/model.safetensors"));
    WeightsOn on_device(source, device);
    model = models().get("LlamaForCausalLM")(config_from_json(folder + "/config.json"), on_device, {});
    const Method& lora = *methods().get("lora");
    lora.attach(*model, spec_from(folder + "/adapter/adapter_config.json"));
    parameters = lora.parameters(*model);
    const TensorMap saved = read_fixture(folder + "/adapter/adapter_model.safetensors");
    if (saved.size() != parameters.size()) throw std::runtime_error("other modules matched than by PEFT");
    for (auto& p : parameters) p.var->value.copy_from(saved.at(p.name));
    expected = read_fixture(folder + "/fixture.safetensors");
    settings = fixture_settings(folder + "/fixture.safetensors");
  }
  TokenBatch micro(int64_t i) const { return batch_from(expected, "micro_" + std::to_string(i) + "."); }
  std::vector<TokenBatch> step(int64_t k) const {
    std::vector<TokenBatch> out;
    const auto n = settings["accumulation"].get<int64_t>();
    for (int64_t i = 0; i < n; ++i) out.push_back(micro(k * n + i));
    return out;
  }
};

}  // namespace lorikeet::test
