// Recognising by content first, then the reader of that kind checks it; nothing is reported that was not checked.
#include "core/io/inspect.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/adapter_files.h"
#include "core/io/gguf.h"
#include "core/io/hf_config.h"
#include "core/io/model_files.h"
#include "core/io/run_folder.h"
#include "core/io/safetensors.h"

namespace lorikeet {
namespace {

constexpr uint64_t kSmallModel = 64u << 20;  // below, starting threads costs more than it saves

bool is_file(const std::string& path) {
  std::error_code none;
  return fs::is_regular_file(path, none);
}

/// {"Q4_1": {"tensors": 210, "bytes": 123}, ...}
void count_format(Json& formats, const std::string& type, uint64_t bytes) {
  Json& f = formats[type];
  if (f.is_null()) f = {{"tensors", 0}, {"bytes", 0}};
  f["tensors"] = f["tensors"].get<int64_t>() + 1;
  f["bytes"] = f["bytes"].get<uint64_t>() + bytes;
}

Json tokenizer_json(const Tokenizer& t) {
  Json j = {
      {"kind", t.kind()}, {"vocab_size", t.vocab_size()}, {"fingerprint", t.fingerprint()}, {"stop_ids", t.stop_ids}};
  const auto special = [&](const char* name, const std::optional<int32_t>& id) {
    j[name] = id ? Json(*id) : Json(nullptr);
  };
  special("bos", t.bos);
  special("eos", t.eos);
  special("pad", t.pad);
  special("unk", t.unk);
  return j;
}

Json inspect_model(const std::string& path) {
  const ModelFilesPtr files = open_model(path);
  Json warnings = Json::array();
  for (const std::string& w : files->warnings()) warnings.push_back(w);
  Json formats = Json::object();
  for (const ModelTensorInfo& t : files->tensors()) count_format(formats, t.stored, t.bytes);
  Json chat = nullptr;
  if (const std::string source = files->chat_template_source(); !source.empty()) {
    const ChatTemplate parsed(source, files->path());  // throws with the line when it does not parse
    chat = source;
  }
  uint64_t bytes = 0;
  for (const ModelTensorInfo& t : files->tensors()) bytes += t.bytes;
  Context cx(bytes < kSmallModel ? 1 : 0);
  const auto source = files->weights(cx, {});
  for (const ModelTensorInfo& t : files->tensors()) {  // looks at every scale and plain value
    if (t.shape.size() == 2)
      source->matrix(t.name, t.shape[0], t.shape[1], false);
    else
      source->vector(t.name, t.shape[0]);
  }
  const ModelConfig& c = files->config();
  Json j = {{"kind", "model"},
            {"architecture", c.architecture},
            {"parameters", c.parameter_count()},
            {"context_length", c.max_positions},
            {"formats", formats},
            {"tokenizer", files->tokenizer() ? tokenizer_json(*files->tokenizer()) : Json(nullptr)},
            {"chat_template", chat}};
  j["container"] = files->container();
  j["layers"] = c.layers;
  j["hidden_size"] = c.hidden_size;
  j["vocab_size"] = c.vocab_size;
  j["warnings"] = warnings;
  return j;
}

Json inspect_adapter(const std::string& path) {
  const AdapterFiles adapter = read_adapter(path);
  Json formats = Json::object();
  int64_t parameters = 0;
  for (const auto& [name, tensor] : adapter.tensors) {
    count_format(formats,
                 to_lower_ascii(dtype_name(tensor.dtype())) == "f32" ? "F32"
                 : tensor.dtype() == DType::bf16                     ? "BF16"
                                                                     : "F16",
                 tensor.bytes());
    parameters += tensor.size();
  }
  const AdapterSpec& s = adapter.spec;
  return {{"kind", "adapter"},
          {"architecture", "LoRA"},
          {"parameters", parameters},
          {"context_length", nullptr},
          {"formats", formats},
          {"tokenizer", nullptr},
          {"chat_template", nullptr},
          {"rank", s.rank},
          {"alpha", s.alpha},
          {"rslora", s.rslora},
          {"target_modules", s.target_modules},
          {"base_model", s.base_model_name},
          {"warnings", adapter.warnings}};
}

Json inspect_run(const std::string& path) {
  const auto run = summarise_run(path);
  if (!run) throw InputError(path, "run.json", "cannot be read as a run");
  Json warnings = Json::array();
  for (const int64_t step : RunFolder::checkpoint_steps(path))
    if (const std::string damage = RunFolder::checkpoint_damage(RunFolder::checkpoint_path(path, step));
        !damage.empty())
      warnings.push_back(fmt::format("checkpoint of step {}: {}", step, damage));
  Json j = {{"kind", "run"},
            {"architecture", nullptr},
            {"parameters", nullptr},
            {"context_length", nullptr},
            {"formats", Json::object()},
            {"tokenizer", nullptr},
            {"chat_template", nullptr}};
  j["state"] = run->state;
  j["model"] = run->model;
  j["step"] = run->step;
  j["total_steps"] = run->total_steps;
  j["warnings"] = warnings;
  return j;
}

Json inspect_tokenizer(const TokenizerPtr& tokenizer, const std::string& chat) {
  return {{"kind", "tokenizer"},
          {"architecture", nullptr},
          {"parameters", nullptr},
          {"context_length", nullptr},
          {"formats", Json::object()},
          {"tokenizer", tokenizer_json(*tokenizer)},
          {"chat_template", chat.empty() ? Json(nullptr) : Json(chat)},
          {"warnings", Json::array()}};
}

/// As other adapters, with the types as the file stores them.
Json inspect_gguf_adapter(const GgufFile& file) {
  Json j = inspect_adapter(file.path());
  Json formats = Json::object();
  for (const GgufTensor& t : file.tensors()) count_format(formats, std::string(stored_type(t.type)->name), t.bytes);
  j["formats"] = formats;
  j["container"] = "gguf";
  return j;
}

/// A GGUF without tensors carries a tokenizer only.
Json inspect_gguf(const std::string& path) {
  const GgufFile file(path);
  if (file.text("general.type").value_or("model") == "adapter") return inspect_gguf_adapter(file);
  if (!file.tensors().empty()) return inspect_model(path);
  const GgufTokenizerData data = tokenizer_of_gguf(file);
  if (data.tokens.empty() && data.huggingface_json.empty())
    throw InputError(path, "", "a GGUF with neither tensors nor a tokenizer");
  const std::string chat = file.text("tokenizer.chat_template").value_or("");
  if (!chat.empty()) ChatTemplate(chat, path);
  return inspect_tokenizer(tokenizer_from_gguf(data, path), chat);
}

Json data_json() {
  return {{"kind", "data"},
          {"architecture", nullptr},
          {"parameters", nullptr},
          {"context_length", nullptr},
          {"formats", Json::object()},
          {"tokenizer", nullptr},
          {"chat_template", nullptr},
          {"warnings", Json::array()}};
}

bool holds_data_files(const std::string& folder) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    for (const char* extension : {".jsonl", ".json", ".csv", ".tsv", ".txt"})
      if (entry.path().extension() == extension) return true;
  return false;
}

Json inspect_folder(const std::string& path) {
  if (is_file(path + "/run.json")) return inspect_run(path);
  if (is_file(path + "/adapter_config.json")) return inspect_adapter(path);
  std::error_code none;
  bool weights = false, gguf = false;
  for (const auto& entry : fs::directory_iterator(path, none)) {
    const std::string name = entry.path().filename().string();
    weights |= name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json") || name.ends_with(".bin");
    gguf |= name.ends_with(".gguf");
  }
  if (gguf || weights || is_file(path + "/config.json")) {
    // A tokenizer saved alone often brings config.json along.
    const bool alone = !gguf && !weights && (is_file(path + "/tokenizer.json") || is_file(path + "/tokenizer.model"));
    if (!alone) return inspect_model(path);
  }
  const TokenizerPtr tokenizer = tokenizer_from_folder(path);
  if (!tokenizer && holds_data_files(path)) return data_json();
  if (!tokenizer) throw InputError(path, "", "holds no model, adapter, run, tokenizer or data");
  const std::string chat = chat_template_of_folder(path);
  if (!chat.empty()) ChatTemplate(chat, path);
  return inspect_tokenizer(tokenizer, chat);
}

std::string file_beginning(const std::string& path, size_t bytes) {
  const MappedFile file(path);
  const auto all = file.bytes();
  return {reinterpret_cast<const char*>(all.data()), std::min(all.size(), bytes)};
}

std::string folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

/// Weights with nothing beside them that says which model they belong to: the file itself is checked.
Json inspect_loose_tensors(const std::string& path) {
  const SafetensorsFile file(path);
  Json formats = Json::object();
  uint64_t parameters = 0;
  for (const SafetensorsEntry& e : file.entries()) {
    const auto bytes = file.bytes(e);
    count_format(formats, e.dtype, bytes.size());
    const int type = e.dtype == "F32" ? 0 : e.dtype == "F16" ? 1 : e.dtype == "BF16" ? 30 : -1;
    uint64_t count = 1;
    for (const int64_t n : e.shape) count *= static_cast<uint64_t>(n);
    parameters += count;
    if (int64_t bad = 0; type >= 0 && !stored_scales_finite(type, bytes, bad))
      throw InputError(path, "tensor " + printable(e.name, 90),
                       fmt::format("value {} is not finite (NaN or infinity)", bad));
  }
  Json j = data_json();
  j["kind"] = "model";
  j["parameters"] = parameters;
  j["formats"] = formats;
  j["warnings"] = {"config.json is missing beside it: a whole file of tensors, but its model is not known"};
  return j;
}

/// A safetensors file stands for its folder: an adapter's tensors, or a model's weights.
Json inspect_safetensors(const std::string& path) {
  const std::string folder = folder_of(path);
  if (is_file(folder + "/adapter_config.json") && fs::path(path).filename() == "adapter_model.safetensors")
    return inspect_adapter(folder);
  return is_file(folder + "/config.json") ? inspect_model(path) : inspect_loose_tensors(path);
}

/// config.json, with the weights of its folder when they are there.
Json inspect_config(const Json& config, const std::string& path) {
  const ModelConfig c = detail::parse_hf_config(config, path).model;
  std::error_code none;
  if (fs::path(path).filename() == "config.json")
    for (const auto& entry : fs::directory_iterator(folder_of(path), none))
      if (entry.path().extension() == ".safetensors" || entry.path().extension() == ".gguf")
        return inspect_model(folder_of(path));
  Json j = data_json();
  j["kind"] = "model";
  j["architecture"] = c.architecture;
  j["parameters"] = c.parameter_count();
  j["context_length"] = c.max_positions;
  j["warnings"] = {"only the model's settings; its weights are not here"};
  return j;
}

/// Settings of a tokenizer or a chat template without the tokenizer itself.
Json inspect_template(const std::string& source, const std::string& path) {
  if (!source.empty()) ChatTemplate(source, path);
  if (const TokenizerPtr tokenizer = tokenizer_from_folder(folder_of(path)))
    return inspect_tokenizer(tokenizer, source);
  Json j = data_json();
  j["kind"] = "tokenizer";
  if (!source.empty()) j["chat_template"] = source;
  j["warnings"] = {"the tokenizer itself is not here"};
  return j;
}

/// A JSON file by its members; nothing when they are those of no kind known here.
std::optional<Json> inspect_json(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  const bool known = name == "config.json" || name == "adapter_config.json" || name == "tokenizer.json" ||
                     name == "tokenizer_config.json" || name == "model.safetensors.index.json" || name == "run.json";
  Json j;
  try {
    j = read_json_file(path);
  } catch (const InputError&) {
    if (known) throw;
    return std::nullopt;  // JSON Lines under another name, or damaged data: its reader says more
  }
  if (!j.is_object()) {
    if (known) throw InputError(path, "", "an object is wanted");
    return std::nullopt;
  }
  const auto has = [&](const char* key) { return j.contains(key); };
  if (name == "adapter_config.json" || has("peft_type"))
    return inspect_adapter(name == "adapter_config.json" ? folder_of(path) : path);
  if (name == "run.json") return inspect_run(folder_of(path));
  if (name == "model.safetensors.index.json" || has("weight_map")) return inspect_model(folder_of(path));
  if (name == "config.json" || has("architectures") || (has("model_type") && has("hidden_size")))
    return inspect_config(j, path);
  if (name == "tokenizer.json" || (has("model") && has("added_tokens")))
    return inspect_tokenizer(tokenizer_from_json(read_file(path, 256u << 20), path), "");
  if (name == "tokenizer_config.json") return inspect_template(chat_template_of_folder(folder_of(path)), path);
  return std::nullopt;
}

Json inspect_file(const std::string& path) {
  const std::string extension = to_lower_ascii(fs::path(path).extension().string());
  if (extension == ".gguf" || file_beginning(path, 4) == "GGUF") return inspect_gguf(path);
  if (extension == ".safetensors") return inspect_safetensors(path);
  if (extension == ".model")
    return inspect_tokenizer(tokenizer_from_sentencepiece(read_file(path, 64u << 20), path), "");
  if (extension == ".jinja") return inspect_template(read_file(path, 1u << 20), path);
  for (const char* pickle : {".bin", ".pt", ".pth", ".ckpt", ".pkl"})
    if (extension == pickle)
      throw InputError(path, "",
                       "pickle files can run code and are not opened; convert once with transformers: "
                       "save_pretrained(folder, safe_serialization=True)");
  if (extension == ".json")
    if (auto j = inspect_json(path)) return *j;
  return data_json();
}

}  // namespace

Json inspect_file_or_folder(const std::string& path) {
  std::error_code none;
  const auto status = fs::status(path, none);
  if (!fs::exists(status)) throw InputError(path, "", "no such file or folder");
  if (!fs::is_directory(status) && !fs::is_regular_file(status)) throw InputError(path, "", "is no regular file");
  try {
    return fs::is_directory(status) ? inspect_folder(path) : inspect_file(path);
  } catch (const fs::filesystem_error& e) {
    throw InputError(path, "", std::string("cannot be read: ") + e.code().message());
  }
}

}  // namespace lorikeet
