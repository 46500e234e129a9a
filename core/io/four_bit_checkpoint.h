/// 4-bit weights as bitsandbytes serialises them into safetensors (formats.md 5.5).
#pragma once
#include <optional>
#include <string>

#include "core/io/opened_model.h"
#include "core/io/shards.h"

namespace lorikeet::detail {

/// The weight `name` when its quant_state lies beside it; nothing when it is a plain tensor. All parts are checked.
std::optional<StoredTensor> four_bit_tensor(const ShardedTensors& shards, const std::string& name);
/// True for the parts that belong to a 4-bit weight ("K.absmax", "K.quant_state...").
bool is_four_bit_part(const ShardedTensors& shards, const std::string& name);

}  // namespace lorikeet::detail
