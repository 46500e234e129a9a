// Reads stored tensors into frozen weights: as they are, over the mapped bytes, or decoded and coded anew as the run
// asks.
#include <fmt/format.h>

#include <atomic>
#include <cstring>
#include <map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/gguf.h"
#include "core/io/opened_model.h"

namespace lorikeet::detail {
namespace {

constexpr uint64_t kDropEvery = 64u << 20;

/// Rows of GGUF's interleaved rotary order put back into Hugging Face's half-split order; blocks run along a row, so
/// moving whole rows loses nothing.
std::shared_ptr<std::vector<std::byte>> rows_in_hf_order(const StoredTensor& t) {
  const int64_t rows = t.info.shape[0], d = t.interleaved_head;
  const size_t row_bytes = t.bytes.size() / static_cast<size_t>(rows);
  auto out = std::make_shared<std::vector<std::byte>>(t.bytes.size());
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t from = gguf_row_of(row, d);
    std::memcpy(out->data() + static_cast<size_t>(row) * row_bytes,
                t.bytes.data() + static_cast<size_t>(from) * row_bytes, row_bytes);
  }
  return out;
}

class StoredWeights final : public WeightSource {
 public:
  StoredWeights(const OpenedModel& model, Context& cx, const LoadOptions& options) : cx_(cx), options_(options) {
    for (const StoredTensor& t : model.tensors) tensors_.emplace(t.info.name, t);
    if (options.quantization != "keep") format_ = weight_formats().get(options.quantization);
  }

  ~StoredWeights() override {
    for (const auto& [name, t] : tensors_)
      if (t.mapping) t.mapping->drop_pages();
  }

  bool has(const std::string& name) const override { return tensors_.count(name) > 0; }

  FrozenWeightPtr matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) override {
    const StoredTensor& t = wanted(name, {rows, columns});
    if (!t.four_bit) check_finite(t);
    FrozenWeightPtr stored = as_stored(t);
    if (!quantise || !format_ || is_already(t)) {
      used(t);
      return stored;
    }
    Tensor values = Tensor::empty({rows, columns});
    cx_.pool().for_blocks(rows, 64, [&](int64_t begin, int64_t end, int) {
      stored->decode_rows(begin, end - begin, values.row<float>(begin), columns);
    });
    stored.reset();
    used(t);
    return format_->encode(cx_, values.data<float>(), rows, columns, options_.quant);
  }

  Tensor vector(const std::string& name, int64_t size) override {
    const StoredTensor& t = wanted(name, {size});
    check_finite(t);
    Tensor out = Tensor::empty({size});
    if (t.interleaved_head > 0) {
      const auto moved = rows_in_hf_order(t);
      decode_stored(t.ggml_type, moved->data(), size, out.data<float>());
    } else {
      decode_stored(t.ggml_type, t.bytes.data(), size, out.data<float>());
    }
    return out;
  }

 private:
  const StoredTensor& wanted(const std::string& name, const std::vector<int64_t>& shape) const {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) throw InputError("", "tensor " + printable(name, 90), "is not in the model's files");
    if (it->second.info.shape != shape)
      throw InputError(it->second.file, "tensor " + printable(name, 90), "has another shape than the model needs");
    return it->second;
  }

  FrozenWeightPtr as_stored(const StoredTensor& t) const {
    const int64_t rows = t.info.shape[0], columns = t.info.shape[1];
    if (t.four_bit)
      return weight_from_bitsandbytes(t.four_bit->parts, t.four_bit->quant_type, t.four_bit->block_size, rows, columns);
    if (t.interleaved_head > 0) {
      const auto moved = rows_in_hf_order(t);
      return stored_weight(t.ggml_type, *moved, rows, columns, moved);
    }
    return stored_weight(t.ggml_type, t.bytes, rows, columns, t.mapping);
  }

  /// Coding a 4-bit weight again in its own form could only lose.
  bool is_already(const StoredTensor& t) const {
    if (!t.four_bit || t.four_bit->quant_type != options_.quantization ||
        t.four_bit->block_size != options_.quant.block_size)
      return false;
    for (const auto& [part, tensor] : t.four_bit->parts.tensors)
      if (part == "nested_absmax") return options_.quant.double_quant;
    return !options_.quant.double_quant;
  }

  void check_finite(const StoredTensor& t) {
    const StoredType& type = *stored_type(t.ggml_type);
    const auto block_bytes = static_cast<int64_t>(type.block_bytes);
    const int64_t blocks = static_cast<int64_t>(t.bytes.size()) / block_bytes;
    std::atomic<int64_t> first{INT64_MAX};
    cx_.pool().for_blocks(blocks, 1 << 16, [&](int64_t begin, int64_t end, int) {
      int64_t bad = 0;
      const auto part =
          t.bytes.subspan(static_cast<size_t>(begin * block_bytes), static_cast<size_t>((end - begin) * block_bytes));
      if (stored_scales_finite(t.ggml_type, part, bad)) return;
      bad += begin * type.block_elements;
      int64_t known = first;
      while (bad < known && !first.compare_exchange_weak(known, bad)) {
      }
    });
    if (first == INT64_MAX) return;
    const int64_t width = t.info.shape.back();
    throw InputError(t.file, "tensor " + printable(t.info.name, 90),
                     fmt::format("a {} in row {}, column {} is not finite (NaN or infinity); the file is damaged",
                                 type.block_elements > 1 ? "scale" : "value",
                                 t.info.shape.size() > 1 ? first / width : 0, first % width));
  }

  /// Pages read once are given back now and then, so that coding a model does not hold the whole file in memory.
  void used(const StoredTensor& t) {
    touched_ += t.info.bytes;
    if (touched_ < kDropEvery || !t.mapping) return;
    t.mapping->drop_pages();
    touched_ = 0;
  }

  Context& cx_;
  LoadOptions options_;
  const WeightFormat* format_ = nullptr;
  std::map<std::string, StoredTensor> tensors_;
  uint64_t touched_ = 0;
};

}  // namespace

std::unique_ptr<WeightSource> make_weight_source(const OpenedModel& model, Context& cx, const LoadOptions& options) {
  return std::make_unique<StoredWeights>(model, cx, options);
}

}  // namespace lorikeet::detail
