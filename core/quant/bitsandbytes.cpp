// Weights in the parts bitsandbytes serialises (nf4 and fp4, plain or doubly quantised scales), read and written.
#include <algorithm>
#include <cmath>

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/quant/coded_weight.h"

namespace lorikeet {
namespace {

const Tensor* find_tensor(const WeightParts& parts, std::string_view name) {
  for (const auto& [key, tensor] : parts.tensors)
    if (key == name) return &tensor;
  return nullptr;
}
const double* find_number(const WeightParts& parts, std::string_view name) {
  for (const auto& [key, number] : parts.numbers)
    if (key == name) return &number;
  return nullptr;
}

std::string shown(std::string_view part) { return part.empty() ? "the packed codes" : "part \"" + std::string(part) + "\""; }

/// A part that must be there with a dtype and a number of elements.
Tensor wanted_part(const WeightParts& parts, std::string_view name, DType dtype, uint64_t elements) {
  const Tensor* t = find_tensor(parts, name);
  if (!t) throw RunError("a bitsandbytes weight lacks " + shown(name));
  if (t->dtype() != dtype)
    throw RunError("a bitsandbytes weight has " + shown(name) + " as " + std::string(dtype_name(t->dtype())) + "; " +
                   std::string(dtype_name(dtype)) + " is wanted");
  if (static_cast<uint64_t>(t->size()) != elements || !t->contiguous())
    throw RunError("a bitsandbytes weight has " + shown(name) + " with " + std::to_string(t->size()) + " elements; " +
                   std::to_string(elements) + " are wanted for its shape and block size");
  return *t;
}

void require_finite(const Tensor& t, std::string_view name) {
  const float* v = t.data<float>();
  for (int64_t i = 0; i < t.size(); ++i)
    if (!std::isfinite(v[i]))
      throw RunError("a bitsandbytes weight has a value that is not finite at index " + std::to_string(i) + " of " + shown(name));
}

/// The packed codes as u8, whatever dtype they were stored in (bitsandbytes can store the same bytes as bf16, f32...).
Tensor packed_codes(const WeightParts& parts, uint64_t wanted_bytes) {
  const Tensor* t = find_tensor(parts, "");
  if (!t) throw RunError("a bitsandbytes weight lacks the packed codes");
  // A wider storage type needs whole elements, so it may hold a few bytes more than the codes.
  const uint64_t have = t->bytes();
  if (!t->contiguous() || have < wanted_bytes || have - wanted_bytes >= dtype_bytes(t->dtype()))
    throw RunError("a bitsandbytes weight has " + std::to_string(have) + " bytes of packed codes; its shape needs " +
                   std::to_string(wanted_bytes));
  return Tensor::borrow(t->raw(), {static_cast<int64_t>(wanted_bytes)}, DType::u8, std::make_shared<Tensor>(*t));
}

/// Our shared tables when the file's are the same bits, else a copy of the file's.
std::shared_ptr<const CodeTables> tables_for(const Codebook& book, const float* values, const float* map) {
  auto own = std::make_shared<CodeTables>();
  std::copy_n(values, own->values.size(), own->values.begin());
  if (map)
    std::copy_n(map, own->map.size(), own->map.begin());
  else
    own->map = dynamic_map();
  own->shared = false;
  auto ours = shared_tables(book);
  return ours->values == own->values && ours->map == own->map ? ours : own;
}

Tensor tensor_of(const float* values, int64_t n) {
  Tensor t = Tensor::empty({n});
  std::copy_n(values, n, t.data<float>());
  return t;
}

BlockScales scales_from_parts(const WeightParts& parts, int64_t blocks) {
  if (!find_tensor(parts, "nested_absmax")) {
    Tensor absmax = wanted_part(parts, "absmax", DType::f32, static_cast<uint64_t>(blocks));
    require_finite(absmax, "absmax");
    return BlockScales::plain(std::move(absmax));
  }
  const double* given_group = find_number(parts, "nested_blocksize");
  const double group = given_group ? *given_group : static_cast<double>(kScalesPerGroup);
  if (!(group >= 1 && group <= 1 << 20) || group != std::floor(group))
    throw RunError("a bitsandbytes weight has nested_blocksize " + std::to_string(group) + "; a whole number from 1 is wanted");
  const double* offset = find_number(parts, "nested_offset");
  if (!offset || !std::isfinite(*offset))
    throw RunError("a bitsandbytes weight with nested scales lacks a finite nested_offset");
  const auto per_group = static_cast<int64_t>(group);
  Tensor codes = wanted_part(parts, "absmax", DType::u8, static_cast<uint64_t>(blocks));
  Tensor maxima = wanted_part(parts, "nested_absmax", DType::f32, static_cast<uint64_t>((blocks + per_group - 1) / per_group));
  require_finite(maxima, "nested_absmax");
  return BlockScales::from_parts(std::move(codes), std::move(maxima), static_cast<float>(*offset), per_group);
}

}  // namespace

FrozenWeightPtr weight_from_bitsandbytes(const WeightParts& parts, std::string_view quant_type, int block_size,
                                         int64_t rows, int64_t columns) {
  if (quant_type != "nf4" && quant_type != "fp4")
    throw RunError("a bitsandbytes weight has quant_type \"" + std::string(quant_type) + "\"; nf4 and fp4 can be read");
  if (rows < 1 || columns < 1 || !checked_mul(static_cast<uint64_t>(rows), static_cast<uint64_t>(columns)) ||
      rows > INT64_MAX / columns)
    throw RunError("a bitsandbytes weight has the shape " + std::to_string(rows) + " x " + std::to_string(columns));
  if (block_size < 32 || block_size > 4096 || (block_size & (block_size - 1)) != 0)
    throw RunError("a bitsandbytes weight has blocksize " + std::to_string(block_size) +
                   "; a power of two from 32 to 4096 is wanted");
  QuantOptions o;
  o.block_size = block_size;
  const BlockLayout l = block_layout(rows, columns, o);
  Tensor codes = packed_codes(parts, code_bytes(l.elements, 4));
  BlockScales scales = scales_from_parts(parts, l.blocks);
  const Tensor values = wanted_part(parts, "quant_map", DType::f32, 16);
  require_finite(values, "quant_map");
  Tensor map;
  if (scales.nested()) {
    map = wanted_part(parts, "nested_quant_map", DType::f32, 256);
    require_finite(map, "nested_quant_map");
  }
  const Codebook& book = *find_codebook(quant_type);
  auto tables = tables_for(book, values.data<float>(), scales.nested() ? map.data<float>() : nullptr);
  return std::make_shared<CodedWeight>(std::string(quant_type), rows, columns, 4, l.block, std::move(codes),
                                       std::move(scales), std::move(tables));
}

std::optional<WeightParts> bitsandbytes_parts(const FrozenWeight& w) {
  const auto* coded = dynamic_cast<const CodedWeight*>(&w);
  if (!coded || (coded->format() != "nf4" && coded->format() != "fp4")) return std::nullopt;
  WeightParts parts;
  const BlockScales& s = coded->scales();
  parts.tensors.emplace_back("", coded->codes().reshaped({coded->codes().size(), 1}));
  parts.tensors.emplace_back("absmax", s.nested() ? s.codes() : s.absmax());
  parts.tensors.emplace_back("quant_map", tensor_of(coded->tables().values.data(), 16));
  parts.numbers.emplace_back("blocksize", static_cast<double>(coded->block()));
  if (s.nested()) {
    parts.tensors.emplace_back("nested_absmax", s.group_maxima());
    parts.tensors.emplace_back("nested_quant_map", tensor_of(coded->tables().map.data(), 256));
    parts.numbers.emplace_back("nested_blocksize", static_cast<double>(s.group()));
    parts.numbers.emplace_back("nested_offset", static_cast<double>(s.offset()));
  }
  return parts;
}

}  // namespace lorikeet
