/// Keys or values of one layer kept for generation: a row per position, as computed, in bf16, or in 8-bit integers with
/// a scale per row and head (absmax / 127, symmetric, rounded to nearest even). Room is made once, so that a long text
/// never moves what is already there.
#pragma once
#include <cstdint>

#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

struct KvStore {
  Tensor rows;    // [capacity, kv_heads * D] f32 | f64 | bf16 | i8
  Tensor scales;  // [capacity, kv_heads] f32 with i8, else undefined
  static KvStore make(int64_t capacity, int64_t kv_heads, int64_t head_dim, DType type, DeviceType device = DeviceType::cpu);
  uint64_t bytes() const { return rows.bytes() + (scales.defined() ? scales.bytes() : 0); }
};
/// Writes `fresh` [n, kv_heads * D], f32 (f64 into an f64 store), as rows at .. at + n - 1.
/// Throws ShapeError when they do not fit, DTypeError for other types.
void kv_append(Context& cx, KvStore& store, int64_t at, const Tensor& fresh);
/// The first `count` rows as f32 [count, kv_heads * D]; the store itself where it is f32 already.
Tensor kv_rows_f32(Context& cx, const KvStore& store, int64_t count);
/// What a device does of it: rounding into a store of bf16 or i8, and widening its first rows into `out`.
struct KvStoreKernels {
  void (*round)(Context&, KvStore& store, int64_t at, const Tensor& fresh);
  void (*widen)(Context&, const KvStore& store, Tensor& out);
};
using KvStoreFn = const KvStoreKernels*;
KernelSlot<KvStoreFn>& kv_store_slot();

}  // namespace lorikeet
