// Storage, packing and decoding of block-coded matrices.
#include "core/quant/coded_weight.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>

#include "core/ops/gemm_kernels.h"
#include "core/quant/decode_kernels.h"
#include "core/quant/dot_kernels.h"
#include "core/quant/panel_kernels.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet {
namespace {

constexpr int64_t kScaleBatch = 64;      // block scales decoded at a time, on the stack
constexpr int64_t kRowScales = 2048;     // scales of a group of rows in multiply_few, on the stack
constexpr int64_t kPanelScales = 8192;   // the same of 16 rows in pack_bf16
constexpr int64_t kCheckBlock = 1 << 16; // elements a thread checks at a time

/// The kernel for codes of so many bits, of DecodeKernels, DotKernels or PanelKernels.
auto kernel_of(const auto& k, int bits) {
  return bits == 2 ? k.codes2 : bits == 3 ? k.codes3 : bits == 4 ? k.codes4 : k.codes8;
}

/// One code anywhere in the packed bytes.
unsigned code_at(const uint8_t* codes, int bits, int64_t i) {
  switch (bits) {
    case 2: return (codes[i >> 2] >> (2 * (i & 3))) & 3u;
    case 3: {
      const uint8_t* g = codes + (i >> 3) * 3;
      const unsigned word = g[0] | static_cast<unsigned>(g[1]) << 8 | static_cast<unsigned>(g[2]) << 16;
      return (word >> (3 * (i & 7))) & 7u;
    }
    default: return (i & 1) ? codes[i >> 1] & 15u : codes[i >> 1] >> 4u;
  }
}

}  // namespace

CodedWeight::CodedWeight(std::string format, int64_t rows, int64_t columns, int bits, int64_t block, Tensor codes,
                         BlockScales scales, std::shared_ptr<const CodeTables> tables)
    : FrozenWeight(rows, columns), format_(std::move(format)), bits_(bits), block_(block), codes_(std::move(codes)),
      scales_(std::move(scales)), tables_(tables ? std::move(tables) : std::make_shared<CodeTables>()) {}

uint64_t CodedWeight::bytes() const {
  return codes_.bytes() + scales_.bytes() + (tables_->shared ? 0 : sizeof tables_->values + sizeof tables_->map);
}

void CodedWeight::decode_rows(int64_t row, int64_t count, float* out, int64_t out_stride) const {
  const DecodeKernels& k = decode_kernels(cpu_level());
  if (out_stride == columns()) return decode_elements(k, row * columns(), count * columns(), out);
  for (int64_t r = 0; r < count; ++r) decode_elements(k, (row + r) * columns(), columns(), out + r * out_stride);
}

void CodedWeight::decode_elements(const DecodeKernels& k, int64_t first, int64_t count, float* out) const {
  float buffer[kScaleBatch];
  while (count > 0) {
    const int64_t block = first / block_, inside = first % block_;
    int64_t taken;
    if (inside != 0 || count < block_) {
      taken = std::min(count, block_ - inside);
      decode_inside_block(k, first, taken, *scales_.decode(block, 1, *tables_, buffer), out);
    } else {
      const int64_t blocks = std::min(count / block_, kScaleBatch);
      taken = blocks * block_;
      const float* scales = scales_.decode(block, blocks, *tables_, buffer);
      kernel_of(k, bits_)({codes_.data<uint8_t>() + first * bits_ / 8, blocks, block_, scales, tables_->values.data(), out});
    }
    first += taken;
    count -= taken;
    out += taken;
  }
}

/// A run within one block. Rows of odd length start inside a byte: those elements go one by one.
void CodedWeight::decode_inside_block(const DecodeKernels& k, int64_t first, int64_t count, float scale, float* out) const {
  const uint8_t* codes = codes_.data<uint8_t>();
  const int64_t unit = bits_ == 8 ? 1 : 8;
  for (; count > 0 && first % unit != 0; ++first, --count)
    *out++ = tables_->values[code_at(codes, bits_, first)] * scale;
  if (count > 0) kernel_of(k, bits_)({codes + first * bits_ / 8, 1, count, &scale, tables_->values.data(), out});
}

/// The scale of each segment of whole rows; a segment lies in one block, as both are multiples of 32 elements.
void CodedWeight::segment_scales(int64_t row, int64_t count, float* out) const {
  float buffer[kScaleBatch];
  const int64_t first = row * columns(), end = (row + count) * columns();
  for (int64_t at = first; at < end;) {
    const int64_t block = at / block_, blocks = std::min(kScaleBatch, (end - 1) / block_ - block + 1);
    const float* scales = scales_.decode(block, blocks, *tables_, buffer);
    for (int64_t b = 0; b < blocks; ++b)
      for (const int64_t last = std::min(end, (block + b + 1) * block_); at < last; at += kDotSegment) *out++ = scales[b];
  }
}

/// How rows of whole segments take their scales: as they are where a row is whole blocks, one a segment where blocks cross rows.
CodedWeight::RowScales CodedWeight::row_scales() const {
  const int64_t segments = columns() / kDotSegment, in_block = block_ / kDotSegment;
  if (segments == 0 || columns() % kDotSegment != 0 || block_ % kDotSegment != 0) return {0, 0, false};
  const bool whole = segments % in_block == 0 && std::has_single_bit(static_cast<uint64_t>(in_block));
  return whole ? RowScales{segments / in_block, std::countr_zero(static_cast<uint64_t>(in_block)), true} : RowScales{segments, 0, false};
}
const float* CodedWeight::scales_of_rows(const RowScales& s, int64_t row, int64_t count, float* buffer) const {
  if (s.whole_blocks) return scales_.decode(row * s.in_row, count * s.in_row, *tables_, buffer);
  segment_scales(row, count, buffer);
  return buffer;
}

