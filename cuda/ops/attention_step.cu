// Attention of one new token in each of several texts, each against its own cache of f32, bf16 or int8: split-KV as in
// Dao et al., "Flash-Decoding for long-context inference", 2023.
//
// A text's keys are cut into chunks of 128 from the first one it sees, whatever texts stand beside it; a block of 128
// threads owns a chunk of one key/value head for up to 8 query heads at a time.
//   scores: 8 lanes share a key, a lane takes 4 numbers of every 32;
//   softmax relative to the chunk's maximum: a warp a query head;
//   mix: a thread owns 4 columns (1 when rows are not aligned for that) of every so many-th value.
// A second kernel joins the chunks of each head in order. Sums in f32, in a fixed order: a text's result has the same bits
// in every run and in every batch.
#include <algorithm>

#include "core/base/error.h"
#include "cuda/ops/attention_general.cuh"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kChunk = 128;      // keys
constexpr int kHeads = 8;        // query heads at a time
constexpr int kKeyLanes = 8;     // that share a key
constexpr int kTexts = 40;       // of one start: their table is an argument, of 4 kB at most
constexpr int kScratch = 1;      // slot
constexpr int kStatistics = 2;   // of a part, in front of its o: maximum, sum

struct StepRows {
  const void* data;
  const float* scales;  // of a row and head, with int8
  int stride, scale_stride;
};
struct StepText {
  StepRows keys, values;
  int row, first, length;  // of q; keys
  int chunk;               // parts of texts before
};
struct StepTexts {
  StepText text[kTexts];
};
struct StepShape {
  int heads, kv_heads, head_dim;
  ScoreRule<float> rule;
};

/// N numbers that lie side by side, widened, without the scale of int8.
template <int N>
__device__ inline void load_numbers(const float* p, float (&out)[N]) {
  if constexpr (N == 4) {
    const float4 v = *reinterpret_cast<const float4*>(p);
    out[0] = v.x, out[1] = v.y, out[2] = v.z, out[3] = v.w;
  } else {
    out[0] = *p;
  }
}
template <int N>
__device__ inline void load_numbers(const Bf16* p, float (&out)[N]) {
  if constexpr (N == 4) {
    const uint2 v = *reinterpret_cast<const uint2*>(p);
    out[0] = low_f32(v.x), out[1] = high_f32(v.x), out[2] = low_f32(v.y), out[3] = high_f32(v.y);
  } else {
    out[0] = f32(*p);
  }
}
template <int N>
__device__ inline void load_numbers(const int8_t* p, float (&out)[N]) {
  if constexpr (N == 4) {
    const uint32_t v = *reinterpret_cast<const uint32_t*>(p);
    for (int i = 0; i < 4; ++i) out[i] = static_cast<float>(static_cast<int8_t>(v >> 8 * i));
  } else {
    out[0] = static_cast<float>(*p);
  }
}

/// One chunk, key/value head and `heads` query heads of a block.
struct Piece {
  int kv, begin, count, heads;
  Shared<float> q, scores, sums;  // [kHeads][head_dim], [kHeads][kChunk], [kThreads][kHeads][N]
};

template <class T, int N>
__device__ inline void scores(const Piece& p, const StepRows& keys, const StepShape& s) {
  const int lane = static_cast<int>(threadIdx.x) % kKeyLanes;
  for (int k = static_cast<int>(threadIdx.x) / kKeyLanes; k < kChunk; k += kThreads / kKeyLanes) {
    const int row = p.begin + min(k, p.count - 1);
    const T* key = static_cast<const T*>(keys.data) + static_cast<int64_t>(row) * keys.stride + static_cast<int64_t>(p.kv) * s.head_dim;
    float dot[kHeads] = {};
    for (int c = lane * N; c < s.head_dim; c += kKeyLanes * N) {
      float v[N];
      load_numbers<N>(key + c, v);
      for (int h = 0; h < kHeads; ++h) {
        if (h >= p.heads) break;
        if constexpr (N == 4) {
          const float4 q = p.q.template as<float4>()[(h * s.head_dim + c) / 4];
          dot[h] += q.x * v[0] + q.y * v[1] + q.z * v[2] + q.w * v[3];
        } else {
          dot[h] += p.q[h * s.head_dim + c] * v[0];
        }
      }
    }
    const float scale = keys.scales ? keys.scales[static_cast<int64_t>(row) * keys.scale_stride + p.kv] : 1.0f;
    for (int h = 0; h < kHeads; ++h) {
      if (h >= p.heads) break;
      for (int bits = kKeyLanes / 2; bits > 0; bits /= 2) dot[h] += __shfl_xor_sync(kWholeWarp, dot[h], bits);
      if (lane == 0) p.scores[h * kChunk + k] = k < p.count ? s.rule(dot[h] * scale) : -INFINITY;
    }
  }
}

