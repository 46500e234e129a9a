/// The files beside the weights of a Hugging Face folder, made from what a model was opened from.
#pragma once
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/io/model_files.h"
#include "core/text/tokenizer.h"

namespace lorikeet::detail {

/// The source's config.json, or one made from a GGUF's sizes. `dtype` in torch's spelling: "float32".
/// Throws RunError for settings config.json has no words for.
Json hf_config_json(const ModelFiles& files, const std::string& dtype);
/// Copies tokenizer, template and generation settings of a folder, or makes them from GGUF metadata. Returns warnings.
std::vector<std::string> write_tokenizer_files(const ModelFiles& files, const std::string& out);
/// tokenizer.json of a byte-level BPE from GGUF metadata; null when it cannot be made (then `why` says why).
Json tokenizer_json_of_gguf(const GgufTokenizerData& data, std::string& why);

}  // namespace lorikeet::detail
