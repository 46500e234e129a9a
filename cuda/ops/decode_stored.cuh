/// How blocks of ggml types are read: layouts and order of operations as in core/quant/decode_scalar.cpp, where they are
/// written out element by element; products and sums are rounded one by one, as on the host.
/// A format is a struct: block size, what its blocks are aligned to, and decode(block, unit of 8 elements in the block, w).
#pragma once
#include "cuda/device/kernel.cuh"
#include "cuda/runtime/device_weight.h"

namespace lorikeet::cuda {
namespace stored {

__device__ inline float half_at(const uint8_t* p) { return f32(Half{__ldg(reinterpret_cast<const uint16_t*>(p))}); }
__device__ inline uint32_t u16_at(const uint8_t* p) { return __ldg(reinterpret_cast<const uint16_t*>(p)); }
template <int kAlign>
__device__ inline uint32_t u32_at(const uint8_t* p) {
  if constexpr (kAlign >= 4) return __ldg(reinterpret_cast<const uint32_t*>(p));
  else return u16_at(p) | u16_at(p + 2) << 16;
}
/// Eight bytes that start at `p`.
struct Bytes8 {
  uint32_t low, high;
  template <int kAlign>
  __device__ static Bytes8 at(const uint8_t* p) {
    if constexpr (kAlign >= 8) {
      const uint2 both = __ldg(reinterpret_cast<const uint2*>(p));
      return {both.x, both.y};
    } else {
      return {u32_at<kAlign>(p), u32_at<kAlign>(p + 4)};
    }
  }
  __device__ int bits(int i, int shift, int mask) const { return static_cast<int>((i < 4 ? low : high) >> (8 * (i & 3) + shift)) & mask; }
  __device__ int signed_byte(int i) const { return static_cast<int8_t>(bits(i, 0, 255)); }
};

/// w = s * code
template <class Code>
__device__ inline void scaled(float s, float* w, const Code& code) {
  for (int i = 0; i < kUnit; ++i) w[i] = __fmul_rn(s, static_cast<float>(code(i)));
}
/// w = s * code + m
template <class Code>
__device__ inline void line(float s, float m, float* w, const Code& code) {
  for (int i = 0; i < kUnit; ++i) w[i] = __fadd_rn(__fmul_rn(s, static_cast<float>(code(i))), m);
}

/// Formats without a table fill none.
struct NoTable {
  __device__ static void open(SharedMemory&) {}
  static SharedSize shared() { return {}; }
};

// Plain numbers: blocks of one, read a unit at a time; the last one reads into the room behind them.
struct PlainF32 : NoTable {
  static constexpr int kElements = kUnit, kBytes = 32;
  __device__ static void decode(const uint8_t* p, int, float* w) {
    const float4 a = __ldg(reinterpret_cast<const float4*>(p)), b = __ldg(reinterpret_cast<const float4*>(p) + 1);
    w[0] = a.x, w[1] = a.y, w[2] = a.z, w[3] = a.w, w[4] = b.x, w[5] = b.y, w[6] = b.z, w[7] = b.w;
  }
};
struct PlainBf16 : NoTable {
  static constexpr int kElements = kUnit, kBytes = 16;
  __device__ static void decode(const uint8_t* p, int, float* w) {
    const uint4 v = __ldg(reinterpret_cast<const uint4*>(p));
    const uint32_t pairs[4] = {v.x, v.y, v.z, v.w};
    for (int i = 0; i < 4; ++i) w[2 * i] = low_f32(pairs[i]), w[2 * i + 1] = high_f32(pairs[i]);
  }
};
struct PlainF16 : NoTable {
  static constexpr int kElements = kUnit, kBytes = 16;
  __device__ static void decode(const uint8_t* p, int, float* w) {
    const uint4 v = __ldg(reinterpret_cast<const uint4*>(p));
    const uint32_t pairs[4] = {v.x, v.y, v.z, v.w};
    for (int i = 0; i < 4; ++i) {
      w[2 * i] = f32(Half{static_cast<uint16_t>(pairs[i] & 0xffffu)});
      w[2 * i + 1] = f32(Half{static_cast<uint16_t>(pairs[i] >> 16)});
    }
  }
};

// Blocks of 32: units 0 and 1 are the lower halves of 16 bytes, 2 and 3 the upper ones.
struct Q40 : NoTable {
  static constexpr int kElements = 32, kBytes = 18;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const Bytes8 q = Bytes8::at<2>(p + 2 + 8 * (u & 1));
    scaled(half_at(p), w, [&](int i) { return q.bits(i, 4 * (u >> 1), 15) - 8; });
  }
};
struct Q41 : NoTable {
  static constexpr int kElements = 32, kBytes = 20;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const Bytes8 q = Bytes8::at<4>(p + 4 + 8 * (u & 1));
    line(half_at(p), half_at(p + 2), w, [&](int i) { return q.bits(i, 4 * (u >> 1), 15); });
  }
};
struct Q50 : NoTable {
  static constexpr int kElements = 32, kBytes = 22;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const Bytes8 q = Bytes8::at<2>(p + 6 + 8 * (u & 1));
    const uint32_t fifth = u32_at<2>(p + 2) >> (8 * u);
    scaled(half_at(p), w, [&](int i) { return q.bits(i, 4 * (u >> 1), 15) + 16 * static_cast<int>(fifth >> i & 1u) - 16; });
  }
};
struct Q51 : NoTable {
  static constexpr int kElements = 32, kBytes = 24;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const Bytes8 q = Bytes8::at<8>(p + 8 + 8 * (u & 1));
    const uint32_t fifth = u32_at<4>(p + 4) >> (8 * u);
    line(half_at(p), half_at(p + 2), w, [&](int i) { return q.bits(i, 4 * (u >> 1), 15) + 16 * static_cast<int>(fifth >> i & 1u); });
  }
};
struct Q80 : NoTable {
  static constexpr int kElements = 32, kBytes = 34;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const Bytes8 q = Bytes8::at<2>(p + 2 + 8 * u);
    scaled(half_at(p), w, [&](int i) { return q.signed_byte(i); });
  }
};

