#include "core/run/detail/loaded_model.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/io/adapter_files.h"
#include "core/io/run_folder.h"
#include "core/run/detail/device_trial.h"

namespace lorikeet::detail {
namespace {

// The model a run was made from, when `adapter` lies in a run folder; else empty.
std::string base_of_run(const std::string& adapter) {
  fs::path p = fs::absolute(adapter).lexically_normal();
  for (int up = 0; up < 4 && !p.empty(); ++up, p = p.parent_path()) {
    if (!RunFolder::is_run_folder(p.string())) continue;
    const Json run = read_json_file((p / "run.json").string(), 16u << 20);
    if (run.contains("config") && run["config"].contains("model")) return run["config"]["model"].value("path", "");
  }
  return {};
}

std::string base_of_adapter(const std::string& place) {
  const std::string from_run = base_of_run(place);
  if (!from_run.empty()) return from_run;
  const std::string named = read_adapter(place).spec.base_model_name;
  if (named.empty()) return {};
  try {
    return resolve_model_path(named);  // a path, or a hub id that is on this machine
  } catch (const InputError&) {
    return {};
  }
}

// Nothing on this machine is the base the adapter names, so the default model stands in for it, when it fits.
void attach_to_default(LoadedModel& out, const AdapterFiles& files, const std::string& adapter) {
  try {
    attach_adapter(*out.model, files, adapter);
  } catch (const InputError&) {
    const std::string& base = files.spec.base_model_name;
    throw InputError(adapter, "", fmt::format("does not fit the default model, and {}; name its base with --model",
                                              base.empty() ? "it names no base model" : "its base \"" + printable(base, 60) + "\" is not on this machine"));
  }
}

}  // namespace

std::string adapter_place_of(const std::string& path) {
  std::error_code none;
  if (is_gguf_file(path)) return path;
  for (const std::string& candidate : {path, path + "/adapter"})
    if (fs::exists(candidate + "/adapter_config.json", none)) return candidate;
  if (!fs::exists(path, none)) throw InputError(path, "", std::string("no such file or folder; ") + kAdapterKinds);
  throw InputError(path, "", std::string("no adapter_config.json here or in adapter/, and no GGUF file; ") + kAdapterKinds + " (or a checkpoint of one)");
}

namespace {
// Empty: nothing names one, the default model stands in.
std::string base_path_of(const LoadRequest& request) {
  if (!request.model.empty() || request.adapter.empty()) return request.model;
  return base_of_adapter(adapter_place_of(request.adapter));
}
}  // namespace

const Tokenizer& tokenizer_of(const ModelFiles& files) {
  const TokenizerPtr t = files.tokenizer();
  if (!t) throw InputError(files.path(), "", "has no tokenizer (tokenizer.json, tokenizer.model or GGUF metadata); text cannot be read with it");
  return *t;
}

std::unique_ptr<ChatTemplate> template_for(const ModelFiles& files, const std::string& name) {
  if (name.empty() || name == "auto") {
    const std::string source = files.chat_template_source();
    return source.empty() ? nullptr : std::make_unique<ChatTemplate>(source, files.path());
  }
  if (name.ends_with(".jinja")) return std::make_unique<ChatTemplate>(read_file(name, 256 << 10), name);
  return std::make_unique<ChatTemplate>(builtin_template(name), name);
}

ModelFilesPtr open_base(const LoadRequest& request) { return open_model(resolve_model_path(base_path_of(request))); }

LoadedModel load_for_use(const LoadRequest& request, std::stop_token stop) {
  LoadedModel out;
  const std::string model = base_path_of(request);
  const std::string adapter = request.adapter.empty() ? std::string() : adapter_place_of(request.adapter);
  out.files = open_model(resolve_model_path(model));
  // The adapter's own files are checked before the weights are read: a wrong one must not cost a minute.
  AdapterFiles adapter_files;
  if (!adapter.empty()) adapter_files = read_adapter(adapter);
  if (request.device != DeviceType::cpu) try_device(request.device);
  out.cx = std::make_unique<Context>(request.threads, request.device);
  out.cx->set_compute(request.compute);
  out.model = load_model(*out.files, *out.cx, request.options, stop, request.progress);
  out.tokenizer = out.files->tokenizer();
  out.chat = template_for(*out.files, "auto");
  if (!adapter.empty()) {
    if (model.empty()) attach_to_default(out, adapter_files, adapter);
    else attach_adapter(*out.model, adapter_files, adapter);
    out.has_adapter = true;
  }
  return out;
}

}  // namespace lorikeet::detail
