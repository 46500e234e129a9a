/// What the attention kernels share: which keys a query sees in packed documents, soft-capped scores, and what the
/// kernels on tensor cores (attention_mma.cu, attention_backward_mma.cu) offer to the general ones.
#pragma once
#include "core/ops/attention.h"
#include "cuda/device/reduce.cuh"

namespace lorikeet::cuda {

/// Documents packed one behind another. Rows are 32-bit, as in document_starts.
struct PackedDocuments {
  const int32_t* starts;  // [count + 1]; null: one document
  int count;
  int window;             // 0: none

  /// The number of the document that holds `row`; empty documents hold none.
  __device__ int of(int row) const {
    int low = 0, high = count;  // starts[low] <= row < starts[high]
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      if (starts[middle] <= row) low = middle;
      else high = middle;
    }
    return low;
  }
  /// The first key that query `row` sees; it rises with the row.
  __device__ int first_key(int row) const {
    const int start = starts ? starts[of(row)] : 0;
    return window > 0 && row - window >= start ? row - window + 1 : start;
  }
  /// One behind the last query that sees key `row`.
  __device__ int queries_end(int row) const {
    const int end = starts[of(row) + 1];
    return window > 0 && window < end - row ? row + window : end;
  }
};

inline PackedDocuments packed_documents(const Tensor& starts, const AttentionShape& s, int64_t rows) {
  if (rows > INT32_MAX / 2) throw UnsupportedError("attention: " + std::to_string(rows) + " rows on cuda");
  return {starts.data<int32_t>(), static_cast<int>(starts.size()) - 1, s.window > rows ? 0 : static_cast<int>(s.window)};
}

/// What the backward kernels need of each row: D = sum(dO O) and the softmax's logarithm, head by head, and the first key.
template <class T>
struct RowSums {
  T *delta, *lse;  // [heads][rows]
  int* first;      // [rows]
};
/// In scratch memory; the logarithm times `lse_factor`.
template <class T>
RowSums<Sum<T>> row_sums(Context& cx, const AttentionBackwardArgs& a, Sum<T> lse_factor);

/// 16-bit rows on tensor cores: false when this card, the head's width or the alignment does not allow it.
bool attention_mma(Context& cx, const AttentionArgs& a);
bool attention_backward_mma(Context& cx, const AttentionBackwardArgs& a);

}  // namespace lorikeet::cuda
