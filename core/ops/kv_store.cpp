#include "core/ops/kv_store.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/ops/cpu_twins.h"

namespace lorikeet {
namespace {

constexpr int64_t kRowsPerTask = 64;
constexpr float kLargestCode = 127;

// One head of one row. Returns the scale.
float int8_from_f32(const float* x, int64_t n, int8_t* out) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float scale = largest / kLargestCode;
  const float inverse = scale > 0 ? 1 / scale : 0;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding and subtracting rounds to nearest even
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int8_t>((std::clamp(x[i] * inverse, -kLargestCode, kLargestCode) + kRound) - kRound);
  return scale;
}

void append_int8(KvStore& store, int64_t row, const float* x) {
  const int64_t heads = store.scales.width(), width = store.rows.width() / heads;
  auto* out = static_cast<int8_t*>(store.rows.raw()) + row * store.rows.row_stride();
  for (int64_t h = 0; h < heads; ++h) store.scales.row<float>(row)[h] = int8_from_f32(x + h * width, width, out + h * width);
}

void widen_row(const KvStore& store, int64_t row, float* out) {
  const int64_t width = store.rows.width(), at = row * store.rows.row_stride();
  if (store.rows.dtype() == DType::bf16) {
    for (int64_t i = 0; i < width; ++i) out[i] = f32_from_bf16(store.rows.bits16()[at + i]);
    return;
  }
  const auto* codes = static_cast<const int8_t*>(store.rows.raw()) + at;
  const int64_t head_dim = width / store.scales.width();
  for (int64_t i = 0; i < width; ++i) out[i] = static_cast<float>(codes[i]) * store.scales.row<float>(row)[i / head_dim];
}

}  // namespace

KvStore KvStore::make(int64_t capacity, int64_t kv_heads, int64_t head_dim, DType type, DeviceType device) {
  if (type != DType::f32 && type != DType::f64 && type != DType::bf16 && type != DType::i8)
    throw DTypeError("kv_store: " + std::string(dtype_name(type)) + "; wanted f32, f64, bf16 or i8");
  KvStore s;
  s.rows = Tensor::empty({capacity, kv_heads * head_dim}, type, device);
  if (type == DType::i8) s.scales = Tensor::empty({capacity, kv_heads}, DType::f32, device);
  return s;
}

KernelSlot<KvStoreFn>& kv_store_slot() {
  static KernelSlot<KvStoreFn> slot("kv_store");
  return slot;
}

void kv_append(Context& cx, KvStore& store, int64_t at, const Tensor& fresh) {
  const DType type = store.rows.dtype(), wanted = type == DType::f64 ? DType::f64 : DType::f32;
  if (fresh.dtype() != wanted)
    throw DTypeError("kv_append: " + std::string(dtype_name(fresh.dtype())) + " into a store of " + std::string(dtype_name(type)) + "; wanted " + std::string(dtype_name(wanted)));
  const int64_t n = fresh.rows();
  if (fresh.rank() != 2 || fresh.width() != store.rows.width() || at < 0 || at + n > store.rows.rows())
    throw ShapeError("kv_append: " + to_string(fresh.shape()) + " at row " + std::to_string(at) + " of a store " + to_string(store.rows.shape()));
  if (type == fresh.dtype()) return store.rows.slice(at, at + n).copy_from(fresh);
  kv_store_slot().get(cx.device())->round(cx, store, at, fresh);
}

Tensor kv_rows_f32(Context& cx, const KvStore& store, int64_t count) {
  if (store.rows.dtype() == DType::f32) return store.rows.slice(0, count);
  Tensor out = cx.empty({count, store.rows.width()});
  kv_store_slot().get(cx.device())->widen(cx, store, out);
  return out;
}

namespace {

void round_rows(Context&, KvStore& store, int64_t at, const Tensor& fresh) {
  for (int64_t r = 0; r < fresh.rows(); ++r) {
    const float* x = fresh.row<float>(r);
    if (store.rows.dtype() == DType::i8) append_int8(store, at + r, x);
    else for (int64_t i = 0; i < fresh.width(); ++i) store.rows.bits16()[(at + r) * store.rows.row_stride() + i] = bf16_from_f32(x[i]);
  }
}

void widen_rows(Context& cx, const KvStore& store, Tensor& out) {
  cx.pool().for_blocks(out.rows(), kRowsPerTask, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) widen_row(store, r, out.row<float>(r));
  });
}

}  // namespace

const KvStoreKernels kKvStoreCpu = {&round_rows, &widen_rows};

}  // namespace lorikeet