/// Scores become weights, with the scale of the value they meet; the maximum and the sum go to the parts.
__device__ inline void weigh(const Piece& p, const StepRows& values, float* parts, int part_size) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  for (int h = static_cast<int>(threadIdx.x) / kWarpThreads; h < p.heads; h += kThreads / kWarpThreads) {
    float top = -INFINITY, sum = 0;
    for (int k = lane; k < kChunk; k += kWarpThreads) top = fmaxf(top, p.scores[h * kChunk + k]);
    top = warp_max(top);
    for (int k = lane; k < kChunk; k += kWarpThreads) {
      const float weight = expf(p.scores[h * kChunk + k] - top);
      const float scale = values.scales && k < p.count ? values.scales[static_cast<int64_t>(p.begin + k) * values.scale_stride + p.kv] : 1.0f;
      sum += weight;
      p.scores[h * kChunk + k] = weight * scale;
    }
    sum = warp_sum(sum);
    if (lane != 0) continue;
    parts[h * part_size] = top;
    parts[h * part_size + 1] = sum;
  }
}

template <class T, int N>
__device__ inline void mix_values(const Piece& p, const StepRows& values, const StepShape& s, float* parts, int part_size) {
  const int across = min(s.head_dim / N, kThreads), groups = kThreads / across;  // threads along a row, rows at once
  const int thread = static_cast<int>(threadIdx.x), group = thread / across;
  for (int from = 0; from < s.head_dim; from += across * N) {
    const int column = from + thread % across * N;
    float sum[kHeads][N] = {};
    if (group < groups && column < s.head_dim)
      for (int k = group; k < p.count; k += groups) {
        float v[N];
        load_numbers<N>(static_cast<const T*>(values.data) + static_cast<int64_t>(p.begin + k) * values.stride + static_cast<int64_t>(p.kv) * s.head_dim + column, v);
        for (int h = 0; h < kHeads; ++h) {
          if (h >= p.heads) break;
          const float weight = p.scores[h * kChunk + k];
          for (int i = 0; i < N; ++i) sum[h][i] += weight * v[i];
        }
      }
    __syncthreads();
    for (int h = 0; h < kHeads; ++h)
      for (int i = 0; i < N; ++i) p.sums[(h * N + i) * kThreads + thread] = sum[h][i];
    __syncthreads();
    if (group != 0 || column >= s.head_dim) continue;
    for (int h = 0; h < p.heads; ++h)
      for (int i = 0; i < N; ++i) {
        float total = 0;
        for (int g = 0; g < groups; ++g) total += p.sums[(h * N + i) * kThreads + g * across + thread];
        parts[h * part_size + kStatistics + column + i] = total;
      }
  }
}

template <class T, int N>
__global__ void attention_step_kernel(const float* q, int64_t q_stride, StepTexts texts, StepShape s, float* parts) {
  const StepText& text = texts.text[blockIdx.z];
  const int chunk = static_cast<int>(blockIdx.x), begin = text.first + chunk * kChunk, kv = static_cast<int>(blockIdx.y), group = s.heads / s.kv_heads;
  if (begin >= text.length) return;
  SharedMemory memory;
  Piece p{kv, begin, min(kChunk, text.length - begin), 0, memory.take<float>(kHeads * s.head_dim), memory.take<float>(kHeads * kChunk), memory.take<float>(kThreads * kHeads * N)};
  const int part_size = s.head_dim + kStatistics;
  for (int h = 0; h < group; h += kHeads) {
    const int head = kv * group + h;
    p.heads = min(kHeads, group - h);
    float* out = parts + (static_cast<int64_t>(text.chunk + chunk) * s.heads + head) * part_size;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < p.heads * s.head_dim; i += kThreads) p.q[i] = q[text.row * q_stride + static_cast<int64_t>(head) * s.head_dim + i];
    __syncthreads();
    scores<T, N>(p, text.keys, s);
    __syncthreads();
    weigh(p, text.values, out, part_size);
    __syncthreads();
    mix_values<T, N>(p, text.values, s, out, part_size);
  }
}