bool CodedWeight::multiply_few(CpuLevel level, int64_t row, int64_t count, const FewRows& f) const {
  const DotKernels* kernels = dot_kernels(level);
  const RowScales s = row_scales();
  if (!kernels || s.in_row == 0 || s.in_row > kRowScales) return false;
  float buffer[kRowScales];
  const float* table = tables_->values.data();
  const int64_t row_bytes = columns() * bits_ / 8, most = std::max<int64_t>(1, kRowScales / s.in_row / 4 * 4);
  for (int64_t r = 0; r < count; r += most) {
    const int64_t rows = std::min(most, count - r);
    const float* scales = scales_of_rows(s, row + r, rows, buffer);
    const uint8_t* codes = codes_.data<uint8_t>() + (row + r) * row_bytes;
    kernel_of(*kernels, bits_)({codes, row_bytes, scales, table, rows, columns(), f.x, f.x_stride, f.tokens, f.y + r, f.y_stride, s.shift});
  }
  return true;
}

bool CodedWeight::pack_bf16(const CpuUnit& unit, int64_t row, int64_t count, PanelColumns wanted, const Bf16Panels& to) const {
  const PanelKernels* kernels = panel_kernels(unit);
  const RowScales s = row_scales();
  if (!kernels || s.in_row == 0 || s.in_row * kPanelColumns > kPanelScales) return false;
  float buffer[kPanelScales];
  const float* table = tables_->values.data();
  const int64_t row_bytes = columns() * bits_ / 8, most = kPanelScales / s.in_row / kPanelColumns * kPanelColumns;
  for (int64_t r = 0; r < count; r += most) {
    const int64_t rows = std::min(most, count - r);
    const float* scales = scales_of_rows(s, row + r, rows, buffer);
    const uint8_t* codes = codes_.data<uint8_t>() + (row + r) * row_bytes;
    const PanelRun run{codes, row_bytes, scales, table, rows, columns(), to.out, to.stride, to.depth, s.shift};
    pack_part(kernel_of(*kernels, bits_), wanted, run, r, count);
  }
  return true;
}

uint64_t code_bytes(int64_t elements, int bits) {
  const auto n = static_cast<uint64_t>(elements);
  if (bits == 3) return (n + 7) / 8 * 3;
  const uint64_t per_byte = 8 / static_cast<uint64_t>(bits);
  return (n + per_byte - 1) / per_byte;
}

void pack_codes(const uint8_t* codes, int64_t count, int bits, uint8_t padding, uint8_t* out) {
  const auto code = [&](int64_t i) { return static_cast<unsigned>(i < count ? codes[i] : padding); };
  if (bits == 8) {
    std::copy_n(codes, count, out);
  } else if (bits == 4) {
    int64_t i = 0;
    for (; i + 1 < count; i += 2) *out++ = static_cast<uint8_t>(codes[i] << 4 | codes[i + 1]);
    if (i < count) *out++ = static_cast<uint8_t>(codes[i] << 4 | padding);
  } else if (bits == 2) {
    for (int64_t i = 0; i < count; i += 4)
      *out++ = static_cast<uint8_t>(code(i) | code(i + 1) << 2 | code(i + 2) << 4 | code(i + 3) << 6);
  } else {
    for (int64_t i = 0; i < count; i += 8) {
      unsigned word = 0;
      for (int64_t j = 0; j < 8; ++j) word |= code(i + j) << (3 * j);
      for (int b = 0; b < 3; ++b) *out++ = static_cast<uint8_t>(word >> (8 * b));
    }
  }
}

BlockLayout block_layout(int64_t rows, int64_t columns, const QuantOptions& o) {
  if (o.block_size < 32 || o.block_size > 4096 || !std::has_single_bit(static_cast<unsigned>(o.block_size)))
    throw ConfigError("quantization.block_size", "quantization.block_size is " + std::to_string(o.block_size) +
                                                     "; it must be a power of two from 32 to 4096");
  const int64_t elements = rows * columns;
  return {elements, o.block_size, (elements + o.block_size - 1) / o.block_size};
}

void refuse_non_finite(Context& cx, std::string_view format, const float* w, int64_t rows, int64_t columns) {
  const int64_t n = rows * columns;
  std::atomic<int64_t> first_bad{std::numeric_limits<int64_t>::max()};
  cx.pool().for_blocks(n, kCheckBlock, [&](int64_t begin, int64_t end, int) {
    int32_t largest = 0;  // the bits of |w| order as |w| does, with infinities and NaN on top
    for (int64_t i = begin; i < end; ++i) largest = std::max(largest, std::bit_cast<int32_t>(w[i]) & 0x7fffffff);
    if (largest < 0x7f800000) return;
    int64_t i = begin;
    while ((std::bit_cast<int32_t>(w[i]) & 0x7fffffff) < 0x7f800000) ++i;
    for (int64_t seen = first_bad; i < seen && !first_bad.compare_exchange_weak(seen, i);) {
    }
  });
  const int64_t bad = first_bad;
  if (bad < n)
    throw RunError(std::string(format) + ": the weight at row " + std::to_string(bad / columns) + ", column " +
                   std::to_string(bad % columns) + " is not a finite number (" + std::to_string(w[bad]) +
                   "); a matrix with such values cannot be quantised");
}

}  // namespace lorikeet
