// Sum of the squares of several tensors in f64 (core/ops/square_sum.h).
//
// Tensors are cut into pieces of 65536 elements. One block of 256 threads sums a piece: a thread takes every 256th pack of
// 16 bytes of f32 (one element where the tensor begins elsewhere, and of f64), then the block adds up its threads. A single
// block then adds up the pieces. Which elements go into which sum depends on the sizes alone, never on the card: the
// result is deterministic. The table of tensors is sent to the device when it is another than before, one number comes back.
#include <vector>

#include "core/ops/square_sum.h"
#include "core/tensor/device_memory.h"
#include "cuda/device/pack.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/ops/tensor_table.cuh"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kThreads = 256, kPiece = 1 << 16;
constexpr int kSumSlot = 0;

struct Entry {
  const void* data;
  int64_t size;
  int64_t first_piece;
  int64_t twice_as_precise;  // f64, else f32
};

/// What a thread adds of n elements.
template <int N, class T>
__device__ inline double sum_of_thread(const T* x, int64_t n) {
  double sum = 0;
  const int64_t whole = n / N;
  for (int64_t i = threadIdx.x; i < whole; i += kThreads) {
    const auto pack = load_pack<N>(x + i * N);
    for (int k = 0; k < N; ++k) sum += static_cast<double>(pack.at[k]) * static_cast<double>(pack.at[k]);
  }
  for (int64_t i = whole * N + threadIdx.x; i < n; i += kThreads) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

__device__ inline double sum_of_thread(const Entry& e, int64_t piece) {
  const int64_t at = (piece - e.first_piece) * kPiece, n = min(int64_t{kPiece}, e.size - at);
  if (e.twice_as_precise) return sum_of_thread<1>(static_cast<const double*>(e.data) + at, n);
  const float* x = static_cast<const float*>(e.data) + at;
  return reinterpret_cast<uintptr_t>(x) % kPackBytes == 0 ? sum_of_thread<kPackCount<float>>(x, n) : sum_of_thread<1>(x, n);
}

__global__ void square_sum_pieces_kernel(const Entry* table, int entries, double* sums, int64_t pieces) {
  SharedMemory memory;
  const Shared<double> shared = memory.take<double>(kThreads / kWarpThreads);
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const double sum = block_sum<kThreads>(sum_of_thread(entry_of(table, entries, piece), piece), shared);
    if (threadIdx.x == 0) sums[piece] = sum;
  }
}

__global__ void square_sum_kernel(const double* sums, int64_t pieces, double* out) {
  SharedMemory memory;
  const Shared<double> shared = memory.take<double>(kThreads / kWarpThreads);
  double sum = 0;
  for (int64_t i = threadIdx.x; i < pieces; i += kThreads) sum += sums[i];
  sum = block_sum<kThreads>(sum, shared);
  if (threadIdx.x == 0) *out = sum;
}

}  // namespace

void square_sum(Context& cx, const SquareSumArgs& a) {
  std::vector<Entry> table;
  int64_t pieces = 0;
  for (const Tensor* t : a.tensors) {
    if (t->size() == 0) continue;
    table.push_back({t->raw(), t->size(), pieces, t->dtype() == DType::f64});
    pieces += (t->size() + kPiece - 1) / kPiece;
  }
  const DeviceMemory& memory = device_memory(DeviceType::cuda);
  if (a.sum) *a.sum = 0;
  if (table.empty() && a.total) memory.zero(a.total->raw(), sizeof(double));
  if (table.empty()) return;
  const size_t shared_bytes = SharedSize().take<double>(kThreads / kWarpThreads).bytes;
  auto* sums = static_cast<double*>(cx.shared_scratch(kSumSlot, static_cast<size_t>(pieces + 1) * sizeof(double)));
  double* total = a.total ? a.total->data<double>() : sums + pieces;
  const Entry* entries = cx.kept<SentTables>().send(table);
  launch("square_sum_pieces", &square_sum_pieces_kernel, {blocks_for(pieces, 1)}, kThreads, shared_bytes, entries, static_cast<int>(table.size()), sums, pieces);
  launch("square_sum", &square_sum_kernel, {1}, kThreads, shared_bytes, sums, pieces, total);
  if (a.sum) memory.to_host(a.sum, total, sizeof(double));
}

}  // namespace lorikeet::cuda
