/// The loops of attention_step over the rows of a cache, per CPU level and per type of the cache; compiled like the row
/// kernels (row_kernels.inl says what may be included). Same level, same bits.
#pragma once
#include <cstdint>

namespace lorikeet {

enum class CpuLevel;

/// One key/value head of a cache. Element i of row j: rows[j * row_stride + i] (times scales[j * scale_stride] in int8).
struct KvRun {
  const void* rows;
  const float* scales;
  int64_t row_stride, scale_stride;
  int64_t count, width;
  int64_t heads;  // query heads that share it
};
struct KvKernels {
  /// p[h * count + j] = q[h * width ..] . row j
  void (*scores)(const KvRun&, const float* q, float* p);
  /// o[h * width ..] = sum over j of p[h * count + j] * row j
  void (*mix)(const KvRun&, const float* p, float* o);
};
struct KvKernelTable { KvKernels f32, bf16, int8; };
const KvKernelTable& kv_kernels(CpuLevel level);
namespace scalar { extern const KvKernelTable kKvKernels; }
namespace avx2 { extern const KvKernelTable kKvKernels; }
namespace avx512 { extern const KvKernelTable kKvKernels; }

}  // namespace lorikeet
