// Block types as files store them (ggml type ids). To make one readable: write its plain loop in decode_scalar.cpp and its
// struct in block_formats.inl, list both under its id, and say here that it is readable and where its scales lie.
#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/quant/decode_kernels.h"
#include "core/quant/dot_kernels.h"
#include "core/quant/panel_kernels.h"
#include "core/quant/weight_format.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet {
namespace {

constexpr int kGgmlF32 = 0, kGgmlBf16 = 30;

// Sizes as in the ggml type table; Q8_1 and Q8_K are internal and never stored.
constexpr std::array kTypes = {
    StoredType{0, "F32", 1, 4, true},          StoredType{1, "F16", 1, 2, true},
    StoredType{2, "Q4_0", 32, 18, true},       StoredType{3, "Q4_1", 32, 20, true},
    StoredType{6, "Q5_0", 32, 22, true},       StoredType{7, "Q5_1", 32, 24, true},
    StoredType{8, "Q8_0", 32, 34, true},       StoredType{9, "Q8_1", 32, 36, false},
    StoredType{10, "Q2_K", 256, 84, true},     StoredType{11, "Q3_K", 256, 110, true},
    StoredType{12, "Q4_K", 256, 144, true},    StoredType{13, "Q5_K", 256, 176, true},
    StoredType{14, "Q6_K", 256, 210, true},    StoredType{15, "Q8_K", 256, 292, false},
    StoredType{16, "IQ2_XXS", 256, 66, false}, StoredType{17, "IQ2_XS", 256, 74, false},
    StoredType{18, "IQ3_XXS", 256, 98, false}, StoredType{19, "IQ1_S", 256, 50, false},
    StoredType{20, "IQ4_NL", 32, 18, true},    StoredType{21, "IQ3_S", 256, 110, false},
    StoredType{22, "IQ2_S", 256, 82, false},   StoredType{23, "IQ4_XS", 256, 136, true},
    StoredType{24, "I8", 1, 1, false},         StoredType{25, "I16", 1, 2, false},
    StoredType{26, "I32", 1, 4, false},        StoredType{27, "I64", 1, 8, false},
    StoredType{28, "F64", 1, 8, false},        StoredType{29, "IQ1_M", 256, 56, false},
    StoredType{30, "BF16", 1, 2, true},        StoredType{34, "TQ1_0", 256, 54, false},
    StoredType{35, "TQ2_0", 256, 66, false},   StoredType{39, "MXFP4", 32, 17, false},
    StoredType{40, "NVFP4", 64, 36, false},    StoredType{41, "Q1_0", 128, 18, false},
    StoredType{42, "Q2_0", 128, 34, false},
};

const StoredType& readable_type(int ggml_type) {
  const StoredType* t = stored_type(ggml_type);
  if (t && t->readable) return *t;
  std::string known;
  for (const StoredType& k : kTypes)
    if (k.readable) known += (known.empty() ? "" : ", ") + std::string(k.name);
  throw UnsupportedError("weights of type " + (t ? std::string(t->name) : "number " + std::to_string(ggml_type)) +
                         " cannot be read; readable are " + known);
}

/// Where the half-precision numbers of a block lie that scale its codes; count 0 for plain numbers.
struct ScalePlaces { int count; std::array<int, 2> offset; };
ScalePlaces scale_places(int ggml_type) {
  switch (ggml_type) {
    case 2: case 6: case 8: case 20: case 23: return {1, {0, 0}};
    case 3: case 7: case 12: case 13: return {2, {0, 2}};
    case 10: return {2, {80, 82}};
    case 11: return {1, {108, 0}};
    case 14: return {1, {208, 0}};
    default: return {0, {0, 0}};
  }
}

unsigned u16_at(const std::byte* p) {
  return std::to_integer<unsigned>(p[0]) | std::to_integer<unsigned>(p[1]) << 8;
}

class StoredWeight final : public FrozenWeight {
 public:
  StoredWeight(const StoredType& type, std::span<const std::byte> bytes, int64_t rows, int64_t columns,
               std::shared_ptr<const void> owner)
      : FrozenWeight(rows, columns), type_(type), bytes_(bytes), owner_(std::move(owner)),
        row_bytes_(columns / type.block_elements * type.block_bytes) {}
  std::string_view format() const override { return type_.name; }
  uint64_t bytes() const override { return bytes_.size(); }
  StoredForm stored_form() const override { return {type_.ggml_type, bytes_.data(), bytes_.size()}; }
  const float* plain_f32() const override {
    const bool aligned = reinterpret_cast<uintptr_t>(bytes_.data()) % alignof(float) == 0;
    return type_.ggml_type == kGgmlF32 && aligned ? reinterpret_cast<const float*>(bytes_.data()) : nullptr;
  }
  void decode_rows(int64_t row, int64_t count, float* out, int64_t out_stride) const override {
    const auto decode = decode_kernels(cpu_level()).stored[type_.ggml_type];
    const auto* p = reinterpret_cast<const uint8_t*>(bytes_.data()) + row * row_bytes_;
    const int64_t blocks = columns() / type_.block_elements;
    if (out_stride == columns()) return decode(p, count * blocks, out);
    for (int64_t r = 0; r < count; ++r) decode(p + r * row_bytes_, blocks, out + r * out_stride);
  }
  bool multiply_few(CpuLevel level, int64_t row, int64_t count, const FewRows& f) const override {
    const DotKernels* kernels = dot_kernels(level);
    const DotKernel dot = kernels ? kernels->stored[type_.ggml_type] : nullptr;
    if (!dot || columns() % kDotSegment != 0) return false;
    const auto* p = reinterpret_cast<const uint8_t*>(bytes_.data()) + row * row_bytes_;
    dot({p, row_bytes_, nullptr, nullptr, count, columns(), f.x, f.x_stride, f.tokens, f.y, f.y_stride});
    return true;
  }
  bool pack_bf16(const CpuUnit& unit, int64_t row, int64_t count, PanelColumns wanted, const Bf16Panels& to) const override {
    const PanelKernels* kernels = panel_kernels(unit);
    if (!kernels || !kernels->stored[type_.ggml_type].rows || columns() % kDotSegment != 0) return false;
    const auto* p = reinterpret_cast<const uint8_t*>(bytes_.data()) + row * row_bytes_;
    pack_part(kernels->stored[type_.ggml_type], wanted, {p, row_bytes_, nullptr, nullptr, count, columns(), to.out, to.stride, to.depth}, 0, count);
    return true;
  }

