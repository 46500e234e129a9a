// Decoders for AVX-512 (F, BW, DQ, VL). Compiled with those instruction sets: see decode_kernels.h for what may be
// included.
#include <immintrin.h>

#include "core/quant/decode_kernels.h"

namespace lorikeet::avx512_level {
namespace {

#include "core/quant/vector_avx512.inl"

#include "core/quant/block_formats.inl"
#include "core/quant/decode_x86.inl"

}  // namespace

constinit const DecodeKernels kDecodeKernels = decode_list();  // no code of this file runs before main

}  // namespace lorikeet::avx512_level
