/// PEFT adapters: adapter_config.json + adapter_model.safetensors, read with checks and written so that PEFT, vLLM and
/// llama.cpp's converter load them (formats.md 6).
#pragma once
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/methods/method.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

struct AdapterFiles {
  AdapterSpec spec;
  std::vector<std::pair<std::string, Tensor>> tensors;  // names as in the file
};
/// `path`: a PEFT folder or a run folder (its adapter/). Throws InputError.
AdapterFiles read_adapter(const std::string& path);
/// Attaches the adapter to the model; every tensor must find its module and fit. Throws InputError listing what does
/// not.
void attach_adapter(Model& model, const AdapterFiles& adapter, const std::string& path);
/// Writes the two files atomically (temporary folder, rename). Returns nothing half-written.
void write_adapter(const std::string& folder, const AdapterSpec& spec, const std::vector<NamedParameter>& parameters,
                   const std::vector<std::string>& matched_modules);
/// adapter_config.json exactly as written.
Json adapter_config_json(const AdapterSpec& spec, const std::vector<std::string>& matched_modules);

}  // namespace lorikeet
