/// A model ready to compute with: files, weights, tokenizer, chat template and, when asked for, an adapter.
#pragma once
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "core/io/model_files.h"
#include "core/models/model.h"
#include "core/tensor/context.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"

namespace lorikeet::detail {

struct LoadedModel {
  ModelFilesPtr files;
  std::unique_ptr<Context> cx;
  std::unique_ptr<Model> model;
  TokenizerPtr tokenizer;                // null when the model carries none
  std::unique_ptr<ChatTemplate> chat;    // null when the model carries none
  bool has_adapter = false;
};
struct LoadRequest {
  std::string model;    // empty: the adapter's run or base model, else the default model
  std::string adapter;  // PEFT folder, GGUF adapter, run folder, checkpoint folder, or empty
  LoadOptions options;
  int threads = 0;
  DeviceType device = DeviceType::cpu;
  ComputeType compute = ComputeType::f32;
  std::function<void(uint64_t, uint64_t)> progress;
};
LoadedModel load_for_use(const LoadRequest& request, std::stop_token stop);
/// The base a request means, opened but not loaded.
ModelFilesPtr open_base(const LoadRequest& request);
/// The folder that holds adapter_config.json for a path a person may give: PEFT folder, run folder (its adapter/),
/// checkpoint folder (its adapter/); a GGUF file is its own place. Throws InputError saying what was looked for.
std::string adapter_place_of(const std::string& path);
/// Tokenizer or InputError.
const Tokenizer& tokenizer_of(const ModelFiles& files);
/// The template named by data.template ("auto": the model's own; a built-in name; a .jinja file); null for auto when
/// the model has none.
std::unique_ptr<ChatTemplate> template_for(const ModelFiles& files, const std::string& name);

}  // namespace lorikeet::detail
