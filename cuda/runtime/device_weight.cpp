// Upload of stored weights.
#include "cuda/runtime/device_weight.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "core/base/error.h"
#include "core/quant/coded_weight.h"
#include "cuda/ops/decode.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kGgmlF32 = 0, kGgmlF16 = 1, kGgmlBf16 = 30;
constexpr int64_t kDecodedBytes = 64 << 20;  // of rows on their way to the host

/// Bytes on the device with room behind them: kernels read whole units.
Tensor uploaded(const void* data, uint64_t bytes, uint64_t room) {
  Tensor t = Tensor::empty({static_cast<int64_t>(std::max(bytes, room))}, DType::u8, DeviceType::cuda);
  t.slice(0, static_cast<int64_t>(bytes)).copy_from(Tensor::borrow(data, {static_cast<int64_t>(bytes)}, DType::u8, nullptr));
  return t;
}
uint64_t whole_units(int64_t elements) { return static_cast<uint64_t>((elements + kUnit - 1) / kUnit); }

Tensor uploaded_tables(const CodeTables& tables) {
  std::vector<float> both(tables.values.begin(), tables.values.end());
  both.insert(both.end(), tables.map.begin(), tables.map.end());
  static_assert(std::tuple_size_v<decltype(tables.values)> == kTableValues && std::tuple_size_v<decltype(tables.map)> == kScaleMap);
  return Tensor::from(both, {kTableValues + kScaleMap}).on(DeviceType::cuda);
}

FrozenWeightPtr upload_codes(const CodedWeight& w) {
  const auto block = static_cast<uint64_t>(w.block());
  if (block < 32 || !std::has_single_bit(block))
    throw UnsupportedError("weight_on: " + std::string(w.format()) + " with blocks of " + std::to_string(block) + " on cuda; wanted a power of two from 32");
  const BlockScales& s = w.scales();
  DeviceCodes c;
  c.bits = w.bits();
  c.block_shift = std::countr_zero(block);
  c.codes = uploaded(w.codes().raw(), w.codes().bytes(), whole_units(w.rows() * w.columns()) * static_cast<uint64_t>(w.bits()));
  if (s.nested()) {
    c.scale_codes = s.codes().on(DeviceType::cuda);
    c.group_maxima = s.group_maxima().on(DeviceType::cuda);
    c.offset = s.offset();
    c.group = s.group();
  } else {
    c.absmax = s.absmax().on(DeviceType::cuda);
  }
  c.tables = uploaded_tables(w.tables());
  return std::make_shared<DeviceWeight>(w, std::move(c));
}

}  // namespace

DeviceWeight::DeviceWeight(const FrozenWeight& source, DeviceCodes codes)
    : FrozenWeight(source.rows(), source.columns()), format_(source.format()), bytes_(source.bytes()), codes_(std::move(codes)) {}
DeviceWeight::DeviceWeight(const FrozenWeight& source, int ggml_type, Tensor data)
    : FrozenWeight(source.rows(), source.columns()), format_(source.format()), bytes_(source.bytes()), ggml_type_(ggml_type), stored_(std::move(data)) {}

void DeviceWeight::decode_rows(int64_t row, int64_t count, float* out, int64_t out_stride) const {
  const int64_t most = std::max<int64_t>(1, kDecodedBytes / 4 / std::max<int64_t>(1, columns()));
  for (int64_t r = 0; r < count; r += most) {
    const int64_t rows = std::min(most, count - r);
    Tensor decoded = Tensor::empty({rows, columns()}, DType::f32, DeviceType::cuda);
    decode_weight(*this, row + r, rows, DType::f32, decoded.raw(), columns());
    const Tensor here = decoded.on(DeviceType::cpu);
    for (int64_t i = 0; i < rows; ++i) std::copy_n(here.row<float>(i), columns(), out + (r + i) * out_stride);
  }
}

const void* DeviceWeight::plain(DType type) const {
  const bool same = (type == DType::f32 && ggml_type_ == kGgmlF32) || (type == DType::bf16 && ggml_type_ == kGgmlBf16) || (type == DType::f16 && ggml_type_ == kGgmlF16);
  return same ? stored_.raw() : nullptr;
}

const DeviceWeight& device_weight(const char* op, const FrozenWeight& w) {
  if (const auto* d = dynamic_cast<const DeviceWeight*>(&w)) return *d;
  throw UnsupportedError(std::string(op) + ": the weight (" + std::string(w.format()) + ") lies on " + std::string(device_name(w.device())) + "; wanted on cuda");
}

FrozenWeightPtr upload_weight(const FrozenWeight& w) {
  if (const auto* coded = dynamic_cast<const CodedWeight*>(&w)) return upload_codes(*coded);
  const StoredForm s = w.stored_form();
  if (s.ggml_type < 0 || !can_decode(s.ggml_type)) throw UnsupportedError("weight_on: there is no decoder on cuda for weights of format " + std::string(w.format()));
  // Blocks hold whole units; plain numbers may end within one.
  const auto elements = static_cast<uint64_t>(w.rows() * w.columns());
  const uint64_t room = elements == 0 ? 0 : s.bytes / elements * whole_units(w.rows() * w.columns()) * kUnit;
  return std::make_shared<DeviceWeight>(w, s.ggml_type, uploaded(s.data, s.bytes, room));
}

}  // namespace lorikeet::cuda
