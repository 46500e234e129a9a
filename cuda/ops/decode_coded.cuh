/// How packed codes with block scales are read (core/quant/coded_weight.h): value = table[code] * scale of its block, and a
/// doubly quantised scale = map[code] * group maximum + offset, decoded in the same pass (kernels.md 3.4). Products and sums
/// are rounded one by one, as on the host. A unit of 8 elements starts at a byte and lies in one block.
/// The 16 values lie in 16 banks of shared memory: lanes that read different ones do not wait for each other.
/// Tables are the first arrays in shared memory and are taken anew where they are read: nvcc 13.0 takes a Shared for an
/// address in global memory where it stands in a struct beside pointers from the kernel's arguments.
#pragma once
#include "cuda/device/kernel.cuh"
#include "cuda/runtime/device_weight.h"

namespace lorikeet::cuda {

constexpr int kTables = kTableValues + kScaleMap;

template <int kBits> struct CodesOfUnit { using type = uint32_t; };
template <> struct CodesOfUnit<2> { using type = uint16_t; };
template <> struct CodesOfUnit<8> { using type = uint2; };

/// Where the parts of scales lie on the device.
struct ScaleParts {
  const float* absmax;  // null: the others
  const uint8_t* codes;
  const float* maxima;
  float offset;
  int unit_shift;   // 2^unit_shift units a block
  int group_shift;  // 2^group_shift blocks a group, or -1: `group`
  int64_t group;
};

template <int kBits>
struct CodedSource {
  using Codes = typename CodesOfUnit<kBits>::type;
  const uint8_t* codes;
  const float* tables;
  ScaleParts scales;

  struct Reader {
    const uint8_t* codes;
    ScaleParts scales;

    __device__ static Shared<float> tables() { return SharedMemory().take<float>(kTables); }
    __device__ Codes load(int64_t unit) const {
      if constexpr (kBits == 3) {
        const uint8_t* p = codes + unit * 3;
        return p[0] | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16;
      } else {
        return __ldg(reinterpret_cast<const Codes*>(codes) + unit);
      }
    }
    __device__ float scale(int64_t unit) const {
      const int64_t block = unit >> scales.unit_shift;
      if (scales.absmax) return __ldg(scales.absmax + block);
      const int64_t group = scales.group_shift >= 0 ? block >> scales.group_shift : block / scales.group;
      const float code = tables().from(kTableValues)[__ldg(scales.codes + block)];
      return __fadd_rn(__fmul_rn(code, __ldg(scales.maxima + group)), scales.offset);
    }
    /// The element's number before it is scaled.
    __device__ float value(Codes c, int i) const {
      if constexpr (kBits == 8) {
        return static_cast<float>(static_cast<int8_t>((i < 4 ? c.x : c.y) >> (8 * (i & 3)) & 255u));
      } else {
        const int shift = kBits == 4 ? 4 * (i ^ 1) : kBits * i;  // of 4 bits the even element is the upper half of a byte
        return tables()[static_cast<int>(static_cast<uint32_t>(c) >> shift & ((1u << kBits) - 1))];
      }
    }
    __device__ void decode(Codes c, int64_t unit, float* w) const {
      const float s = scale(unit);
      for (int i = 0; i < kUnit; ++i) w[i] = __fmul_rn(value(c, i), s);
    }
  };

  __device__ Reader open(SharedMemory& memory) const {
    const Shared<float> all = memory.take<float>(kTables);
    const int count = scales.absmax ? kTableValues : kTables;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) all[i] = tables[i];
    __syncthreads();
    return {codes, scales};
  }
  static SharedSize shared() { return SharedSize().take<float>(kTables); }
};

template <int kBits>
CodedSource<kBits> coded_source(const DeviceCodes& c) {
  const bool nested = c.scale_codes.defined(), power = (c.group & (c.group - 1)) == 0;
  int shift = 0;
  while (power && int64_t{1} << shift < c.group) ++shift;
  ScaleParts s{};
  s.unit_shift = c.block_shift - 3;
  s.group_shift = power ? shift : -1;
  s.group = c.group;
  s.offset = c.offset;
  if (nested) {
    s.codes = c.scale_codes.data<uint8_t>();
    s.maxima = c.group_maxima.data<float>();
  } else {
    s.absmax = c.absmax.data<float>();
  }
  return {c.codes.data<uint8_t>(), c.tables.data<float>(), s};
}

}  // namespace lorikeet::cuda
