// Reading: the whole file is checked (header, sizes, contiguity, exact length) before a single tensor is handed out.
#include "core/io/safetensors.h"

#include <algorithm>
#include <cstring>

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/safetensors_header.h"

namespace lorikeet {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // the reference library's limit

std::string tensor_place(const SafetensorsEntry& e) { return "tensor \"" + printable(e.name, 90) + "\""; }

uint64_t read_u64(const std::byte* p) {
  uint64_t v = 0;
  for (int i = 7; i >= 0; --i) v = v << 8 | std::to_integer<uint64_t>(p[i]);
  return v;
}

/// Bytes that shape and dtype ask for.
uint64_t wanted_bytes(const SafetensorsEntry& e, const std::string& file) {
  uint64_t bits = static_cast<uint64_t>(detail::safetensors_bits(e.dtype));
  for (const int64_t axis : e.shape) {
    const auto next = checked_mul(bits, static_cast<uint64_t>(axis));
    if (!next) throw InputError(file, tensor_place(e), "the size of its shape overflows");
    bits = *next;
  }
  if (bits % 8 != 0)
    throw InputError(file, tensor_place(e), "its " + std::to_string(bits) + " bits are no whole bytes");
  return bits / 8;
}

void check_sizes(const SafetensorsEntry& e, uint64_t data_bytes, const std::string& file) {
  if (e.end < e.begin) throw InputError(file, tensor_place(e), "data_offsets end before they begin");
  const uint64_t wanted = wanted_bytes(e, file);
  if (e.end - e.begin != wanted)
    throw InputError(file, tensor_place(e),
                     "data_offsets cover " + std::to_string(e.end - e.begin) + " bytes, shape and dtype need " +
                         std::to_string(wanted));
  if (e.end > data_bytes)
    throw InputError(file, tensor_place(e),
                     "ends at byte " + std::to_string(e.end) + " of the data, the file has " +
                         std::to_string(data_bytes) + "; it is cut off, fetch it again");
}

/// Each tensor begins where the one before ended: no hole, no overlap, nothing behind the last.
void check_contiguous(const std::vector<SafetensorsEntry>& entries, uint64_t data_bytes, const std::string& file) {
  std::vector<const SafetensorsEntry*> order;
  for (const SafetensorsEntry& e : entries) order.push_back(&e);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  uint64_t at = 0;
  for (const SafetensorsEntry* e : order) {
    if (e->begin != at)
      throw InputError(
          file, tensor_place(*e),
          "begins at byte " + std::to_string(e->begin) + " of the data, " +
              (e->begin < at ? "inside the tensor before it" : "leaving a hole behind byte " + std::to_string(at)));
    at = e->end;
  }
  if (at != data_bytes)
    throw InputError(file, "byte " + std::to_string(at) + " of the data",
                     std::to_string(data_bytes - at) + " bytes follow the last tensor; a whole file has none");
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path), file_(std::make_shared<MappedFile>(path)) {
  const auto all = file_->bytes();
  if (all.size() < 8)
    throw InputError(path, "", "has " + std::to_string(all.size()) + " bytes; a safetensors file has at least 8");
  const uint64_t header = read_u64(all.data());
  if (header > kMaxHeader)
    throw InputError(
        path, "byte 0",
        "a header of " + std::to_string(header) + " bytes; at most " + std::to_string(kMaxHeader) + " are read");
  if (header > all.size() - 8)
    throw InputError(path, "byte 0",
                     "a header of " + std::to_string(header) + " bytes, but the file has " +
                         std::to_string(all.size()) + " in all; it is cut off or no safetensors file");
  const std::string_view text(reinterpret_cast<const char*>(all.data()) + 8, header);
  detail::SafetensorsHeader parsed = detail::parse_safetensors_header(text, path);
  entries_ = std::move(parsed.entries);
  metadata_ = std::move(parsed.metadata);
  const uint64_t data = all.size() - 8 - header;
  for (const SafetensorsEntry& e : entries_) check_sizes(e, data, path);
  check_contiguous(entries_, data, path);
  for (size_t i = 0; i < entries_.size(); ++i) {
    entries_[i].begin += 8 + header;
    entries_[i].end += 8 + header;
    index_.emplace(entries_[i].name, i);
  }
}

const SafetensorsEntry* SafetensorsFile::find(const std::string& name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &entries_[it->second];
}

std::span<const std::byte> SafetensorsFile::bytes(const SafetensorsEntry& e) const {
  return file_->bytes().subspan(e.begin, e.end - e.begin);
}

Tensor SafetensorsFile::tensor(const SafetensorsEntry& e) const {
  DType dtype{};
  bool known = false;
  for (const DType t : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i64, DType::i32, DType::i8, DType::u8})
    if (safetensors_dtype(t) == e.dtype) dtype = t, known = true;
  if (!known)
    throw InputError(path_, tensor_place(e),
                     "dtype " + e.dtype + " is not supported; F32, F16, BF16, F64, I64, I32, I8 and U8 are");
  const auto source = bytes(e);
  if (!source.empty() && reinterpret_cast<uintptr_t>(source.data()) % dtype_bytes(dtype) == 0)
    return Tensor::borrow(source.data(), e.shape, dtype, file_);
  Tensor copy = Tensor::empty(e.shape, dtype);  // tensors are not aligned in these files
  if (!source.empty()) std::memcpy(copy.raw(), source.data(), source.size());
  return copy;
}

std::string_view safetensors_dtype(DType t) {
  switch (t) {
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    case DType::i64:
      return "I64";
    case DType::i32:
      return "I32";
    case DType::i8:
      return "I8";
    case DType::u8:
      return "U8";
  }
  return "";
}

}  // namespace lorikeet
