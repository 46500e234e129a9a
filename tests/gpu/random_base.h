/// Models of well-known shapes with random weights, made on the spot: a card can be measured without any file.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/models/model.h"

namespace lorikeet::bench {

/// tiny (seconds in the emulation), 135m, 1b, 8b, 65b, 70b: SmolLM2, Llama 3 and (65b) Llama 1. Throws ConfigError for other names.
ModelConfig shape_named(const std::string& name);
/// NF4 with double quantisation in the blocks, bf16 embedding and head; spread about as wide as trained weights are. The
/// same values for the same name.
std::unique_ptr<WeightSource> random_source(const ModelConfig& config);
/// Even in +-spread sqrt(3), f32, bf16 or f16, here; the same values for the same size.
Tensor random_values(Shape shape, DType type, double spread);
/// `rows` documents of `length` tokens, all of them targets.
TokenBatch full_rows(int64_t rows, int64_t length, int64_t vocabulary, uint64_t seed);

}  // namespace lorikeet::bench