/// The 16 values of the IQ4 types, in 16 banks; the first array in shared memory (decode_coded.cuh says why).
struct Iq4Table {
  __device__ static Shared<float> values() { return SharedMemory().take<float>(16); }
  __device__ static void open(SharedMemory& memory) {
    const Shared<float> table = memory.take<float>(16);
    constexpr int8_t kNumbers[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    if (threadIdx.x == 0)
      for (int i = 0; i < 16; ++i) table[i] = static_cast<float>(kNumbers[i]);
    __syncthreads();
  }
  static SharedSize shared() { return SharedSize().take<float>(16); }
};
struct Iq4Nl : Iq4Table {
  static constexpr int kElements = 32, kBytes = 18;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const Bytes8 q = Bytes8::at<2>(p + 2 + 8 * (u & 1));
    scaled(half_at(p), w, [&](int i) { return static_cast<float>(values()[q.bits(i, 4 * (u >> 1), 15)]); });
  }
};

// Blocks of 256: 32 units.
struct Iq4Xs : Iq4Table {
  static constexpr int kElements = 256, kBytes = 136;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const int k = u / 4;  // 32 elements share a scale
    const int low = p[4 + k / 2] >> (4 * (k % 2)) & 15, high = static_cast<int>(u16_at(p + 2) >> (2 * k) & 3u);
    const float s = __fmul_rn(half_at(p), static_cast<float>(low + 16 * high - 32));
    const Bytes8 q = Bytes8::at<8>(p + 8 + 16 * k + 8 * (u & 1));
    scaled(s, w, [&](int i) { return static_cast<float>(values()[q.bits(i, 4 * (u >> 1 & 1), 15)]); });
  }
};
struct Q2K : NoTable {
  static constexpr int kElements = 256, kBytes = 84;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const int part = u / 2, scales = p[part];  // 16 elements share a scale
    const float s = __fmul_rn(half_at(p + 80), static_cast<float>(scales & 15)), m = __fmul_rn(half_at(p + 82), static_cast<float>(scales >> 4));
    const Bytes8 q = Bytes8::at<4>(p + 16 + 32 * (part / 8) + 16 * (part % 2) + 8 * (u & 1));
    line(s, -m, w, [&](int i) { return q.bits(i, 2 * (part / 2 % 4), 3); });
  }
};
struct Q3K : NoTable {
  static constexpr int kElements = 256, kBytes = 110;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const int part = u / 2, inside = 16 * (part % 2) + 8 * (u & 1);
    const uint8_t* scales = p + 96;
    const int low = part < 8 ? scales[part] & 15 : scales[part - 8] >> 4, high = scales[8 + part % 4] >> (2 * (part / 4)) & 3;
    const float s = __fmul_rn(half_at(p + 108), static_cast<float>(low + 16 * high - 32));
    const Bytes8 q = Bytes8::at<2>(p + 32 + 32 * (part / 8) + inside), third = Bytes8::at<2>(p + inside);
    scaled(s, w, [&](int i) { return q.bits(i, 2 * (part / 2 % 4), 3) + 4 * third.bits(i, part / 2, 1) - 4; });
  }
};

