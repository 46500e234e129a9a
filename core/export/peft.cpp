// A PEFT adapter folder: adapter_config.json and adapter_model.safetensors, re-read and compared bit by bit.
#include <cstring>
#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/export/exporter.h"
#include "core/io/adapter_files.h"

namespace lorikeet {
namespace {

// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" -> "model.layers.0.self_attn.q_proj"
std::string module_of(const std::string& tensor) {
  constexpr std::string_view kPrefix = "base_model.model.";
  std::string_view name = tensor;
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  return std::string(name.substr(0, name.find(".lora_")));
}

void compare(const AdapterFiles& wanted, const std::string& folder) {
  const AdapterFiles read = read_adapter(folder);
  if (read.tensors.size() != wanted.tensors.size()) throw RunError(folder + ": read back, the adapter has another number of tensors");
  for (const auto& [name, tensor] : wanted.tensors) {
    bool same = false;
    for (const auto& [other, copy] : read.tensors)
      if (other == name) same = copy.shape() == tensor.shape() && copy.dtype() == tensor.dtype() && std::memcmp(copy.raw(), tensor.raw(), tensor.bytes()) == 0;
    if (!same) throw RunError(folder + ": read back, " + name + " is not what was written");
  }
}

}  // namespace

std::vector<ExportedFile> export_peft(const ExportInput& input, std::stop_token stop) {
  if (!input.type.empty() && input.type != "f32") throw UnsupportedError("--type " + printable(input.type, 40) + ": a PEFT adapter is written in f32");
  AdapterFiles adapter = read_adapter(input.adapter);
  for (auto& [name, tensor] : adapter.tensors)
    if (tensor.dtype() != DType::f32) tensor = tensor.to(DType::f32);
  std::vector<NamedParameter> parameters;
  std::set<std::string> modules;
  for (const auto& [name, tensor] : adapter.tensors) {
    parameters.push_back({name, make_leaf(tensor, false)});
    modules.insert(module_of(name));
  }
  if (stop.stop_requested()) throw Interrupted("stopped before anything was written");
  write_adapter(input.out, adapter.spec, parameters, {modules.begin(), modules.end()});
  compare(adapter, input.out);
  return exported_files(input.out);
}

}  // namespace lorikeet
