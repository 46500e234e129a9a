/// A fine-tuning method: how linears are built, what is trainable and how it is saved. The trainer never asks which
/// method it runs. To add one: write methods/<name>.cpp, add one line to methods.cpp.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/registry.h"
#include "core/models/model.h"

namespace lorikeet {

struct NamedParameter {
  std::string name;  // tensor name in a PEFT file: "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
  Var var;           // f32, needs_grad
};

/// Settings of an adapter, as adapter_config.json has them.
struct AdapterSpec {
  std::string method = "lora";
  int64_t rank = 16;
  double alpha = 32, dropout = 0;
  bool rslora = false, dora = false;
  std::string init = "default";                  // default | gaussian
  std::vector<std::string> target_modules;       // names or suffixes; {"all-linear"}; or one pattern (see target_regex)
  bool target_is_pattern = false;                // target_modules[0] must match the whole module name
  std::map<std::string, int64_t> rank_pattern;   // regex/suffix -> rank
  std::map<std::string, double> alpha_pattern;
  std::string base_model_name;
  uint64_t seed = 42;
};

class Method {
 public:
  virtual ~Method() = default;
  /// Attaches fresh adapters. Throws ConfigError("adapter.target_modules", ...) listing the modules when nothing matches.
  virtual void attach(Model& model, const AdapterSpec& spec) const = 0;
  /// Everything trained, in a fixed order (names sorted as in the file).
  virtual std::vector<NamedParameter> parameters(Model& model) const = 0;
  /// Trainable values for a config without building it.
  virtual int64_t parameter_count(const std::vector<LinearShape>& linears, const AdapterSpec& spec) const = 0;
  /// Largest rank among matched modules, matched module names (for planning and for adapter_config.json).
  virtual std::vector<LinearShape> matched(const std::vector<LinearShape>& linears, const AdapterSpec& spec) const = 0;
};
const Registry<const Method*>& methods();
/// Rank and alpha of one module after the patterns.
std::pair<int64_t, double> rank_and_alpha(const AdapterSpec& spec, const std::string& module);
/// alpha/r or alpha/sqrt(r).
double adapter_scale(const AdapterSpec& spec, const std::string& module);
/// Turns all adapters of a model on or off (base against tuned in the chat).
void enable_adapters(Model& model, bool on);

}  // namespace lorikeet
