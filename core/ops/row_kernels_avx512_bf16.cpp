// The row kernels of units that convert to bf16; compiled with those units' flags (core/ops/CMakeLists.txt).
#define LORIKEET_LEVEL avx512_bf16
#define LORIKEET_BF16_INSTRUCTIONS
#include "core/ops/row_kernels.inl"
