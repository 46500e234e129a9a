/// LlamaForCausalLM: Llama 1-3.2, SmolLM2, and Mistral (the same block, its attention within a sliding window).
#pragma once
#include "core/models/model.h"

namespace lorikeet {

/// Throws InputError, UnsupportedError (see check_model_config), Interrupted when `stop` is set while loading.
std::unique_ptr<Model> make_llama(const ModelConfig& config, WeightSource& source, std::stop_token stop);

}  // namespace lorikeet
