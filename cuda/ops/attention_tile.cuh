/// Pieces of the attention kernels on tensor cores: tiles of bf16 or f16 rows in shared memory and products of a warp with them.
/// A warp owns strips of 16 rows (fragments A); a tile's rows are the columns of a product (scores) or what is summed over
/// (mix). Rows in shared memory are 8 numbers longer than a head, so that the 8 rows an ldmatrix reads lie in different
/// banks for every head width that is a multiple of 16.
#pragma once
#include "cuda/device/async_copy.cuh"
#include "cuda/device/mma.cuh"
#include "cuda/ops/attention_rows.cuh"

namespace lorikeet::cuda {

constexpr float kLog2E = 1.44269504088896340736f, kLn2 = 0.69314718055994530942f;

template <int kHeadDim>
constexpr int kTileStride = kHeadDim + 8;

/// Most shared memory of a block where f16 rows must find room: sm_75 has no more.
constexpr size_t kTuringSharedBytes = 64u << 10;
/// Whether the tiles of a kernel fit where rows of T are computed.
template <class T, class Shape> constexpr bool kFits = !std::is_same_v<T, Half> || Shape::shared_bytes() <= kTuringSharedBytes;
/// Whether this card's tensor cores take rows of the type.
bool tensor_cores_take(DType type);

/// The rows of one head in a tensor.
template <class T>
struct HeadRows {
  const T* data;
  int stride;
};
template <class T>
struct TensorRows {
  const T* data;
  int stride;
  __device__ HeadRows<T> head(int h, int head_dim) const { return {data + static_cast<int64_t>(h) * head_dim, stride}; }
};
template <class T>
TensorRows<T> tensor_rows(const Tensor& t) { return {static_cast<const T*>(t.raw()), static_cast<int>(t.row_stride())}; }
/// Whether rows and heads start on 16 bytes (and a 32-bit number holds the stride).
inline bool fit_for_tiles(const Tensor& t) { return reinterpret_cast<uintptr_t>(t.raw()) % 16 == 0 && t.row_stride() % 8 == 0 && t.row_stride() <= INT32_MAX; }

__device__ inline float fast_exp2(float x) {
#if defined(__CUDA_ARCH__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}
/// tanh to some 1e-7: far below the step of 16-bit numbers wherever a score is large enough to matter.
__device__ inline float fast_tanh(float x) { return 1.0f - 2.0f * __fdividef(1.0f, 1.0f + fast_exp2(2.0f * kLog2E * x)); }

/// Starts copying rows begin .. begin + kRows - 1 of a head to a tile; rows behind `last` repeat it. All threads take part,
/// each at one place of every kStep-th row.
template <int kHeadDim, int kRows, int kThreads, class T>
__device__ inline void copy_tile(const Shared<T>& to, const HeadRows<T>& from, int begin, int last) {
  constexpr int kPieces = kHeadDim / 8, kStep = kThreads / kPieces;
  const int thread = static_cast<int>(threadIdx.x), row = thread / kPieces, column = thread % kPieces * 8;
  if (kThreads % kPieces != 0 && row >= kStep) return;
  const T* source = from.data + column;
  LORIKEET_UNROLL
  for (int r = 0; r < kRows; r += kStep)
    if (kRows % kStep == 0 || r + row < kRows)
      copy_async_16(to, (r + row) * kTileStride<kHeadDim> + column, source + static_cast<int64_t>(min(begin + r + row, last)) * from.stride);
}

/// Where this lane's row of fragments starts in a tile: of 16 rows as A, or as B of a mix (turned).
template <int kHeadDim>
__device__ inline int lane_of_rows() {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  return lane % 16 * kTileStride<kHeadDim> + lane / 16 * 8;
}
/// And of 16 rows as columns of B.
template <int kHeadDim>
__device__ inline int lane_of_columns() {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  return (lane % 8 + lane / 16 * 8) * kTileStride<kHeadDim> + lane / 8 % 2 * 8;
}

/// A lane's parts of kStrips x 16 rows and kColumns x 8 columns.
template <int kStrips, int kColumns>
struct Sums {
  float v[kStrips][kColumns][4];
  __device__ void clear() {
    LORIKEET_UNROLL
    for (int m = 0; m < kStrips; ++m)
      LORIKEET_UNROLL
      for (int n = 0; n < kColumns; ++n)
        LORIKEET_UNROLL
        for (int i = 0; i < 4; ++i) v[m][n][i] = 0.0f;
  }
};

/// The warp's rows as A, all of a head's width: read again for each product, or kept in registers.
template <class T, int kHeadDim, int kStrips, bool kKept>
class OwnRows {
 public:
  /// From row `row` of the tile on.
  __device__ OwnRows(const Shared<T>& tile, int row) : tile_(tile), at_(row * kTileStride<kHeadDim> + lane_of_rows<kHeadDim>()) {}
  /// When the tile is there.
  __device__ void keep() {
    if constexpr (kKept)
      LORIKEET_UNROLL
      for (int k = 0; k < kHeadDim / 16; ++k)
        LORIKEET_UNROLL
        for (int m = 0; m < kStrips; ++m) load_matrices(kept_[k][m], tile_, at_ + m * 16 * kTileStride<kHeadDim> + k * 16);
  }
  /// sums = rows times the transposed first kColumns * 8 rows of `other`.
  template <int kColumns>
  __device__ void scores(const Shared<T>& other, Sums<kStrips, kColumns>& sums) {
    const int lane = lane_of_columns<kHeadDim>();
    sums.clear();
    LORIKEET_UNROLL
    for (int k = 0; k < kHeadDim / 16; ++k) {
      uint32_t(&a)[kStrips][4] = kept_[kKept ? k : 0];
      if constexpr (!kKept)
        LORIKEET_UNROLL
        for (int m = 0; m < kStrips; ++m) load_matrices(a[m], tile_, at_ + m * 16 * kTileStride<kHeadDim> + k * 16);
      LORIKEET_UNROLL
      for (int n = 0; n < kColumns; n += 2) {
        uint32_t b[4];
        load_matrices(b, other, n * 8 * kTileStride<kHeadDim> + lane + k * 16);
        LORIKEET_UNROLL
        for (int m = 0; m < kStrips; ++m) {
          mma<T>(sums.v[m][n], a[m], b[0], b[1]);
          mma<T>(sums.v[m][n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

 private:
  Shared<T> tile_;
  int at_;
  uint32_t kept_[kKept ? kHeadDim / 16 : 1][kStrips][4];
};

/// out += weights, rounded to T, times kDepth * 8 rows of a tile; `out` has kColumns * 8 columns from column `from` on.
template <int kHeadDim, int kStrips, int kDepth, int kColumns, class T>
__device__ inline void mix(const Sums<kStrips, kDepth>& weights, const Shared<T>& tile, int from, Sums<kStrips, kColumns>& out) {
  const int lane = lane_of_rows<kHeadDim>() + from;
  LORIKEET_UNROLL
  for (int k = 0; k < kDepth; k += 2) {
    uint32_t a[kStrips][4];
    LORIKEET_UNROLL
    for (int m = 0; m < kStrips; ++m) {
      const auto& w = weights.v[m];
      a[m][0] = pair_of<T>(w[k][0], w[k][1]);
      a[m][1] = pair_of<T>(w[k][2], w[k][3]);
      a[m][2] = pair_of<T>(w[k + 1][0], w[k + 1][1]);
      a[m][3] = pair_of<T>(w[k + 1][2], w[k + 1][3]);
    }
    LORIKEET_UNROLL
    for (int n = 0; n < kColumns; n += 2) {
      uint32_t b[4];
      load_matrices_turned(b, tile, k * 8 * kTileStride<kHeadDim> + lane + n * 8);
      LORIKEET_UNROLL
      for (int m = 0; m < kStrips; ++m) {
        mma<T>(out.v[m][n], a[m], b[0], b[1]);
        mma<T>(out.v[m][n + 1], a[m], b[2], b[3]);
      }
    }
  }
}

}  // namespace lorikeet::cuda