/// Scale and minimum of group k of a Q4_K or Q5_K block: 6 bits each in 12 bytes at s.
struct ScaleAndMinimum {
  float s, m;
  __device__ ScaleAndMinimum(const uint8_t* p, int k) {
    const uint8_t* bytes = p + 4;
    int scale, minimum;
    if (k < 4) {
      scale = bytes[k] & 63;
      minimum = bytes[k + 4] & 63;
    } else {
      scale = (bytes[k + 4] & 15) + 16 * (bytes[k - 4] >> 6);
      minimum = (bytes[k + 4] >> 4) + 16 * (bytes[k] >> 6);
    }
    s = __fmul_rn(half_at(p), static_cast<float>(scale));
    m = __fmul_rn(half_at(p + 2), static_cast<float>(minimum));
  }
};
struct Q4K : NoTable {
  static constexpr int kElements = 256, kBytes = 144;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const int k = u / 4;
    const ScaleAndMinimum both(p, k);
    const Bytes8 q = Bytes8::at<8>(p + 16 + 32 * (k / 2) + 8 * (u & 3));
    line(both.s, -both.m, w, [&](int i) { return q.bits(i, 4 * (k % 2), 15); });
  }
};
struct Q5K : NoTable {
  static constexpr int kElements = 256, kBytes = 176;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const int k = u / 4;
    const ScaleAndMinimum both(p, k);
    const Bytes8 q = Bytes8::at<8>(p + 48 + 32 * (k / 2) + 8 * (u & 3)), fifth = Bytes8::at<8>(p + 16 + 8 * (u & 3));
    line(both.s, -both.m, w, [&](int i) { return q.bits(i, 4 * (k % 2), 15) + 16 * fifth.bits(i, k, 1); });
  }
};
struct Q6K : NoTable {
  static constexpr int kElements = 256, kBytes = 210;
  __device__ static void decode(const uint8_t* p, int u, float* w) {
    const int part = u / 2, n = part / 8, j = part / 2 % 4, start = 16 * (part % 2) + 8 * (u & 1);
    const float s = __fmul_rn(half_at(p + 208), static_cast<float>(static_cast<int8_t>(p[192 + part])));
    const Bytes8 low = Bytes8::at<2>(p + 64 * n + 32 * (j % 2) + start), high = Bytes8::at<2>(p + 128 + 32 * n + start);
    scaled(s, w, [&](int i) { return low.bits(i, j < 2 ? 0 : 4, 15) + 16 * high.bits(i, 2 * j, 3) - 32; });
  }
};

}  // namespace stored

/// Blocks of a format as a source of units (decode_rows.cuh).
template <class Format>
struct StoredSource {
  static constexpr int kUnitsOfBlock = Format::kElements / kUnit;
  const uint8_t* data;

  struct Nothing {};  // blocks are read where they are decoded: scales and codes lie beside each other
  struct Reader {
    const uint8_t* data;
    __device__ Nothing load(int64_t) const { return {}; }
    __device__ void decode(Nothing, int64_t unit, float* w) const {
      Format::decode(data + unit / kUnitsOfBlock * Format::kBytes, static_cast<int>(unit % kUnitsOfBlock), w);
    }
  };
  __device__ Reader open(SharedMemory& memory) const {
    Format::open(memory);
    return {data};
  }
  static SharedSize shared() { return Format::shared(); }
};

/// f(source), its data still to be set, for blocks of a ggml type; false where there is no such format.
template <class F>
bool by_stored_format(int ggml_type, const F& f) {
  switch (ggml_type) {
    case 0: f(StoredSource<stored::PlainF32>{}); return true;
    case 1: f(StoredSource<stored::PlainF16>{}); return true;
    case 2: f(StoredSource<stored::Q40>{}); return true;
    case 3: f(StoredSource<stored::Q41>{}); return true;
    case 6: f(StoredSource<stored::Q50>{}); return true;
    case 7: f(StoredSource<stored::Q51>{}); return true;
    case 8: f(StoredSource<stored::Q80>{}); return true;
    case 10: f(StoredSource<stored::Q2K>{}); return true;
    case 11: f(StoredSource<stored::Q3K>{}); return true;
    case 12: f(StoredSource<stored::Q4K>{}); return true;
    case 13: f(StoredSource<stored::Q5K>{}); return true;
    case 14: f(StoredSource<stored::Q6K>{}); return true;
    case 20: f(StoredSource<stored::Iq4Nl>{}); return true;
    case 23: f(StoredSource<stored::Iq4Xs>{}); return true;
    case 30: f(StoredSource<stored::PlainBf16>{}); return true;
    default: return false;
  }
}

}  // namespace lorikeet::cuda
