// The 8-bit AdamW block of the scalar level; compiled with that level's flags (core/ops/CMakeLists.txt).
#define LORIKEET_LEVEL scalar
#include "core/ops/adamw8bit_kernels.inl"
