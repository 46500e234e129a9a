// The cache kernels of the avx2 level; compiled with that level's flags (core/ops/CMakeLists.txt).
#define LORIKEET_LEVEL avx2
#include "core/ops/kv_kernels.inl"
