// Dot kernels for AVX-512 (F, BW, DQ, VL). Compiled with those instruction sets: see decode_kernels.h for what may be
// included.
#include <immintrin.h>

#include "core/quant/dot_kernels.h"

namespace lorikeet::avx512_level {
namespace {

constexpr int kMostTokens = 4;  // at a time: with four rows, as many sums as registers hold

#include "core/quant/vector_avx512.inl"

#include "core/quant/block_formats.inl"
#include "core/quant/dot_rows.inl"

}  // namespace

constinit const DotKernels kDotKernels = dot_list();  // no code of this file runs before main

}  // namespace lorikeet::avx512_level
