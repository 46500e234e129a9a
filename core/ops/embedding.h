/// Row gather: y[t] = table[ids[t]]. The table is frozen; there is no gradient. On a device the table may lie on the host, its
/// ids then beside it: the rows named go there, with the same bits as from a table on the device.
/// Twins: embedding_cpu.cpp, cuda/ops/embedding.cu.
#pragma once
#include "core/ops/frozen_weight.h"
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
struct EmbeddingArgs {
  const FrozenWeight& table;  // [V, C]
  const Tensor& ids;          // [T] i32, each in [0, V): checked; on the table's device
  Tensor& y;                  // [T, C] f32 | f64
};
void embedding(Context& cx, const EmbeddingArgs& a);
using EmbeddingFn = void (*)(Context&, const EmbeddingArgs&);
KernelSlot<EmbeddingFn>& embedding_slot();
}  // namespace lorikeet
