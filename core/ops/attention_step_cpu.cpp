// A task is one chunk of one key/value head of one text; its softmax is relative to the chunk's own maximum. The chunks
// of a head are joined afterwards in order.
#include <algorithm>
#include <cmath>

#include "core/ops/cpu_twins.h"
#include "core/ops/kv_kernels.h"
#include "core/ops/row_kernels.h"
#include "core/ops/soft_cap.h"

namespace lorikeet {
namespace {

constexpr int64_t kChunk = 64;         // positions a task: short texts too have work for all threads
constexpr int kScratch = 6;            // slot, of each thread and shared
constexpr int64_t kStatistics = 16;    // floats in front of a head's part: maximum, sum; the part then starts a cache line

struct Task {
  const AttentionStepText* text;
  int64_t head, begin, end;  // key/value head; positions
};

KvKernels kernels_for(const KvKernelTable& k, DType type) { return type == DType::f32 ? k.f32 : type == DType::bf16 ? k.bf16 : k.int8; }

KvRun run_of(const KvStore& s, const Task& t, const AttentionShape& shape) {
  const auto offset = static_cast<size_t>(t.begin * s.rows.row_stride() + t.head * shape.head_dim) * dtype_bytes(s.rows.dtype());
  const bool scaled = s.scales.defined();
  return {static_cast<const char*>(s.rows.raw()) + offset,
          scaled ? s.scales.row<float>(t.begin) + t.head : nullptr,
          s.rows.row_stride(),
          scaled ? s.scales.row_stride() : 0,
          t.end - t.begin,
          shape.head_dim,
          shape.heads / shape.kv_heads};
}

// parts: per query head of the group [maximum, sum, .., o[D]].
void chunk(Context& cx, const AttentionStepArgs& a, const Task& t, int thread, float* parts) {
  const RowKernels& rows = row_kernels(cx.level());
  const KvKernels k = kernels_for(kv_kernels(cx.level()), t.text->keys->rows.dtype());
  const KvRun keys = run_of(*t.text->keys, t, a.shape), values = run_of(*t.text->values, t, a.shape);
  const int64_t group = keys.heads, width = keys.width, stride = kStatistics + width;
  auto* p = static_cast<float*>(cx.scratch(thread, kScratch, static_cast<size_t>(group * (keys.count + width)) * sizeof(float)));
  float* o = p + group * keys.count;
  k.scores(keys, a.q.row<float>(t.text->row) + t.head * group * width, p);
  const bool capped = a.shape.soft_cap > 0;
  const float scale = capped ? 1.0f : static_cast<float>(a.shape.scale);
  for (int64_t h = 0; h < group; ++h) {
    float* row = p + h * keys.count;
    if (capped) ops::cap_scores(row, keys.count, a.shape.scale, a.shape.soft_cap);
    parts[h * stride] = rows.max(row, keys.count) * scale;
    parts[h * stride + 1] = rows.exp_sum(row, scale, parts[h * stride], keys.count);
  }
  k.mix(values, p, o);
  for (int64_t h = 0; h < group; ++h) std::copy_n(o + h * width, width, parts + h * stride + kStatistics);
}

// o of one query head from its chunks.
void join(const float* parts, int64_t chunks, int64_t chunk_stride, int64_t width, float* o) {
  float top = parts[0];
  for (int64_t c = 1; c < chunks; ++c) top = std::max(top, parts[c * chunk_stride]);
  float sum = 0;
  std::fill(o, o + width, 0.0f);
  for (int64_t c = 0; c < chunks; ++c) {
    const float* part = parts + c * chunk_stride;
    const float share = std::exp(part[0] - top);
    sum += share * part[1];
    for (int64_t i = 0; i < width; ++i) o[i] += share * part[kStatistics + i];
  }
  for (int64_t i = 0; i < width; ++i) o[i] /= sum;
}

}  // namespace

void attention_step_cpu(Context& cx, const AttentionStepArgs& a) {
  const AttentionShape& s = a.shape;
  const int64_t group = s.heads / s.kv_heads, stride = kStatistics + s.head_dim, part = group * stride;
  std::vector<Task> tasks;
  for (const AttentionStepText& t : a.texts)
    for (int64_t h = 0; h < s.kv_heads; ++h)
      for (int64_t b = s.first_key(t.length - 1); b < t.length; b += kChunk) tasks.push_back({&t, h, b, std::min(t.length, b + kChunk)});
  const auto count = static_cast<int64_t>(tasks.size());
  auto* parts = static_cast<float*>(cx.shared_scratch(kScratch, static_cast<size_t>(count * part) * sizeof(float)));
  cx.pool().run(count, [&](int64_t i, int thread) { chunk(cx, a, tasks[static_cast<size_t>(i)], thread, parts + i * part); });
  for (int64_t i = 0; i < count;) {
    const Task& t = tasks[static_cast<size_t>(i)];
    const int64_t chunks = (t.text->length - s.first_key(t.text->length - 1) + kChunk - 1) / kChunk;
    for (int64_t h = 0; h < group; ++h)
      join(parts + i * part + h * stride, chunks, part, s.head_dim, a.o.row<float>(t.text->row) + (t.head * group + h) * s.head_dim);
    i += chunks;
  }
}

}  // namespace lorikeet
