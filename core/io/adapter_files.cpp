// The tensors of an adapter decide which modules it sits on; config and model are held against them.
#include "core/io/adapter_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/io/adapter_parts.h"
#include "core/io/folder_swap.h"
#include "core/io/safetensors.h"
#include "core/methods/target_match.h"

namespace lorikeet {
namespace {

using std::string_literals::operator""s;

constexpr const char* kPrefix = "base_model.model.";
constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorFile = "adapter_model.safetensors";
constexpr uint64_t kMaxConfigBytes = 4u << 20;

bool is_file(const std::string& path) {
  std::error_code none;
  return fs::is_regular_file(path, none);
}

std::string folder_of(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (is_file(path) && (path.ends_with(kConfigFile) || path.ends_with(kTensorFile)))
    path = fs::path(path).parent_path().string();
  if (path.empty()) path = ".";
  for (const std::string& folder : {path, path + "/adapter"})
    if (is_file(folder + "/" + kConfigFile)) return folder;
  std::error_code none;
  if (!fs::exists(path, none)) throw InputError(path, "", "no such file or folder; "s + kAdapterKinds);
  if (is_file(path + "/config.json"))
    throw InputError(path, "", "is a model, not an adapter: it has config.json and no adapter_config.json");
  throw InputError(path, "", (is_file(path) ? "is no GGUF file; "s : "has no adapter_config.json; "s) + kAdapterKinds);
}

struct TensorName {
  std::string module;
  bool is_a = false;
};
/// Module and half of "base_model.model.<module>.lora_A.weight"; refuses every other kind of name with its meaning.
TensorName parse_name(const std::string& name, const std::string& file) {
  const std::string place = "tensor " + printable(name, 90);
  if (!name.starts_with(kPrefix))
    throw InputError(file, place, "does not begin with base_model.model.; this is no PEFT adapter file");
  if (name.find("lora_embedding_") != std::string::npos)
    throw InputError(file, place, "adapters on embeddings are not supported in this version");
  if (name.find("lora_magnitude_vector") != std::string::npos)
    throw InputError(file, place, "belongs to DoRA, which is not supported in this version");
  const std::string_view rest = std::string_view(name).substr(std::string_view(kPrefix).size());
  // Some trainers leave the adapter's name in memory, "default", in the file.
  for (const bool is_a : {true, false})
    for (const char* ending : {".weight", ".default.weight"}) {
      const std::string suffix = std::string(is_a ? ".lora_A" : ".lora_B") + ending;
      if (rest.size() > suffix.size() && rest.ends_with(suffix))
        return {std::string(rest.substr(0, rest.size() - suffix.size())), is_a};
    }
  throw InputError(
      file, place,
      "is neither lora_A nor lora_B; whole modules and biases in an adapter are not supported in this version");
}

void check_tensor(const SafetensorsFile& file, const SafetensorsEntry& e, const Tensor& values) {
  const std::string place = "tensor " + printable(e.name, 90);
  if (e.dtype != "F32" && e.dtype != "F16" && e.dtype != "BF16")
    throw InputError(file.path(), place, "has dtype " + e.dtype + "; F32, F16 or BF16 is wanted");
  if (e.shape.size() != 2 || e.shape[0] < 1 || e.shape[1] < 1)
    throw InputError(file.path(), place, "has the shape " + to_string(e.shape) + "; a matrix is wanted");
  const Tensor f = values.to(DType::f32);
  const float* v = f.data<float>();
  for (int64_t i = 0; i < f.size(); ++i)
    if (!std::isfinite(v[i]))
      throw InputError(file.path(), place, fmt::format("value {} is not finite (NaN or infinity)", i));
}

struct Halves {
  int64_t a_rank = 0, b_rank = 0;
};

/// Both halves there and of one rank, which is the one the config gives.
void check_ranks(const std::map<std::string, Halves>& modules, const AdapterSpec& spec, const std::string& file) {
  for (const auto& [module, h] : modules) {
    const std::string place = "module " + printable(module, 90);
    if (h.a_rank == 0 || h.b_rank == 0)
      throw InputError(file, place, std::string(h.a_rank == 0 ? "lora_A" : "lora_B") + " is missing");
    if (h.a_rank != h.b_rank)
      throw InputError(file, place, fmt::format("lora_A has rank {}, lora_B has rank {}", h.a_rank, h.b_rank));
    const int64_t rank = rank_and_alpha(spec, module).first;
    if (rank != h.a_rank)
      throw InputError(file, place, fmt::format("has rank {}, adapter_config.json says {}", h.a_rank, rank));
  }
}

/// AdapterSpec keeps patterns by name; where keys overlap so that the file's order matters, they become one entry a
/// module.
template <class Value>
void keep_file_order(const std::vector<std::pair<std::string, Value>>& in_order,
                     const std::map<std::string, Halves>& modules, std::map<std::string, Value>& patterns) {
  if (in_order.size() < 2) return;
  std::map<std::string, Value> exact;
  bool overlap = false;
  std::vector<std::pair<NamePattern, Value>> compiled;
  for (const auto& [key, value] : in_order)
    compiled.emplace_back(NamePattern("adapter pattern", "(.*\\.)?(" + key + ")"), value);
  for (const auto& [module, halves] : modules) {
    int hits = 0;
    for (const auto& [pattern, value] : compiled)
      if (pattern.matches(module) && hits++ == 0) exact.emplace(detail::escaped_name(module), value);
    overlap |= hits > 1;
  }
  if (overlap) patterns = std::move(exact);
}

AdapterFiles read_folder(const std::string& folder) {
  const std::string config_path = folder + "/" + kConfigFile, path = folder + "/" + kTensorFile;
  detail::AdapterConfig config =
      detail::parse_adapter_config(parse_json(read_file(config_path, kMaxConfigBytes), config_path), config_path);
  if (!is_file(path))
    throw InputError(
        folder, kTensorFile,
        is_file(folder + "/adapter_model.bin")
            ? "is missing; adapter_model.bin is a pickle and not opened: load it with PEFT once and save it again"
            : "is missing");
  const SafetensorsFile file(path);
  AdapterFiles out;
  std::map<std::string, Halves> modules;
  for (const SafetensorsEntry& e : file.entries()) {
    const TensorName name = parse_name(e.name, path);
    Tensor values = file.tensor(e);
    check_tensor(file, e, values);
    Halves& h = modules[name.module];
    int64_t& rank = name.is_a ? h.a_rank : h.b_rank;
    if (rank != 0) throw InputError(path, "tensor " + printable(e.name, 90), "stands twice");
    rank = name.is_a ? e.shape[0] : e.shape[1];
    // A copy: an adapter is small, and its file may be replaced while the model is in use.
    out.tensors.emplace_back(kPrefix + name.module + (name.is_a ? ".lora_A.weight" : ".lora_B.weight"), values.clone());
  }
  if (modules.empty()) throw InputError(path, "", "holds no tensor");
  try {
    keep_file_order(config.ranks, modules, config.spec.rank_pattern);
    keep_file_order(config.alphas, modules, config.spec.alpha_pattern);
    check_ranks(modules, config.spec, path);
  } catch (const ConfigError& e) {
    throw InputError(config_path, "rank_pattern or alpha_pattern", e.what());
  }
  out.spec = std::move(config.spec);
  if (config.some_layers_only) {
    out.spec.target_is_pattern = false;
    out.spec.target_modules.clear();
    for (const auto& [module, halves] : modules) out.spec.target_modules.push_back(module);
  }
  return out;
}

[[noreturn]] void refuse(const std::string& path, const std::vector<std::string>& wrong) {
  for (size_t i = 0; i < wrong.size() && i < 20; ++i) log_error(path + ": " + wrong[i]);
  throw InputError(
      path, "",
      wrong.size() == 1 ? wrong[0] : fmt::format("{} tensors do not fit the model; first: {}", wrong.size(), wrong[0]));
}

/// Modules that carry tensors, as explicit names: the tensors are what an adapter is.
AdapterSpec spec_of_tensors(const AdapterFiles& adapter) {
  AdapterSpec spec = adapter.spec;
  spec.target_is_pattern = false;
  std::set<std::string> modules;
  for (const auto& [name, tensor] : adapter.tensors) modules.insert(parse_name(name, "adapter").module);
  spec.target_modules.assign(modules.begin(), modules.end());
  return spec;
}

/// Modules the config's targets mean but the tensors lack: such a file is incomplete.
void find_missing(Model& model, const AdapterFiles& adapter, const std::map<std::string, const Tensor*>& given,
                  std::vector<std::string>& wrong) {
  std::vector<LinearShape> shapes;
  for (const Linear* l : model.linears()) shapes.push_back({l->name(), l->out_features(), l->in_features()});
  for (const LinearShape& s : methods().get(adapter.spec.method)->matched(shapes, adapter.spec))
    if (!given.count(kPrefix + s.name + ".lora_A.weight"))
      wrong.push_back(s.name + " is among the adapter's targets but has no tensors");
}

}  // namespace

std::string detail::escaped_name(const std::string& module) {
  std::string out;
  for (const char c : module) {
    if (c == '.') out += '\\';
    out += c;
  }
  return out;
}

bool is_gguf_file(const std::string& path) {
  if (!is_file(path)) return false;
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  return file.read(magic, sizeof magic) && std::string_view(magic, sizeof magic) == "GGUF";
}

AdapterFiles read_adapter(const std::string& path) {
  const bool gguf = is_gguf_file(path);
  const std::string place = gguf ? path : folder_of(path);
  try {
    return gguf ? detail::read_gguf_adapter(place) : read_folder(place);
  } catch (const IoError& e) {
    throw InputError(place, "", e.what());
  }
}

void attach_adapter(Model& model, const AdapterFiles& adapter, const std::string& path) {
  if (adapter.gguf_rows) {
    AdapterFiles ordered = adapter;
    put_rows_in_hf_order(ordered, model.config(), path);
    return attach_adapter(model, ordered, path);
  }
  std::map<std::string, const Tensor*> given;
  for (const auto& [name, tensor] : adapter.tensors) given.emplace(name, &tensor);
  std::vector<std::string> wrong;
  std::map<std::string, Linear*> linears;
  for (Linear* l : model.linears()) linears.emplace(l->name(), l);
  for (const auto& [name, tensor] : adapter.tensors) {
    const TensorName n = parse_name(name, path);
    const auto it = linears.find(n.module);
    if (it == linears.end()) {
      wrong.push_back("the model has no linear layer " + printable(n.module, 90));
      continue;
    }
    const int64_t found = tensor.dim(n.is_a ? 1 : 0),
                  wanted = n.is_a ? it->second->in_features() : it->second->out_features();
    if (found != wanted)
      wrong.push_back(fmt::format("{} has {} {}, the layer has {}", printable(name, 90), found,
                                  n.is_a ? "inputs" : "outputs", wanted));
  }
  for (const std::string& warning : adapter.warnings) log_warning(path + ": " + warning);
  const Method& method = *methods().get(adapter.spec.method);
  try {
    if (wrong.empty()) find_missing(model, adapter, given, wrong);
    if (!wrong.empty()) refuse(path, wrong);
    method.attach(model, spec_of_tensors(adapter));
  } catch (const ConfigError& e) {
    throw InputError(path, "", e.what());
  } catch (const UnsupportedError& e) {
    throw InputError(path, "", e.what());
  }
  for (const NamedParameter& p : method.parameters(model)) {
    const auto it = given.find(p.name);
    if (it == given.end() || it->second->shape() != p.var->value.shape())
      throw InputError(path, "tensor " + printable(p.name, 90), "is missing or of another shape");
    p.var->value.copy_from(it->second->to(DType::f32));
  }
}

void write_adapter(const std::string& folder, const AdapterSpec& spec, const std::vector<NamedParameter>& parameters,
                   const std::vector<std::string>& matched_modules) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const NamedParameter& p : parameters) tensors.emplace_back(p.name, p.var->value.on(DeviceType::cpu).to(DType::f32));
  FolderSwap swap(folder);
  write_safetensors(swap.path() + "/" + kTensorFile, tensors);
  write_file_atomic(swap.path() + "/" + kConfigFile, dump_json(adapter_config_json(spec, matched_modules), 2) + "\n");
  swap.commit();
}

}  // namespace lorikeet
