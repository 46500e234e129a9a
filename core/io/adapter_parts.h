/// What reading an adapter passes between its files: adapter_config.json (adapter_config.cpp), the tensors
/// (adapter_files.cpp) and the GGUF form (gguf_adapter.cpp).
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/json.h"
#include "core/io/adapter_files.h"
#include "core/methods/method.h"

namespace lorikeet::detail {

constexpr int64_t kMaxRank = 65536;

struct AdapterConfig {
  AdapterSpec spec;
  // In the order of the file, where the first hit wins.
  std::vector<std::pair<std::string, int64_t>> ranks;
  std::vector<std::pair<std::string, double>> alphas;
  bool some_layers_only = false;  // layers_to_transform or exclude_modules: the tensors say which modules are meant
};
/// Throws InputError for what is no plain LoRA adapter, with the reason.
AdapterConfig parse_adapter_config(const Json& json, const std::string& file);
/// A module's name as a pattern that means this module alone.
std::string escaped_name(const std::string& module);
/// A GGUF LoRA adapter under PEFT names; rows as in the file. Throws InputError, IoError.
AdapterFiles read_gguf_adapter(const std::string& path);

}  // namespace lorikeet::detail
