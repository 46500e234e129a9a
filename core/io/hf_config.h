/// config.json of a Hugging Face folder as a ModelConfig (formats.md 2.2-2.5).
#pragma once
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/models/model_config.h"

namespace lorikeet::detail {

struct HfConfig {
  ModelConfig model;
  bool bitsandbytes_4bit = false;  // quantization_config says so; each tensor is still looked at on its own
  std::vector<std::string> warnings;
};
/// `file` is the path of config.json. Throws InputError: unknown architecture, sizes out of range, rope kinds,
/// activations or pre-quantised forms that are not supported, each by name.
HfConfig parse_hf_config(const Json& config, const std::string& file);

}  // namespace lorikeet::detail
