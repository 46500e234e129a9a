// The cache kernels of the scalar level; compiled with that level's flags (core/ops/CMakeLists.txt).
#define LORIKEET_LEVEL scalar
#include "core/ops/kv_kernels.inl"
