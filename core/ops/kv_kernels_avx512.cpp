// The cache kernels of the avx512 level; compiled with that level's flags (core/ops/CMakeLists.txt).
#define LORIKEET_LEVEL avx512
#include "core/ops/kv_kernels.inl"
