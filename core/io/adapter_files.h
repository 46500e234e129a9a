/// PEFT adapters: adapter_config.json + adapter_model.safetensors, read with checks and written so that PEFT, vLLM and
/// llama.cpp's converter load them (formats.md 6). GGUF adapters are read too (formats.md 3.6).
#pragma once
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/methods/method.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

struct AdapterFiles {
  AdapterSpec spec;
  std::vector<std::pair<std::string, Tensor>> tensors;  // PEFT names
  // From a GGUF: rows of lora_B of q_proj and k_proj stand in GGUF's rotary order until put_rows_in_hf_order().
  bool gguf_rows = false;
  std::vector<std::string> warnings;  // what the reader passed over
};
/// What a path to an adapter may be, for messages.
inline constexpr const char* kAdapterKinds = "an adapter is a PEFT folder, a GGUF adapter or a run folder";
/// `path`: a PEFT folder, a GGUF adapter or a run folder (its adapter/). Throws InputError.
AdapterFiles read_adapter(const std::string& path);
/// True for a file that begins as a GGUF does; whether it holds an adapter, read_adapter() says.
bool is_gguf_file(const std::string& path);
/// Puts the rows of a GGUF adapter into the order every computation here wants; nothing to do for others. Throws
/// InputError when they are not those of `base`. attach_adapter() does it itself.
void put_rows_in_hf_order(AdapterFiles& adapter, const ModelConfig& base, const std::string& path);
/// Attaches the adapter to the model; every tensor must find its module and fit. Throws InputError listing what does
/// not.
void attach_adapter(Model& model, const AdapterFiles& adapter, const std::string& path);
/// Writes the two files atomically (temporary folder, rename). Returns nothing half-written.
void write_adapter(const std::string& folder, const AdapterSpec& spec, const std::vector<NamedParameter>& parameters,
                   const std::vector<std::string>& matched_modules);
/// adapter_config.json exactly as written.
Json adapter_config_json(const AdapterSpec& spec, const std::vector<std::string>& matched_modules);

}  // namespace lorikeet
