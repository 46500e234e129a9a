// The tensors are carried over bit by bit in the type they have; adapter_config.json is written anew with the keys
// every PEFT release knows.
#include "core/export/peft.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/io/adapter_files.h"
#include "core/io/folder_swap.h"
#include "core/io/run_folder.h"
#include "core/io/safetensors.h"

namespace lorikeet {
namespace {

constexpr const char* kPrefix = "base_model.model.";

std::vector<std::string> modules_of(const AdapterFiles& adapter) {
  std::set<std::string> out;
  for (const auto& [name, tensor] : adapter.tensors)
    out.insert(name.substr(std::strlen(kPrefix), name.rfind(".lora_") - std::strlen(kPrefix)));
  return {out.begin(), out.end()};
}

/// A checkpoint of a run keeps its adapter in adapter/; its hashes are checked before it is trusted.
void refuse_damaged_checkpoint(const std::string& from) {
  std::error_code none;
  for (const std::string& folder : {from, fs::path(from + "/..").lexically_normal().string()}) {
    if (!fs::is_regular_file(folder + "/manifest.json", none)) continue;
    if (const std::string damage = RunFolder::checkpoint_damage(folder); !damage.empty())
      throw InputError(folder, "", damage);
  }
}

/// A GGUF adapter gets the order of rows of a PEFT adapter, and the name of its base where it has none.
AdapterFiles read_for_export(const ExportInput& input) {
  AdapterFiles adapter = read_adapter(input.adapter);
  if (!adapter.gguf_rows) return adapter;
  if (!input.base)
    throw UsageError(printable(input.adapter, 200) + ": a GGUF adapter is exported together with its base model");
  put_rows_in_hf_order(adapter, input.base->config(), input.adapter);
  if (adapter.spec.base_model_name.empty()) adapter.spec.base_model_name = input.base->base_name();
  return adapter;
}

/// The written folder against its source: same tensors bit for bit, same meaning of the config.
void compare(const AdapterFiles& source, const std::string& folder) {
  const AdapterFiles written = read_adapter(folder);
  int64_t different = 0;
  const auto wrong = [&](const std::string& what) {
    throw RunError(printable(folder, 200) + ": was written but reads back differently: " + what);
  };
  if (written.tensors.size() != source.tensors.size()) wrong("another number of tensors");
  for (const auto& [name, tensor] : source.tensors) {
    const auto it =
        std::find_if(written.tensors.begin(), written.tensors.end(), [&](const auto& t) { return t.first == name; });
    if (it == written.tensors.end() || it->second.dtype() != tensor.dtype() || it->second.shape() != tensor.shape())
      wrong(name);
    different += std::memcmp(it->second.raw(), tensor.raw(), tensor.bytes()) != 0;
  }
  if (different > 0) wrong(fmt::format("{} tensors differ", different));
  for (const std::string& module : modules_of(source))
    if (adapter_scale(written.spec, module) != adapter_scale(source.spec, module)) wrong("the scale of " + module);
}

}  // namespace

std::vector<ExportedFile> export_peft(const ExportInput& input, std::stop_token stop) {
  if (!input.type.empty() && input.type != "f32")
    throw UnsupportedError(
        "--type " + printable(input.type, 40) +
        " is not offered for PEFT adapters; f32 is, and without --type they keep the type they have");
  refuse_damaged_checkpoint(input.adapter);
  AdapterFiles adapter = read_for_export(input);
  if (input.type == "f32")
    for (auto& [name, tensor] : adapter.tensors) tensor = tensor.to(DType::f32);
  require_new_folder(input.out);
  FolderSwap swap(input.out);
  write_safetensors(swap.path() + "/adapter_model.safetensors", adapter.tensors);
  write_file_atomic(swap.path() + "/adapter_config.json",
                    dump_json(adapter_config_json(adapter.spec, modules_of(adapter)), 2) + "\n");
  compare(adapter, swap.path());
  if (stop.stop_requested()) throw Interrupted("the export was stopped");
  swap.commit();
  return exported_files(input.out);
}

}  // namespace lorikeet
