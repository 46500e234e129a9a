// adapter_config.json: written with the keys that every PEFT release knows, read with tolerance for the rest, and
// refused by name where it asks for something an adapter here cannot be (formats.md 6.2).
#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/adapter_files.h"
#include "core/io/adapter_parts.h"
#include "core/io/json_reader.h"

namespace lorikeet {
namespace {

/// Loaders read whole alphas as integers, and some only those.
Json whole_if_possible(double v) {
  if (v == std::floor(v) && std::fabs(v) < 9e15) return static_cast<int64_t>(v);
  return v;
}

std::vector<std::string> written_targets(const AdapterSpec& spec, const std::vector<std::string>& matched) {
  const bool all = spec.target_modules.size() == 1 && to_lower_ascii(spec.target_modules[0]) == "all-linear";
  std::set<std::string> out;
  if (all) {
    for (const std::string& module : matched) out.insert(module.substr(module.rfind('.') + 1));
  } else if (spec.target_is_pattern) {
    // Short names could mean modules that the pattern left out.
    out.insert(matched.begin(), matched.end());
  } else {
    out.insert(spec.target_modules.begin(), spec.target_modules.end());
  }
  return {out.begin(), out.end()};
}

/// Settings that change what an adapter is; value that is harmless -> sentence when it is another.
void refuse_other_kinds(const detail::JsonReader& r) {
  const auto refuse_true = [&](const char* key, const char* what) {
    if (r.boolean(key).value_or(false)) r.fail(key, std::string(what) + " is not supported in this version");
  };
  const auto refuse_set = [&](const char* key, const char* what) {
    const Json* v = r.find(key);
    if (v && !(v->is_structured() && v->empty()) && *v != Json(false))
      r.fail(key, std::string(what) + " is not supported in this version");
  };
  refuse_true("use_dora", "weight-decomposed LoRA (DoRA)");
  refuse_true("lora_bias", "a bias on lora_B");
  refuse_true("fan_in_fan_out", "an adapter for transposed weights");
  refuse_true("use_qalora", "QA-LoRA");
  refuse_set("modules_to_save", "an adapter that carries whole modules");
  refuse_set("trainable_token_indices", "an adapter that carries token rows");
  refuse_set("layer_replication", "an adapter that repeats layers");
  refuse_set("target_parameters", "an adapter on raw parameters");
  refuse_set("alora_invocation_tokens", "an activated adapter (aLoRA)");
  refuse_set("use_bdlora", "block-diagonal LoRA");
  for (const char* variant : {"arrow_config", "kasa_config", "velora_config", "monteclora_config"})
    refuse_set(variant, "this variant of LoRA");
  const std::string bias = r.text("bias").value_or("none");
  if (bias != "none")
    r.fail("bias", "\"" + printable(bias, 30) + "\": adapters that carry biases are not supported in this version");
}

std::string initialisation(const detail::JsonReader& r) {
  const Json* v = r.find("init_lora_weights");
  if (!v || v->is_boolean()) return "default";
  if (!v->is_string()) r.fail("init_lora_weights", "found " + detail::described(*v));
  const std::string name = to_lower_ascii(v->get<std::string>());
  if (name == "gaussian") return name;
  for (const char* changed : {"pissa", "olora", "corda", "loftq"})
    if (name.starts_with(changed))
      r.fail("init_lora_weights",
             "\"" + printable(name, 30) +
                 "\" adapters belong to changed base weights; convert it to a plain LoRA with PEFT first");
  return "default";
}

void read_targets(const detail::JsonReader& r, AdapterSpec& spec) {
  const Json* v = r.find("target_modules");
  if (!v) {
    spec.target_modules = {"q_proj", "v_proj"};  // the library's default for the Llama family
    return;
  }
  if (v->is_string()) {
    spec.target_modules = {v->get<std::string>()};
    spec.target_is_pattern = to_lower_ascii(spec.target_modules[0]) != "all-linear";
    return;
  }
  if (!v->is_array() || v->empty())
    r.fail("target_modules", "found " + detail::described(*v) + "; a list of names or one pattern is wanted");
  for (const Json& name : *v) {
    if (!name.is_string())
      r.fail("target_modules", "found " + detail::described(name) + " in the list; names are wanted");
    spec.target_modules.push_back(name.get<std::string>());
  }
}

}  // namespace

Json adapter_config_json(const AdapterSpec& spec, const std::vector<std::string>& matched_modules) {
  Json alphas = Json::object(), ranks = Json::object();
  for (const auto& [key, alpha] : spec.alpha_pattern) alphas[key] = whole_if_possible(alpha);
  for (const auto& [key, rank] : spec.rank_pattern) ranks[key] = rank;
  // In the order of their names, as PEFT writes them.
  Json j = Json::object();
  j["alpha_pattern"] = alphas;
  j["auto_mapping"] = nullptr;
  j["base_model_name_or_path"] = spec.base_model_name.empty() ? Json(nullptr) : Json(spec.base_model_name);
  j["bias"] = "none";
  j["fan_in_fan_out"] = false;
  j["inference_mode"] = true;
  j["init_lora_weights"] = spec.init == "gaussian" ? Json("gaussian") : Json(true);
  j["layers_pattern"] = nullptr;
  j["layers_to_transform"] = nullptr;
  j["loftq_config"] = Json::object();
  j["lora_alpha"] = whole_if_possible(spec.alpha);
  j["lora_dropout"] = spec.dropout;
  j["megatron_config"] = nullptr;
  j["megatron_core"] = "megatron.core";
  j["modules_to_save"] = nullptr;
  j["peft_type"] = "LORA";
  j["r"] = spec.rank;
  j["rank_pattern"] = ranks;
  j["revision"] = nullptr;
  j["target_modules"] = written_targets(spec, matched_modules);
  j["task_type"] = "CAUSAL_LM";
  j["use_dora"] = spec.dora;
  j["use_rslora"] = spec.rslora;
  return j;
}

namespace detail {

AdapterConfig parse_adapter_config(const Json& json, const std::string& file) {
  const JsonReader r(json, file);
  const std::string type = r.text("peft_type").value_or("");
  if (type != "LORA")
    r.fail("peft_type",
           type.empty() ? "is missing; LORA is wanted" : "\"" + printable(type, 40) + "\" is not supported; LORA is");
  const std::string task = r.text("task_type").value_or("CAUSAL_LM");
  if (task != "CAUSAL_LM")
    r.fail("task_type", "\"" + printable(task, 40) + "\" is no language-model adapter; CAUSAL_LM is wanted");
  refuse_other_kinds(r);
  AdapterConfig out;
  AdapterSpec& spec = out.spec;
  spec.rank = r.integer("r", 1, kMaxRank).value_or(8);
  spec.alpha = r.number("lora_alpha").value_or(8);
  spec.dropout = r.number("lora_dropout").value_or(0);
  if (spec.dropout < 0 || spec.dropout >= 1)
    r.fail("lora_dropout", "found " + shortest(spec.dropout) + "; wanted at least 0 and below 1");
  spec.rslora = r.boolean("use_rslora").value_or(false);
  spec.init = initialisation(r);
  spec.base_model_name = r.text("base_model_name_or_path").value_or("");
  read_targets(r, spec);
  if (const auto ranks = r.object("rank_pattern"))
    for (const auto& [key, value] : ranks->json().items())
      if (const auto v = ranks->integer(key, 1, kMaxRank)) out.ranks.emplace_back(key, *v);
  if (const auto alphas = r.object("alpha_pattern"))
    for (const auto& [key, value] : alphas->json().items())
      if (const auto v = alphas->number(key)) out.alphas.emplace_back(key, *v);
  spec.rank_pattern = {out.ranks.begin(), out.ranks.end()};
  spec.alpha_pattern = {out.alphas.begin(), out.alphas.end()};
  out.some_layers_only = r.has("layers_to_transform") || r.has("exclude_modules");
  return out;
}

}  // namespace detail
}  // namespace lorikeet