/// A block owns a query head of a text, a thread every 128th column.
__global__ void attention_step_join_kernel(const float* parts, StepTexts texts, StepShape s, float* o, int64_t o_stride) {
  const StepText& text = texts.text[blockIdx.y];
  const int head = static_cast<int>(blockIdx.x), part_size = s.head_dim + kStatistics, chunks = (text.length - text.first + kChunk - 1) / kChunk;
  const int64_t step = static_cast<int64_t>(s.heads) * part_size;
  const float* first = parts + (static_cast<int64_t>(text.chunk) * s.heads + head) * part_size;
  float top = -INFINITY;
  for (int c = 0; c < chunks; ++c) top = fmaxf(top, first[c * step]);
  for (int column = static_cast<int>(threadIdx.x); column < s.head_dim; column += kThreads) {
    float sum = 0, out = 0;
    for (int c = 0; c < chunks; ++c) {
      const float* part = first + c * step;
      const float share = expf(part[0] - top);
      sum += share * part[1];
      out += share * part[kStatistics + column];
    }
    o[text.row * o_stride + static_cast<int64_t>(head) * s.head_dim + column] = out / sum;
  }
}

StepRows rows_of(const KvStore& s) {
  if (s.rows.row_stride() > INT32_MAX) throw UnsupportedError("attention_step: a cache with rows " + std::to_string(s.rows.row_stride()) + " numbers apart on cuda");
  const bool scaled = s.scales.defined();
  return {s.rows.raw(), scaled ? s.scales.data<float>() : nullptr, static_cast<int>(s.rows.row_stride()), scaled ? static_cast<int>(s.scales.row_stride()) : 0};
}

/// Whether rows and heads start on four numbers.
template <class T>
bool by_fours(const StepRows& r, int head_dim) { return reinterpret_cast<uintptr_t>(r.data) % (4 * sizeof(T)) == 0 && r.stride % 4 == 0 && head_dim % 4 == 0; }

template <class T, int N>
void start(Context& cx, const AttentionStepArgs& a, const StepTexts& texts, int64_t count, int64_t most_chunks, const StepShape& s) {
  const StepText& last = texts.text[count - 1];
  const int64_t chunks = last.chunk + (last.length - last.first + kChunk - 1) / kChunk;
  auto* parts = static_cast<float*>(cx.shared_scratch(kScratch, static_cast<size_t>(chunks * s.heads * (s.head_dim + kStatistics)) * sizeof(float)));
  const size_t shared = SharedSize().take<float>(kHeads * s.head_dim).template take<float>(kHeads * kChunk).template take<float>(kThreads * kHeads * N).bytes;
  launch("attention_step", &attention_step_kernel<T, N>, {most_chunks, s.kv_heads, count}, kThreads, shared, a.q.data<float>(), a.q.row_stride(), texts, s, parts);
  launch("attention_step_join", &attention_step_join_kernel, {s.heads, count}, kThreads, 0, parts, texts, s, a.o.data<float>(), a.o.row_stride());
}

/// Up to kTexts texts with caches of one type, from number `from` on; returns how many.
template <class T>
size_t some_texts(Context& cx, const AttentionStepArgs& a, size_t from, const StepShape& s) {
  StepTexts texts{};
  size_t count = 0;
  int64_t chunks = 0, most = 0;
  bool fours = true;
  for (size_t i = from; i < a.texts.size() && count < kTexts && a.texts[i].keys->rows.dtype() == a.texts[from].keys->rows.dtype(); ++i, ++count) {
    const AttentionStepText& t = a.texts[i];
    const int64_t first = a.shape.first_key(t.length - 1), own = (t.length - first + kChunk - 1) / kChunk;
    if (t.length > INT32_MAX / 2) throw UnsupportedError("attention_step: a text of " + std::to_string(t.length) + " positions on cuda");
    StepText& out = texts.text[count];
    out = {rows_of(*t.keys), rows_of(*t.values), static_cast<int>(t.row), static_cast<int>(first), static_cast<int>(t.length), static_cast<int>(chunks)};
    fours = fours && by_fours<T>(out.keys, s.head_dim) && by_fours<T>(out.values, s.head_dim);
    chunks += own;
    most = std::max(most, own);
  }
  if (fours) start<T, 4>(cx, a, texts, static_cast<int64_t>(count), most, s);
  else start<T, 1>(cx, a, texts, static_cast<int64_t>(count), most, s);
  return count;
}

}  // namespace

void attention_step(Context& cx, const AttentionStepArgs& a) {
  const StepShape s{static_cast<int>(a.shape.heads), static_cast<int>(a.shape.kv_heads), general_head_dim("attention_step", a.shape), score_rule<float>(a.shape)};
  for (size_t i = 0; i < a.texts.size();) {
    const DType type = a.texts[i].keys->rows.dtype();
    i += type == DType::f32 ? some_texts<float>(cx, a, i, s) : type == DType::bf16 ? some_texts<Bf16>(cx, a, i, s) : some_texts<int8_t>(cx, a, i, s);
  }
}

}  // namespace lorikeet::cuda
