// Plain formats. 16-bit values are rounded to nearest even; a value that would become infinite is refused.
#include "core/quant/plain_formats.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "core/quant/coded_weight.h"
#include "core/quant/decode_kernels.h"
#include "core/quant/dot_kernels.h"
#include "core/quant/panel_kernels.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet {
namespace {

constexpr int64_t kElementsPerTask = 1 << 16;
constexpr int kGgmlF32 = 0, kGgmlF16 = 1, kGgmlBf16 = 30;  // where the decoders stand in the kernel table

class PlainWeight final : public FrozenWeight {
 public:
  PlainWeight(std::string_view format, int64_t rows, int64_t columns, Tensor values, int kernel)
      : FrozenWeight(rows, columns), format_(format), values_(std::move(values)), kernel_(kernel) {}
  std::string_view format() const override { return format_; }
  uint64_t bytes() const override { return values_.bytes(); }
  StoredForm stored_form() const override { return {kernel_, values_.raw(), values_.bytes()}; }
  const float* plain_f32() const override { return values_.dtype() == DType::f32 ? values_.data<float>() : nullptr; }
  void decode_rows(int64_t row, int64_t count, float* out, int64_t out_stride) const override {
    const auto decode = decode_kernels(cpu_level()).stored[kernel_];
    const auto* bytes = static_cast<const uint8_t*>(values_.raw());
    const auto width = static_cast<int64_t>(dtype_bytes(values_.dtype()));
    for (int64_t r = 0; r < count; ++r) decode(bytes + (row + r) * columns() * width, columns(), out + r * out_stride);
  }
  bool multiply_few(CpuLevel level, int64_t row, int64_t count, const FewRows& f) const override {
    const DotKernels* kernels = dot_kernels(level);
    if (!kernels || columns() % kDotSegment != 0) return false;
    const int64_t row_bytes = columns() * static_cast<int64_t>(dtype_bytes(values_.dtype()));
    const auto* p = static_cast<const uint8_t*>(values_.raw()) + row * row_bytes;
    kernels->stored[kernel_]({p, row_bytes, nullptr, nullptr, count, columns(), f.x, f.x_stride, f.tokens, f.y, f.y_stride});
    return true;
  }
  bool pack_bf16(const CpuUnit& unit, int64_t row, int64_t count, PanelColumns wanted, const Bf16Panels& to) const override {
    const PanelKernels* kernels = panel_kernels(unit);
    if (!kernels || !kernels->stored[kernel_].rows || columns() % kDotSegment != 0) return false;
    const int64_t row_bytes = columns() * static_cast<int64_t>(dtype_bytes(values_.dtype()));
    const auto* p = static_cast<const uint8_t*>(values_.raw()) + row * row_bytes;
    pack_part(kernels->stored[kernel_], wanted, {p, row_bytes, nullptr, nullptr, count, columns(), to.out, to.stride, to.depth}, 0, count);
    return true;
  }

 private:
  std::string_view format_;  // of the format, which lives as long as the program
  Tensor values_;
  int kernel_;
};

class PlainFormat final : public WeightFormat {
 public:
  PlainFormat(std::string_view name, DType dtype, int kernel) : name_(name), dtype_(dtype), kernel_(kernel) {}
  std::string_view name() const override { return name_; }
  double bits_per_weight(int64_t, int64_t, const QuantOptions&) const override {
    return 8.0 * static_cast<double>(dtype_bytes(dtype_));
  }
  uint64_t bytes(int64_t rows, int64_t columns, const QuantOptions&) const override {
    return static_cast<uint64_t>(rows * columns) * dtype_bytes(dtype_);
  }
  FrozenWeightPtr encode(Context& cx, const float* w, int64_t rows, int64_t columns, const QuantOptions&) const override {
    refuse_non_finite(cx, name_, w, rows, columns);
    Tensor values = Tensor::empty({rows, columns}, dtype_);
    const int64_t n = rows * columns;
    std::atomic<int64_t> overflow{n};
    cx.pool().for_blocks(n, kElementsPerTask, [&](int64_t begin, int64_t end, int) {
      const int64_t bad = convert(w, begin, end, values);
      for (int64_t seen = overflow; bad < seen && !overflow.compare_exchange_weak(seen, bad);) {
      }
    });
    if (const int64_t bad = overflow; bad < n)
      throw RunError(std::string(name_) + ": the weight at row " + std::to_string(bad / columns) + ", column " +
                     std::to_string(bad % columns) + " (" + std::to_string(w[bad]) + ") is too large for " +
                     std::string(name_) + "; use bf16 or f32");
    return std::make_shared<PlainWeight>(name_, rows, columns, std::move(values), kernel_);
  }

 private:
  /// Converts [begin, end) and returns the first element that became infinite, or the largest index.
  int64_t convert(const float* w, int64_t begin, int64_t end, Tensor& values) const {
    if (dtype_ == DType::f32) {
      std::copy(w + begin, w + end, values.data<float>() + begin);
      return std::numeric_limits<int64_t>::max();
    }
    const bool half = dtype_ == DType::f16;
    const unsigned infinity = half ? 0x7c00u : 0x7f80u;
    int64_t bad = std::numeric_limits<int64_t>::max();
    for (int64_t i = begin; i < end; ++i) {
      const uint16_t bits = half ? f16_from_f32(w[i]) : bf16_from_f32(w[i]);
      values.bits16()[i] = bits;
      if ((bits & 0x7fffu) == infinity) bad = std::min(bad, i);
    }
    return bad;
  }

  std::string_view name_;
  DType dtype_;
  int kernel_;
};

}  // namespace

const WeightFormat* f32_format() { static const PlainFormat f("f32", DType::f32, kGgmlF32); return &f; }
const WeightFormat* f16_format() { static const PlainFormat f("f16", DType::f16, kGgmlF16); return &f; }
const WeightFormat* bf16_format() { static const PlainFormat f("bf16", DType::bf16, kGgmlBf16); return &f; }

}  // namespace lorikeet
