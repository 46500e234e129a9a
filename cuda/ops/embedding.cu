// Row gather from a stored table: rows are decoded by the kernel of decode_rows.cuh, which takes them by a list of ids.
//
// Of a table on the host each row named goes to the device once: as it is stored where the device can decode that, else
// decoded, which gives the same bits. From there on it is a small table, and the ids are places in it.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "cuda/ops/decode.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kGgmlF32 = 0;
constexpr int64_t kRows = 16;  // rows a task

/// Ids without repetition, and for each token the place of its id among them.
struct NamedRows {
  std::vector<int32_t> rows, places;
  NamedRows(const int32_t* ids, int64_t count) : rows(ids, ids + count), places(static_cast<size_t>(count)) {
    std::sort(rows.begin(), rows.end());
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    for (size_t t = 0; t < places.size(); ++t) places[t] = static_cast<int32_t>(std::lower_bound(rows.begin(), rows.end(), ids[t]) - rows.begin());
  }
};

/// Some rows of a table, one after the other.
class SmallTable final : public FrozenWeight {
 public:
  SmallTable(Context& cx, const FrozenWeight& table, const std::vector<int32_t>& rows) : FrozenWeight(static_cast<int64_t>(rows.size()), table.columns()), format_(table.format()) {
    const StoredForm s = table.stored_form();
    const auto all = static_cast<uint64_t>(table.rows());
    const bool as_stored = s.ggml_type >= 0 && can_decode(s.ggml_type) && s.bytes % all == 0;
    type_ = as_stored ? s.ggml_type : kGgmlF32;
    const int64_t row_bytes = as_stored ? static_cast<int64_t>(s.bytes / all) : columns() * static_cast<int64_t>(sizeof(float));
    data_ = Tensor::empty({this->rows(), row_bytes}, DType::u8);
    cx.pool().for_blocks(this->rows(), kRows, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t row = rows[static_cast<size_t>(r)];
        uint8_t* out = data_.row<uint8_t>(r);
        if (as_stored) std::memcpy(out, static_cast<const char*>(s.data) + row * row_bytes, static_cast<size_t>(row_bytes));
        else table.decode_rows(row, 1, reinterpret_cast<float*>(out), columns());
      }
    });
  }
  std::string_view format() const override { return format_; }
  uint64_t bytes() const override { return data_.bytes(); }
  StoredForm stored_form() const override { return {type_, data_.raw(), data_.bytes()}; }
  void decode_rows(int64_t, int64_t, float*, int64_t) const override { throw UnsupportedError("embedding: rows on their way to a device are decoded there"); }

 private:
  std::string_view format_;
  int type_;
  Tensor data_;
};

void gather(const FrozenWeight& table, const Tensor& ids, Tensor& y) {
  decode_gathered(device_weight("embedding", table), ids.data<int32_t>(), ids.size(), DType::f32, y.raw(), y.row_stride());
}

}  // namespace

void embedding(Context& cx, const EmbeddingArgs& a) {
  if (a.y.dtype() != DType::f32) throw UnsupportedError("embedding: y in " + std::string(dtype_name(a.y.dtype())) + " on cuda; wanted f32");
  if (a.y.size() == 0) return;
  if (a.table.device() == DeviceType::cuda) return gather(a.table, a.ids, a.y);
  const NamedRows named(a.ids.data<int32_t>(), a.ids.size());
  const FrozenWeightPtr rows = upload_weight(SmallTable(cx, a.table, named.rows));
  gather(*rows, Tensor::from(named.places, {a.ids.size()}).on(DeviceType::cuda), a.y);
}

}  // namespace lorikeet::cuda
