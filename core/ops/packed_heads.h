/// Rows of bf16 tensors in attention, packed a head at a time so that every block of queries or keys meets them.
/// Documents do not see each other and are packed apart.
#pragma once
#include <vector>

#include "core/ops/bf16_rows.h"

namespace lorikeet::ops {

constexpr int64_t kAttentionBlock = PackedProduct::kRows;  // queries or keys a task works on at once

constexpr int64_t kMostHeadDim = 256;
/// Whether attention on rows of bf16 multiplies them as they are; else it widens them to f32.
inline bool packed_attention(CpuUnit unit, int64_t head_dim) { return PackedProduct::offered(unit) && head_dim <= kMostHeadDim; }

struct Document {
  int64_t first, last, packed_at;  // rows; start of its packed rows
  int64_t rows() const { return last - first; }
};
/// Packed rows of a document: a multiple of 32, whichever way they are packed.
inline int64_t whole_rows(int64_t rows) { return (rows + 31) / 32 * 32; }
/// Documents that hold a token.
std::vector<Document> documents_of(const Tensor& starts);

/// One head's rows of a tensor, packed for every document: as columns (k = head_dim) or along k (columns = head_dim).
class PackedHeads {
 public:
  enum Way { as_columns, along_k };
  PackedHeads(const PackedProduct& product, const std::vector<Document>& documents, int64_t heads, int64_t head_dim, Way way);
  int64_t words() const { return heads_ * rows_ * words_a_row_; }
  int64_t heads() const { return heads_; }
  void set_data(uint32_t* data) { data_ = data; }
  void pack(const Tensor& t, const Document& d, int64_t head) const;
  Packed of(const Document& d, int64_t head) const;

 private:
  const PackedProduct& product_;
  int64_t heads_, head_dim_, rows_ = 0, words_a_row_ = 0;
  Way way_;
  uint32_t* data_ = nullptr;
};

struct HeadSource {
  PackedHeads* packed;
  const Tensor* rows;
};
/// Packs all of them into shared scratch memory.
void pack_all(Context& cx, const std::vector<Document>& documents, const std::vector<HeadSource>& sources);

}  // namespace lorikeet::ops