 private:
  const StoredType& type_;
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
  int64_t row_bytes_;
};

/// Index of the first block with a scale that is not finite, or -1. All ones in the exponent is not finite.
int64_t first_bad_block(const StoredType& t, std::span<const std::byte> bytes) {
  const ScalePlaces places = scale_places(t.ggml_type);
  const auto size = static_cast<size_t>(t.block_bytes);
  const auto blocks = static_cast<int64_t>(bytes.size() / size);
  const unsigned exponent16 = t.ggml_type == kGgmlBf16 ? 0x7f80u : 0x7c00u;
  const std::byte* p = bytes.data();
  for (int64_t b = 0; b < blocks; ++b, p += size) {
    if (places.count > 0) {
      for (int s = 0; s < places.count; ++s)
        if ((u16_at(p + places.offset[static_cast<size_t>(s)]) & exponent16) == exponent16) return b;
    } else if (t.ggml_type == kGgmlF32) {
      if ((u16_at(p + 2) & 0x7f80u) == 0x7f80u) return b;
    } else if ((u16_at(p) & exponent16) == exponent16) {
      return b;
    }
  }
  return -1;
}

}  // namespace

const StoredType* stored_type(int ggml_type) {
  const auto it = std::find_if(kTypes.begin(), kTypes.end(), [&](const StoredType& t) { return t.ggml_type == ggml_type; });
  return it == kTypes.end() ? nullptr : &*it;
}

FrozenWeightPtr stored_weight(int ggml_type, std::span<const std::byte> bytes, int64_t rows, int64_t columns,
                              std::shared_ptr<const void> owner) {
  const StoredType& t = readable_type(ggml_type);
  if (rows < 0 || columns < 0 || columns % t.block_elements != 0)
    throw RunError(std::string(t.name) + ": a matrix of " + std::to_string(rows) + " rows and " + std::to_string(columns) +
                   " columns does not divide into blocks of " + std::to_string(t.block_elements) + " columns");
  const auto row_bytes = checked_mul(static_cast<uint64_t>(columns / t.block_elements), static_cast<uint64_t>(t.block_bytes));
  const auto wanted = row_bytes ? checked_mul(*row_bytes, static_cast<uint64_t>(rows)) : std::nullopt;
  if (!wanted || *wanted != bytes.size())
    throw RunError(std::string(t.name) + ": a matrix of " + std::to_string(rows) + " x " + std::to_string(columns) +
                   (wanted ? " needs " + std::to_string(*wanted) + " bytes" : std::string(" is too large")) + ", got " +
                   std::to_string(bytes.size()));
  return std::make_shared<StoredWeight>(t, bytes, rows, columns, std::move(owner));
}

void decode_stored(int ggml_type, const std::byte* blocks, int64_t elements, float* out) {
  const StoredType& t = readable_type(ggml_type);
  if (elements % t.block_elements != 0)
    throw ShapeError(std::string(t.name) + ": " + std::to_string(elements) + " elements are not whole blocks of " +
                     std::to_string(t.block_elements));
  decode_kernels(cpu_level()).stored[ggml_type](reinterpret_cast<const uint8_t*>(blocks), elements / t.block_elements, out);
}

bool stored_scales_finite(int ggml_type, std::span<const std::byte> bytes, int64_t& bad) {
  const StoredType& t = readable_type(ggml_type);
  const int64_t block = first_bad_block(t, bytes);
  if (block < 0) return true;
  bad = block * t.block_elements;
  return false;
}

}  // namespace lorikeet
