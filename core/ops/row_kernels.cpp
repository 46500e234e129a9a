#include "core/ops/row_kernels.h"

namespace lorikeet {

// Not inline, see row_kernels.inl, which spells out the same mix; adapted_linear_test compares the two.
uint32_t dropout_hash(const DropoutRow& d, uint32_t column) {
  uint32_t h = (column ^ d.key[0]) * 0x9E3779B1u + d.key[1];
  h ^= h >> 16;
  h *= 0x85EBCA6Bu;
  h ^= (h >> 13) ^ d.key[2];
  h *= 0xC2B2AE35u;
  h ^= (h >> 16) ^ d.key[3];
  h *= 0x27D4EB2Fu;
  return h ^ (h >> 15);
}

namespace {

bool has_bf16_instructions() {
  static const bool has = cpu_probe().bf16_dot;
  return has;
}

}  // namespace

const RowKernels& row_kernels(CpuLevel level) {
  switch (level) {
    case CpuLevel::amx:
    case CpuLevel::avx512: return has_bf16_instructions() ? avx512_bf16::kRowKernels : avx512::kRowKernels;
    case CpuLevel::avx2: return avx2::kRowKernels;
    case CpuLevel::scalar: break;
  }
  return scalar::kRowKernels;
}

}  // namespace lorikeet
