// What lies at a path decides which reader opens it; loading then runs the readers' weight source with progress and
// stop.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/opened_model.h"
#include "core/models/weights_on.h"

namespace lorikeet {
namespace {

using detail::OpenedModel;

class OpenedModelFiles final : public ModelFiles {
 public:
  explicit OpenedModelFiles(OpenedModel model) : model_(std::move(model)) {
    for (const detail::StoredTensor& t : model_.tensors) tensors_.push_back(t.info);
  }
  const std::string& path() const override { return model_.path; }
  std::string container() const override { return model_.container; }
  const ModelConfig& config() const override { return model_.config; }
  const std::vector<ModelTensorInfo>& tensors() const override { return tensors_; }
  TokenizerPtr tokenizer() const override { return model_.tokenizer; }
  std::string chat_template_source() const override { return model_.chat_template; }
  Json template_variables() const override { return model_.template_variables; }
  const std::vector<std::string>& warnings() const override { return model_.warnings; }
  std::string base_name() const override { return model_.base_name; }
  std::string content_hash() const override { return detail::cached_content_hash(model_.weight_files); }
  std::unique_ptr<WeightSource> weights(Context& cx, const LoadOptions& options) const override {
    return detail::make_weight_source(model_, cx, options);
  }

 private:
  OpenedModel model_;
  std::vector<ModelTensorInfo> tensors_;
};

/// Passes requests on, counts bytes and ends the loading when asked.
class WatchedSource final : public WeightSource {
 public:
  WatchedSource(WeightSource& inner, const ModelFiles& files, std::stop_token stop,
                const std::function<void(uint64_t, uint64_t)>& progress)
      : inner_(inner), stop_(std::move(stop)), progress_(progress) {
    for (const ModelTensorInfo& t : files.tensors()) {
      sizes_.emplace(t.name, t.bytes);
      total_ += t.bytes;
    }
  }
  bool has(const std::string& name) const override { return inner_.has(name); }
  FrozenWeightPtr matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) override {
    begin();
    FrozenWeightPtr out = inner_.matrix(name, rows, columns, quantise);
    done(name);
    return out;
  }
  Tensor vector(const std::string& name, int64_t size) override {
    begin();
    Tensor out = inner_.vector(name, size);
    done(name);
    return out;
  }

 private:
  void begin() const {
    if (stop_.stop_requested()) throw Interrupted("loading the model was stopped");
  }
  void done(const std::string& name) {
    if (const auto it = sizes_.find(name); it != sizes_.end()) done_ += it->second;
    if (progress_) progress_(std::min(done_, total_), total_);
  }
  WeightSource& inner_;
  std::stop_token stop_;
  const std::function<void(uint64_t, uint64_t)>& progress_;
  std::map<std::string, uint64_t> sizes_;
  uint64_t done_ = 0, total_ = 0;
};

/// A folder without config.json.
OpenedModel open_other_folder(const std::string& folder) {
  std::error_code none;
  if (fs::is_regular_file(folder + "/adapter_config.json", none))
    throw InputError(folder, "", "is an adapter, not a model; give the base model here and this folder as the adapter");
  if (fs::is_regular_file(folder + "/run.json", none))
    throw InputError(folder, "", "is a run, not a model; give the base model here and this folder as the adapter");
  std::vector<std::string> ggufs;
  bool weights = false;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.path().extension() == ".gguf") ggufs.push_back(entry.path().string());
    weights |= entry.path().extension() == ".safetensors";
  }
  if (ggufs.size() == 1) return detail::open_gguf_model(ggufs[0]);
  if (ggufs.size() > 1) {
    std::sort(ggufs.begin(), ggufs.end());
    throw InputError(folder, "",
                     fmt::format("has {} .gguf files; give one of them, for example {}", ggufs.size(),
                                 printable(fs::path(ggufs[0]).filename().string(), 80)));
  }
  if (weights) throw InputError(folder, "config.json", "is missing; without it the sizes of the model are not known");
  throw InputError(folder, "", "holds no model: neither config.json nor a .gguf file");
}

bool begins_with(const std::string& path, std::string_view magic) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), reinterpret_cast<const char*>(bytes.data()));
}

OpenedModel open_file(const std::string& path) {
  const std::string extension = to_lower_ascii(fs::path(path).extension().string());
  if (extension == ".gguf" || begins_with(path, "GGUF")) return detail::open_gguf_model(path);
  if (extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".ckpt")
    throw InputError(path, "",
                     "pickle files can run code and are not opened; convert once with transformers: "
                     "save_pretrained(folder, safe_serialization=True)");
  if (extension != ".safetensors")
    throw InputError(path, "", "is no model; a model is a folder with config.json, a .gguf or a .safetensors file");
  std::string folder = fs::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  std::error_code none;
  if (!fs::is_regular_file(folder + "/config.json", none))
    throw InputError(path, "", "config.json is missing beside it; without it the sizes of the model are not known");
  // One part of a model in parts stands for the whole.
  const bool part = fs::path(path).filename().string().find("-of-") != std::string::npos &&
                    fs::is_regular_file(folder + "/model.safetensors.index.json", none);
  return detail::open_hf_model(folder, part ? std::string() : path);
}

/// The one .gguf of a folder whose config.json came along without weights of its own; else empty.
std::string only_gguf_weights(const std::string& folder) {
  std::string found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")) return {};
    if (!name.ends_with(".gguf")) continue;
    if (!found.empty()) return {};
    found = entry.path().string();
  }
  return found;
}

OpenedModel open_path(const std::string& given) {
  std::string path = given;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::error_code none;
  const auto status = fs::status(path, none);
  if (!fs::exists(status))
    throw InputError(path, "",
                     "no such file or folder; a model is a folder with config.json, a .gguf or a .safetensors file");
  if (!fs::is_directory(status)) {
    if (!fs::is_regular_file(status)) throw InputError(path, "", "is no regular file");
    return open_file(path);
  }
  if (!fs::is_regular_file(path + "/config.json", none)) return open_other_folder(path);
  const std::string gguf = only_gguf_weights(path);
  return gguf.empty() ? detail::open_hf_model(path, {}) : detail::open_gguf_model(gguf);
}

}  // namespace

ModelFilesPtr open_model(const std::string& path) {
  try {
    return std::make_shared<OpenedModelFiles>(open_path(path));
  } catch (const fs::filesystem_error& e) {
    throw InputError(path, "", std::string("cannot be read: ") + e.code().message());
  }
}

std::unique_ptr<Model> load_model(const ModelFiles& files, Context& cx, const LoadOptions& options,
                                  std::stop_token stop, const std::function<void(uint64_t, uint64_t)>& progress) {
  const ModelFactory make = models().get(files.config().architecture);
  if (cx.device() == DeviceType::cpu) {
    const auto source = files.weights(cx, options);
    WatchedSource watched(*source, files, stop, progress);
    return make(files.config(), watched, stop);
  }
  Context host(cx.threads());  // reads and codes
  const auto source = files.weights(host, options);
  WatchedSource watched(*source, files, stop, progress);
  WeightsOn on_device(watched, cx.device(), host_table_from(files.config()));
  return make(files.config(), on_device, stop);
}

}  // namespace lorikeet
