/// The inner loops that turn stored codes into f32, one table of functions per CPU level. Every level gives the same
/// bits: products and sums are rounded one by one (the folder is compiled with -ffp-contract=off).
/// Only <cstdint> may be included here: the level files are compiled with other instruction sets, and an inline
/// function shared with the rest of the program could then run where its instructions do not exist.
#pragma once
#include <cstdint>

namespace lorikeet {

enum class CpuLevel;

/// Consecutive blocks of codes that start on a byte. out[i] = table[code i] * scale of its block; for 8 bits the code
/// is a signed integer and its own value.
struct CodeRun {
  const uint8_t* codes;
  int64_t blocks;
  int64_t block;        // elements per block, any number >= 1; blocks > 1 needs a multiple of 8
  const float* scales;  // [blocks]
  const float* table;   // [16] (2 and 3 bits use the first 4 or 8); not read for 8 bits
  float* out;           // [blocks * block]
};

/// Largest ggml type id that has a decoder, plus one.
constexpr int kStoredTypeIds = 31;

struct DecodeKernels {
  void (*codes2)(const CodeRun&);  // element j of a byte in bits 2j..2j+1
  void (*codes3)(const CodeRun&);  // 8 elements in 3 bytes, little-endian, element j in bits 3j..3j+2
  void (*codes4)(const CodeRun&);  // even element in the high nibble
  void (*codes8)(const CodeRun&);
  /// Blocks as files store them by ggml type id; null where there is no decoder.
  void (*stored[kStoredTypeIds])(const uint8_t* blocks, int64_t count, float* out);
};

/// The table of a level; the caller makes sure that the machine has it (core/tensor/cpu_level.h).
const DecodeKernels& decode_kernels(CpuLevel level);

namespace scalar_level { extern const DecodeKernels kDecodeKernels; }
namespace avx2_level { extern const DecodeKernels kDecodeKernels; }
namespace avx512_level { extern const DecodeKernels kDecodeKernels; }

}  // namespace lorikeet
