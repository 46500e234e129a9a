/// A model folder with random weights in bf16, for machines without the default model: same shapes, same speed.
#pragma once
#include <string>

namespace lorikeet::bench {

/// Writes config.json and model.safetensors of SmolLM2-135M's shape (269 MB) into `folder`. No tokenizer.
void write_random_model(const std::string& folder);

}  // namespace lorikeet::bench
