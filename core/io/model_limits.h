/// Ranges a model's sizes must lie in, whatever file they come from (formats.md 3.7, item 7).
#pragma once
#include <cstdint>
#include <string>

#include "core/models/model_config.h"

namespace lorikeet::detail {

constexpr int64_t kMaxLayers = 1024, kMaxHeadDim = 512, kMaxWidth = int64_t{1} << 24;
/// Throws InputError naming the file for sizes out of range, sizes that are no decoder, and what is not offered.
void check_limits(const ModelConfig& c, const std::string& file);

}  // namespace lorikeet::detail
