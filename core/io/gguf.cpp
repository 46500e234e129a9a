// The container: header, metadata and tensor list become a plan in which every tensor is known to lie in the file.
#include "core/io/gguf.h"

#include <algorithm>
#include <cmath>

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/gguf_reader.h"
#include "core/quant/weight_format.h"

namespace lorikeet {
namespace {

using detail::GgufReader;

constexpr uint64_t kMaxKeys = 65'536, kMaxTensors = 65'536, kMaxKeyBytes = 65'535, kMaxNameBytes = 63;
constexpr uint64_t kMaxAlignment = 1u << 20;
// The smallest a pair or a tensor can be in the file: what a count is compared with before anything is sized by it.
constexpr uint64_t kLeastPairBytes = 8 + 1 + 4 + 1, kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

int read_version(GgufReader& r) {
  if (r.left() < 4 || r.number<uint32_t>("the magic number") != 0x46554747u)
    r.fail_at(0, "does not begin with GGUF; this is no GGUF file");
  const auto version = r.number<uint32_t>("the version");
  if ((version & 0xffff) == 0)
    r.fail_at(4, "a big-endian GGUF; only little-endian files are read: convert it again without --bigendian");
  if (version == 1) r.fail_at(4, "GGUF version 1 is no longer read; convert the model again with a current converter");
  if (version != 2 && version != 3)
    r.fail_at(4, "GGUF version " + std::to_string(version) + " is not known; versions 2 and 3 are read");
  return static_cast<int>(version);
}

uint64_t read_count(GgufReader& r, const char* what, uint64_t cap, uint64_t least_bytes) {
  const uint64_t at = r.position();
  const auto n = r.number<uint64_t>(what);
  if (n > cap)
    r.fail_at(at, std::string(what) + " is " + std::to_string(n) + "; at most " + std::to_string(cap) + " are read");
  if (n > r.left() / least_bytes)
    r.fail_at(at, std::string(what) + " is " + std::to_string(n) + ", but only " + std::to_string(r.left()) +
                      " bytes follow");
  return n;
}

void read_pair(GgufReader& r, std::map<std::string, GgufValue>& metadata) {
  const uint64_t at = r.position();
  const std::string key(r.text(kMaxKeyBytes, "a key"));
  const bool plain = std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (key.empty() || !plain)
    r.fail_at(at, key.empty() ? "an empty key" : "the key \"" + printable(key, 60) + "\" is no plain ASCII");
  const auto type = r.number<int32_t>("the type of a value");
  GgufValue value = r.value(type, key);
  if (!metadata.emplace(key, std::move(value)).second)
    r.fail_at(at, "the key \"" + printable(key, 60) + "\" stands twice");
}

/// Sizes of one tensor from its dimensions: blocks first, then bytes, so that nothing wraps on the way.
uint64_t tensor_bytes(const GgufReader& r, uint64_t at, const std::vector<int64_t>& ne, const StoredType& type,
                      const std::string& name) {
  const std::string who = "tensor \"" + printable(name, 64) + "\": ";
  if (ne[0] % type.block_elements != 0)
    r.fail_at(at, who + std::to_string(ne[0]) + " columns are no whole blocks of " + std::string(type.name) + " (" +
                      std::to_string(type.block_elements) + ")");
  uint64_t elements = 1, blocks = 1;
  for (size_t i = 0; i < ne.size(); ++i) {
    const auto all = checked_mul(elements, static_cast<uint64_t>(ne[i]));
    const auto whole = checked_mul(blocks, static_cast<uint64_t>(i == 0 ? ne[i] / type.block_elements : ne[i]));
    // An element count must also fit a signed 64-bit number, and a count that wraps to 0 must not look empty.
    if (!all || !whole || *all > static_cast<uint64_t>(INT64_MAX)) r.fail_at(at, who + "its dimensions overflow");
    elements = *all;
    blocks = *whole;
  }
  const auto bytes = checked_mul(blocks, static_cast<uint64_t>(type.block_bytes));
  if (!bytes) r.fail_at(at, who + "its size overflows");
  return *bytes;
}

GgufTensor read_tensor(GgufReader& r) {
  const uint64_t at = r.position();
  GgufTensor t;
  t.name = std::string(r.text(kMaxNameBytes, "a tensor name"));
  if (t.name.empty() || !is_valid_utf8(t.name) || t.name.find('\0') != std::string::npos)
    r.fail_at(at, "a tensor name that is empty or no text");
  const auto dims = r.number<uint32_t>("the number of dimensions");
  if (dims < 1 || dims > 4)
    r.fail_at(at, "tensor \"" + printable(t.name, 64) + "\" has " + std::to_string(dims) +
                      " dimensions; 1 to 4 are possible");
  std::vector<int64_t> ne;
  for (uint32_t i = 0; i < dims; ++i) {
    ne.push_back(r.number<int64_t>("a dimension"));
    if (ne.back() < 0)
      r.fail_at(at, "tensor \"" + printable(t.name, 64) + "\" has the negative dimension " + std::to_string(ne.back()));
  }
  t.type = r.number<int32_t>("the type of a tensor");
  const StoredType* type = stored_type(t.type);
  if (!type) r.fail_at(at, "tensor \"" + printable(t.name, 64) + "\" has the unknown type " + std::to_string(t.type));
  t.offset = r.number<uint64_t>("the offset of a tensor");
  t.bytes = tensor_bytes(r, at, ne, *type, t.name);
  t.shape.assign(ne.rbegin(), ne.rend());
  return t;
}

/// Offsets must be the running sum of padded sizes, and each tensor must end inside the data. Makes them absolute.
uint64_t place_tensors(const GgufReader& r, std::vector<GgufTensor>& tensors, uint64_t data, uint64_t data_bytes,
                       uint64_t alignment) {
  uint64_t at = 0;
  for (GgufTensor& t : tensors) {
    const std::string who = "tensor \"" + printable(t.name, 64) + "\" ";
    if (t.offset != at)
      r.fail(who + "lies at offset " + std::to_string(t.offset) + "; with the sizes before it, it must lie at " +
             std::to_string(at));
    const auto end = checked_add(at, t.bytes);
    if (!end || *end > data_bytes)
      r.fail(who + "needs " + std::to_string(t.bytes) + " bytes, " +
             std::to_string(at > data_bytes ? 0 : data_bytes - at) + " are left; the file is cut off");
    const auto next = checked_round_up(*end, alignment);
    if (!next) r.fail(who + "ends beyond any file");
    t.offset = data + at;
    at = *next;
  }
  return at < data_bytes ? data_bytes - at : 0;
}

}  // namespace

GgufFile::GgufFile(const std::string& path) : path_(path), file_(std::make_shared<MappedFile>(path)) {
  GgufReader r(file_->bytes(), path);
  version_ = read_version(r);
  const uint64_t tensors = read_count(r, "the number of tensors", kMaxTensors, kLeastTensorBytes);
  const uint64_t pairs = read_count(r, "the number of keys", kMaxKeys, kLeastPairBytes);
  for (uint64_t i = 0; i < pairs; ++i) read_pair(r, metadata_);
  for (uint64_t i = 0; i < tensors; ++i) {
    const uint64_t at = r.position();
    tensors_.push_back(read_tensor(r));
    if (!index_.emplace(tensors_.back().name, i).second)
      r.fail_at(at, "the tensor \"" + printable(tensors_.back().name, 64) + "\" stands twice");
  }
  uint64_t alignment = 32;
  if (const auto given = integer("general.alignment", 1, kMaxAlignment)) alignment = static_cast<uint64_t>(*given);
  if (alignment < 8 || (alignment & (alignment - 1)) != 0)
    throw InputError(path, "key general.alignment",
                     "found " + std::to_string(alignment) + "; a power of two from 8 is wanted");
  const uint64_t data = checked_round_up(r.position(), alignment).value();
  const uint64_t size = file_->bytes().size();
  trailing_ = place_tensors(r, tensors_, data, size > data ? size - data : 0, alignment);
}

const GgufTensor* GgufFile::find(const std::string& name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

std::span<const std::byte> GgufFile::bytes(const GgufTensor& t) const {
  return file_->bytes().subspan(t.offset, t.bytes);
}

namespace {
[[noreturn]] void wrong_type(const std::string& path, const std::string& key, const char* wanted) {
  throw InputError(path, "key " + printable(key, 90), std::string("has another type; ") + wanted + " is wanted");
}
}  // namespace

std::optional<std::string> GgufFile::text(const std::string& key) const {
  const auto it = metadata_.find(key);
  if (it == metadata_.end()) return std::nullopt;
  const auto* v = std::get_if<std::string>(&it->second);
  if (!v) wrong_type(path_, key, "a text");
  if (!is_valid_utf8(*v)) throw InputError(path_, "key " + printable(key, 90), "is not valid UTF-8");
  return *v;
}

std::optional<int64_t> GgufFile::integer(const std::string& key, int64_t min, int64_t max) const {
  const auto it = metadata_.find(key);
  if (it == metadata_.end()) return std::nullopt;
  std::string found;
  if (const auto* i = std::get_if<int64_t>(&it->second)) {
    if (*i >= min && *i <= max) return *i;
    found = std::to_string(*i);
  } else if (const auto* u = std::get_if<uint64_t>(&it->second)) {
    if (*u <= static_cast<uint64_t>(INT64_MAX) && static_cast<int64_t>(*u) >= min && static_cast<int64_t>(*u) <= max)
      return static_cast<int64_t>(*u);
    found = std::to_string(*u);
  } else {
    wrong_type(path_, key, "a whole number");
  }
  throw InputError(path_, "key " + printable(key, 90),
                   "found " + found + "; wanted " + std::to_string(min) + " to " + std::to_string(max));
}

std::optional<double> GgufFile::number(const std::string& key) const {
  const auto it = metadata_.find(key);
  if (it == metadata_.end()) return std::nullopt;
  double v = 0;
  if (const auto* d = std::get_if<double>(&it->second))
    v = *d;
  else if (const auto* i = std::get_if<int64_t>(&it->second))
    v = static_cast<double>(*i);
  else if (const auto* u = std::get_if<uint64_t>(&it->second))
    v = static_cast<double>(*u);
  else
    wrong_type(path_, key, "a number");
  if (!std::isfinite(v)) throw InputError(path_, "key " + printable(key, 90), "is not a finite number");
  return v;
}

std::optional<bool> GgufFile::boolean(const std::string& key) const {
  const auto it = metadata_.find(key);
  if (it == metadata_.end()) return std::nullopt;
  const auto* v = std::get_if<bool>(&it->second);
  if (!v) wrong_type(path_, key, "true or false");
  return *v;
}

}  // namespace lorikeet
