// The 8-bit AdamW block of the avx2 level; compiled with that level's flags (core/ops/CMakeLists.txt).
#define LORIKEET_LEVEL avx2
#include "core/ops/adamw8bit_kernels.inl"
