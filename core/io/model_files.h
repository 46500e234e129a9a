/// A model on disk, opened and checked but not loaded: folder (Hugging Face layout), .gguf, or .safetensors with its
/// folder. From here come config, tokenizer, chat template and, at load time, the weights.
#pragma once
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/models/model.h"
#include "core/quant/weight_format.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"

namespace lorikeet {

struct ModelTensorInfo {
  std::string name;    // Hugging Face name
  std::string stored;  // "BF16", "Q4_1", "nf4 (bitsandbytes)"
  std::vector<int64_t> shape;
  uint64_t bytes = 0;
};
struct LoadOptions {
  std::string quantization = "keep";  // a name of weight_formats() or "keep" (as stored); only block linears
  QuantOptions quant;
};
class ModelFiles {
 public:
  virtual ~ModelFiles() = default;
  virtual const std::string& path() const = 0;
  virtual std::string container() const = 0;  // "gguf" | "safetensors"
  virtual const ModelConfig& config() const = 0;
  virtual const std::vector<ModelTensorInfo>& tensors() const = 0;
  /// Null when the model carries none; commands that need one then throw InputError.
  virtual TokenizerPtr tokenizer() const = 0;
  /// Source text of the chat template, empty when none.
  virtual std::string chat_template_source() const = 0;
  /// bos_token, eos_token, ... as the template sees them.
  virtual Json template_variables() const = 0;
  /// Things worth knowing that are no errors.
  virtual const std::vector<std::string>& warnings() const = 0;
  /// The value for base_model_name_or_path: hub id where known, else the path.
  virtual std::string base_name() const = 0;
  /// sha256 over all weight files (cached by path, size and mtime in the user's cache folder).
  virtual std::string content_hash() const = 0;
  virtual std::unique_ptr<WeightSource> weights(Context& cx, const LoadOptions& options) const = 0;
};
using ModelFilesPtr = std::shared_ptr<const ModelFiles>;
/// Checks everything that can be checked without reading the weights. Throws InputError.
ModelFilesPtr open_model(const std::string& path);
/// Builds the model; scans scales and plain values for NaN and infinity. Reports progress by `progress(done, total)`
/// bytes.
std::unique_ptr<Model> load_model(const ModelFiles& files, Context& cx, const LoadOptions& options,
                                  std::stop_token stop, const std::function<void(uint64_t, uint64_t)>& progress = {});
/// Where ./studio model puts the default model; empty when it is not there.
std::string default_model_path();
/// "" or "default" -> the default model; a path stays; a hub id is looked up in the Hugging Face cache (no network).
/// Throws InputError when nothing is found.
std::string resolve_model_path(const std::string& given);

}  // namespace lorikeet
