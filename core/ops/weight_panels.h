/// Rows of a frozen weight as panels of bf16, the operand of packed_product.h: straight from the stored form where the
/// format can, else decoded to f32 first.
#pragma once
#include "core/ops/frozen_weight.h"
#include "core/ops/packed_product.h"
#include "core/tensor/context.h"

namespace lorikeet::ops {

/// Packs rows [row, row + count) into `out`; rows become columns of the panels, or stay rows, k = the rows. `slot`: scratch
/// of the thread for decoded rows.
void pack_weight(Context& cx, int thread, int slot, const PackedProduct& product, const FrozenWeight& w, int64_t row, int64_t count, PanelColumns wanted, const Packed& out);
/// The same by all threads.
void pack_weight(Context& cx, int slot, const PackedProduct& product, const FrozenWeight& w, int64_t row, int64_t count, PanelColumns wanted, const Packed& out);

}  // namespace lorikeet::ops
