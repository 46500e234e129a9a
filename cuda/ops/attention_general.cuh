/// Pieces of the general attention kernels, any type and head width up to 256: four warps, each with a few rows of its
/// own in shared memory, meet tiles of 32 rows; a lane owns a row of the tile for scores and every 32nd column for sums.
#pragma once
#include "cuda/ops/attention_rows.cuh"

namespace lorikeet::cuda {

constexpr int kGeneralWarps = 4;
constexpr int kGeneralThreads = kGeneralWarps * kWarpThreads;
constexpr int kTileRows = kWarpThreads;
constexpr int kMostHeadDim = 256;

/// Rows of one tensor; those of a head start at head * head_dim.
template <class T>
struct Rows {
  T* data;
  int64_t stride;
  __device__ T* at(int row, int head, int head_dim) const { return data + row * stride + static_cast<int64_t>(head) * head_dim; }
};
template <class T> Rows<const T> rows_of(const Tensor& t) { return {static_cast<const T*>(t.raw()), t.row_stride()}; }
template <class T> Rows<T> rows_of(Tensor& t) { return {static_cast<T*>(t.raw()), t.row_stride()}; }

/// Odd, so that lanes that read one column of 32 rows meet 32 banks.
__host__ __device__ constexpr int tile_stride(int head_dim) { return head_dim | 1; }

template <class S>
struct ScoreRule {
  S scale, cap;  // cap 0: none
  __device__ S operator()(S dot) const { return cap > S(0) ? cap * tanh(dot * (scale / cap)) : dot * scale; }
  /// The derivative of a score by what was capped.
  __device__ S slope(S score) const { return cap > S(0) ? S(1) - (score / cap) * (score / cap) : S(1); }
};
template <class S> ScoreRule<S> score_rule(const AttentionShape& s) { return {static_cast<S>(s.scale), static_cast<S>(s.soft_cap)}; }

/// Rows begin .. begin + count - 1 of a head, widened; rows from `end` on are zero. All threads take part.
template <class T, class S>
__device__ inline void load_rows(Shared<S> to, int stride, const Rows<const T>& from, int begin, int count, int end, int head, int head_dim) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  for (int r = warp; r < count; r += kGeneralWarps) {
    const bool there = begin + r < end;
    const T* row = from.at(there ? begin + r : end - 1, head, head_dim);
    for (int c = lane; c < head_dim; c += kWarpThreads) to[r * stride + c] = there ? widened(row[c]) : S(0);
  }
}

/// The products of kOwn rows of the warp with the lane's row of a tile.
template <int kOwn, class S>
__device__ inline void dots(Shared<S> own, Shared<S> tile, int head_dim, S (&out)[kOwn]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, stride = tile_stride(head_dim);
  for (int i = 0; i < kOwn; ++i) out[i] = 0;
  int c = 0;
  if constexpr (std::is_same_v<S, float>) {
    if (head_dim % 4 == 0)  // four columns of an own row at once: all lanes read the same
      for (; c < head_dim; c += 4) {
        const float t0 = tile[lane * stride + c], t1 = tile[lane * stride + c + 1], t2 = tile[lane * stride + c + 2], t3 = tile[lane * stride + c + 3];
        for (int i = 0; i < kOwn; ++i) {
          const float4 o = own.template as<float4>()[(i * head_dim + c) / 4];
          out[i] += o.x * t0 + o.y * t1 + o.z * t2 + o.w * t3;
        }
      }
  }
  for (; c < head_dim; ++c) {
    const S t = tile[lane * stride + c];
    for (int i = 0; i < kOwn; ++i) out[i] += own[i * head_dim + c] * t;
  }
}

/// sums[i] += weights of the lanes times the rows of the tile; a lane keeps columns lane, lane + 32, ...
template <int kOwn, int kColumns, class S>
__device__ inline void mix(const S (&weights)[kOwn], Shared<S> tile, int head_dim, S (&sums)[kOwn][kColumns]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, stride = tile_stride(head_dim);
  for (int j = 0; j < kTileRows; ++j) {
    S row[kColumns];
    for (int c = 0; c < kColumns; ++c) row[c] = lane + c * kWarpThreads < head_dim ? static_cast<S>(tile[j * stride + lane + c * kWarpThreads]) : S(0);
    for (int i = 0; i < kOwn; ++i) {
      const S w = __shfl_sync(kWholeWarp, weights[i], j);
      for (int c = 0; c < kColumns; ++c) sums[i][c] += w * row[c];
    }
  }
}

inline int general_head_dim(const char* op, const AttentionShape& s) {
  if (s.head_dim > kMostHeadDim) throw UnsupportedError(std::string(op) + ": heads of width " + std::to_string(s.head_dim) + " on cuda; at most " + std::to_string(kMostHeadDim));
  return static_cast<int>(s.head_dim);
}

}  // namespace lorikeet::cuda
