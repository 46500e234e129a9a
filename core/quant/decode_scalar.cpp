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

// Formulas: the GGUF block layouts in closed form, evaluated in f32 in the order written.
inline uint32_t u32_at(const uint8_t* p) {
  uint32_t v;
  __builtin_memcpy(&v, p, 4);
  return v;
}

// The code of one element whose index is counted from a byte boundary.
inline int code_at2(const uint8_t* codes, int64_t i) { return (codes[i >> 2] >> (2 * (i & 3))) & 3; }
inline int code_at3(const uint8_t* codes, int64_t i) {
  const uint8_t* g = codes + (i >> 3) * 3;
  const int bit = static_cast<int>(i & 7) * 3, byte = bit >> 3, shift = bit & 7;
  const int low = g[byte] >> shift;
  return (shift > 5 ? low | (g[byte + 1] << (8 - shift)) : low) & 7;
}
inline int code_at4(const uint8_t* codes, int64_t i) { return (i & 1) ? codes[i >> 1] & 15 : codes[i >> 1] >> 4; }

void decode_bytes8(const CodeRun& r) {
  for (int64_t b = 0; b < r.blocks; ++b) {
    const uint8_t* codes = r.codes + b * r.block;
    float* out = r.out + b * r.block;
    const float scale = r.scales[b];
    for (int64_t i = 0; i < r.block; ++i)
      out[i] = static_cast<float>(static_cast<int8_t>(codes[i])) * scale;
  }
}

void decode_f32(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  __builtin_memcpy(out, p, static_cast<uint64_t>(count) * 4);
}

void decode_bf16(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bits = static_cast<uint32_t>(p[2 * i] | (p[2 * i + 1] << 8)) << 16;
    __builtin_memcpy(out + i, &bits, 4);
  }
}

void decode_q4_0(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 18, out += 32) {
    const float d = half_at(p);
    for (int j = 0; j < 16; ++j) out[j] = d * static_cast<float>((p[2 + j] & 15) - 8);
    for (int j = 0; j < 16; ++j) out[16 + j] = d * static_cast<float>((p[2 + j] >> 4) - 8);
  }
}

void decode_q4_1(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 20, out += 32) {
    const float d = half_at(p), m = half_at(p + 2);
    for (int j = 0; j < 16; ++j) out[j] = d * static_cast<float>(p[4 + j] & 15) + m;
    for (int j = 0; j < 16; ++j) out[16 + j] = d * static_cast<float>(p[4 + j] >> 4) + m;
  }
}

void decode_q5_0(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 22, out += 32) {
    const float d = half_at(p);
    const uint32_t high = u32_at(p + 2);
    for (int j = 0; j < 16; ++j) {
      const int q = (p[6 + j] & 15) + 16 * static_cast<int>((high >> j) & 1);
      out[j] = d * static_cast<float>(q - 16);
    }
    for (int j = 0; j < 16; ++j) {
      const int q = (p[6 + j] >> 4) + 16 * static_cast<int>((high >> (16 + j)) & 1);
      out[16 + j] = d * static_cast<float>(q - 16);
    }
  }
}

void decode_q5_1(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 24, out += 32) {
    const float d = half_at(p), m = half_at(p + 2);
    const uint32_t high = u32_at(p + 4);
    for (int j = 0; j < 16; ++j) {
      const int q = (p[8 + j] & 15) + 16 * static_cast<int>((high >> j) & 1);
      out[j] = d * static_cast<float>(q) + m;
    }
    for (int j = 0; j < 16; ++j) {
      const int q = (p[8 + j] >> 4) + 16 * static_cast<int>((high >> (16 + j)) & 1);
      out[16 + j] = d * static_cast<float>(q) + m;
    }
  }
}

void decode_q8_0(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 34, out += 32) {
    const float d = half_at(p);
    for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(static_cast<int8_t>(p[2 + j]));
  }
}

const float kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void decode_iq4_nl(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 18, out += 32) {
    const float d = half_at(p);
    for (int j = 0; j < 16; ++j) out[j] = d * kIq4Values[p[2 + j] & 15];
    for (int j = 0; j < 16; ++j) out[16 + j] = d * kIq4Values[p[2 + j] >> 4];
  }
}

void decode_iq4_xs(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 136) {
    const float d = half_at(p);
    const int high = p[2] | (p[3] << 8);
    for (int k = 0; k < 8; ++k, out += 32) {
      const int scale = ((p[4 + k / 2] >> (4 * (k % 2))) & 15) + 16 * ((high >> (2 * k)) & 3);
      const float s = d * static_cast<float>(scale - 32);
      const uint8_t* q = p + 8 + 16 * k;
      for (int j = 0; j < 16; ++j) out[j] = s * kIq4Values[q[j] & 15];
      for (int j = 0; j < 16; ++j) out[16 + j] = s * kIq4Values[q[j] >> 4];
    }
  }
}

