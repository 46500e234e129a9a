// Dot kernels for AVX-512 (F, BW, DQ, VL). Compiled with those instruction sets: see decode_kernels.h for what may be
// included.
#include <immintrin.h>

#include "core/quant/dot_kernels.h"

namespace lorikeet::avx512_level {
namespace {

#include "core/quant/dot_vectors_avx512.inl"
#include "core/quant/dot_rows.inl"

}  // namespace

const DotKernels kDotKernels = {dot<Codes4Row>, dot<Codes8Row>, LORIKEET_BY_TYPE(dot, nullptr)};

}  // namespace lorikeet::avx512_level
