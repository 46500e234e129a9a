// Dot kernels for AVX2 + FMA + F16C. Compiled with those instruction sets: see decode_kernels.h for what may be included.
#include <immintrin.h>

#include "core/quant/dot_kernels.h"

namespace lorikeet::avx2_level {
namespace {

constexpr int kMostTokens = 2;  // at a time: with four rows, as many sums as registers hold

#include "core/quant/vector_avx2.inl"

#include "core/quant/block_formats.inl"
#include "core/quant/weight_rows.inl"

#include "core/quant/dot_rows.inl"

}  // namespace

constinit const DotKernels kDotKernels = dot_list();  // no code of this file runs before main

}  // namespace lorikeet::avx2_level