void decode_q2_k(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 84) {
    const float d = half_at(p + 80), dmin = half_at(p + 82);
    for (int part = 0; part < 16; ++part, out += 16) {  // 16 elements share one scale; part = 8n + 2j + half
      const uint8_t* q = p + 16 + 32 * (part / 8) + 16 * (part % 2);
      const int shift = 2 * ((part / 2) % 4);
      const float s = d * static_cast<float>(p[part] & 15), m = dmin * static_cast<float>(p[part] >> 4);
      for (int l = 0; l < 16; ++l) out[l] = s * static_cast<float>((q[l] >> shift) & 3) - m;
    }
  }
}

void decode_q3_k(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 110) {
    const float d = half_at(p + 108);
    const uint8_t* scales = p + 96;
    for (int part = 0; part < 16; ++part, out += 16) {
      const int low = part < 8 ? scales[part] & 15 : scales[part - 8] >> 4;
      const int high = (scales[8 + part % 4] >> (2 * (part / 4))) & 3;
      const float s = d * static_cast<float>((low + 16 * high) - 32);
      const uint8_t* q = p + 32 + 32 * (part / 8) + 16 * (part % 2);
      const uint8_t* mask = p + 16 * (part % 2);
      const int shift = 2 * ((part / 2) % 4), bit = part / 2;  // 4n + j
      for (int l = 0; l < 16; ++l) {
        const int v = ((q[l] >> shift) & 3) + 4 * ((mask[l] >> bit) & 1) - 4;
        out[l] = s * static_cast<float>(v);
      }
    }
  }
}

// The 6-bit scale and minimum of group k of a Q4_K or Q5_K block.
inline void scale_and_min(const uint8_t* s, int k, int& scale, int& minimum) {
  if (k < 4) {
    scale = s[k] & 63;
    minimum = s[k + 4] & 63;
  } else {
    scale = (s[k + 4] & 15) + 16 * (s[k - 4] >> 6);
    minimum = (s[k + 4] >> 4) + 16 * (s[k] >> 6);
  }
}

void decode_q4_k(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 144) {
    const float d = half_at(p), dmin = half_at(p + 2);
    for (int k = 0; k < 8; ++k, out += 32) {
      int scale, minimum;
      scale_and_min(p + 4, k, scale, minimum);
      const float s = d * static_cast<float>(scale), m = dmin * static_cast<float>(minimum);
      const uint8_t* q = p + 16 + 32 * (k / 2);
      const int shift = 4 * (k % 2);
      for (int l = 0; l < 32; ++l) out[l] = s * static_cast<float>((q[l] >> shift) & 15) - m;
    }
  }
}

void decode_q5_k(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 176) {
    const float d = half_at(p), dmin = half_at(p + 2);
    for (int k = 0; k < 8; ++k, out += 32) {
      int scale, minimum;
      scale_and_min(p + 4, k, scale, minimum);
      const float s = d * static_cast<float>(scale), m = dmin * static_cast<float>(minimum);
      const uint8_t *high = p + 16, *q = p + 48 + 32 * (k / 2);
      const int shift = 4 * (k % 2);
      for (int l = 0; l < 32; ++l) {
        const int v = ((q[l] >> shift) & 15) + 16 * ((high[l] >> k) & 1);
        out[l] = s * static_cast<float>(v) - m;
      }
    }
  }
}

void decode_q6_k(const uint8_t* __restrict__ p, int64_t count, float* __restrict__ out) {
  for (int64_t b = 0; b < count; ++b, p += 210) {
    const float d = half_at(p + 208);
    for (int part = 0; part < 16; ++part, out += 16) {  // part = 8n + 2j + half
      const int n = part / 8, j = (part / 2) % 4, start = 16 * (part % 2);
      const uint8_t *low = p + 64 * n + 32 * (j % 2) + start, *high = p + 128 + 32 * n + start;
      const int low_shift = j < 2 ? 0 : 4, high_shift = 2 * j;
      const float s = d * static_cast<float>(static_cast<int8_t>(p[192 + part]));
      for (int l = 0; l < 16; ++l) {
        const int v = (((low[l] >> low_shift) & 15) + 16 * ((high[l] >> high_shift) & 3)) - 32;
        out[l] = s * static_cast<float>(v);
      }
    }
  }
}

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

constexpr DecodeKernels decode_list() {
  DecodeKernels k{decode_codes<code_at2, 2>, decode_codes<code_at3, 3>, decode_codes<code_at4, 4>, decode_bytes8, {}};
  k.stored[0] = decode_f32;
  k.stored[1] = decode_f16;
  k.stored[2] = decode_q4_0;
  k.stored[3] = decode_q4_1;
  k.stored[6] = decode_q5_0;
  k.stored[7] = decode_q5_1;
  k.stored[8] = decode_q8_0;
  k.stored[10] = decode_q2_k;
  k.stored[11] = decode_q3_k;
  k.stored[12] = decode_q4_k;
  k.stored[13] = decode_q5_k;
  k.stored[14] = decode_q6_k;
  k.stored[20] = decode_iq4_nl;
  k.stored[23] = decode_iq4_xs;
  k.stored[30] = decode_bf16;
  return k;
}

}  // namespace

constinit const DecodeKernels kDecodeKernels = decode_list();

}  // namespace lorikeet::scalar_level
