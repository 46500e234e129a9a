// Decoders for any CPU: the reference the faster levels must equal bit for bit.
#include "core/quant/decode_kernels.h"

namespace lorikeet::scalar_level {
namespace {

// f16 to f32 without f32 denormals on the way, so that it holds under any floating-point mode. A signalling NaN
// becomes quiet, as the conversion instruction of the other levels does.
inline float f32_from_half(uint32_t h) {
  const uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31, mantissa = h & 0x3ffu;
  uint32_t bits;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    __builtin_memcpy(&bits, &magnitude, 4);
  } else if (exponent == 31) {
    bits = 0x7f800000u | (mantissa ? 0x400000u | (mantissa << 13) : 0u);
  } else {
    bits = ((exponent + 112) << 23) | (mantissa << 13);
  }
  bits |= sign;
  float v;
  __builtin_memcpy(&v, &bits, 4);
  return v;
}
inline float half_at(const uint8_t* p) { return f32_from_half(static_cast<uint32_t>(p[0] | (p[1] << 8))); }

#include "core/quant/decode_blocks.inl"

void decode_f16(const uint8_t* p, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = half_at(p + 2 * i);
}

template <int (*code_at)(const uint8_t*, int64_t), int kBits>
void decode_codes(const CodeRun& r) {
  for (int64_t b = 0; b < r.blocks; ++b) {
    const uint8_t* codes = r.codes + b * r.block * kBits / 8;
    float* out = r.out + b * r.block;
    float scaled[1 << kBits];
    for (int c = 0; c < (1 << kBits); ++c) scaled[c] = r.table[c] * r.scales[b];
    for (int64_t i = 0; i < r.block; ++i) out[i] = scaled[code_at(codes, i)];
  }
}

}  // namespace

const DecodeKernels kDecodeKernels = {decode_codes<code_at2, 2>, decode_codes<code_at3, 3>, decode_codes<code_at4, 4>,
                                      decode_bytes8, LORIKEET_STORED_DECODERS};

}  // namespace lorikeet::scalar_level
