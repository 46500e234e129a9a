// Bounds first, then bytes: the one place that touches a GGUF's metadata.
#include "core/io/gguf_reader.h"

#include <bit>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lorikeet::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian and read without swapping");

constexpr uint64_t kMaxString = 16u << 20, kMaxTokenizerString = 64u << 20, kMaxElements = 1u << 24;
constexpr uint64_t kMaxMetadata = 384u << 20;  // in memory, texts with their bookkeeping

/// Bytes of one element in the file, at least, for texts.
uint64_t element_bytes(int type) {
  switch (static_cast<GgufType>(type)) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64:
    case GgufType::text:
      return 8;
    case GgufType::array:
      return 0;
  }
  return 0;
}

}  // namespace

void GgufReader::fail_at(uint64_t byte, const std::string& message) const {
  throw InputError(file_, "byte " + std::to_string(byte), message);
}

void GgufReader::need(uint64_t bytes, const char* what) const {
  if (bytes > left())
    fail(std::string(what) + " needs " + std::to_string(bytes) + " bytes, " + std::to_string(left()) +
         " are left; the file is cut off or damaged");
}

void GgufReader::charge(uint64_t bytes) {
  charged_ += bytes;  // each summand is bounded by the file and the caps, so the sum cannot wrap
  if (charged_ > kMaxMetadata) fail("the metadata takes more than " + std::to_string(kMaxMetadata >> 20) + " MiB");
}

std::string_view GgufReader::text(uint64_t max_bytes, const char* what) {
  const uint64_t begin = at_;
  const auto length = number<uint64_t>(what);
  if (length > max_bytes)
    fail_at(begin, std::string(what) + " has " + std::to_string(length) + " bytes; at most " +
                       std::to_string(max_bytes) + " are read");
  need(length, what);
  const std::string_view out(reinterpret_cast<const char*>(bytes_.data()) + at_, length);
  at_ += length;
  return out;
}

std::string GgufReader::value_text(const std::string& key) {
  const bool whole_tokenizer = key == "tokenizer.huggingface.json";
  const std::string_view view = text(whole_tokenizer ? kMaxTokenizerString : kMaxString, "a text in the metadata");
  charge(view.size() + sizeof(std::string));
  return std::string(view);
}

bool GgufReader::boolean(const std::string& key) {
  const auto v = number<uint8_t>("a truth value");
  if (v > 1)
    fail_at(at_ - 1,
            "key \"" + printable(key, 60) + "\": truth value " + std::to_string(v) + "; only 0 and 1 are allowed");
  return v == 1;
}

double GgufReader::element(int type, const std::string& key) {
  switch (static_cast<GgufType>(type)) {
    case GgufType::u8:
      return number<uint8_t>("a number");
    case GgufType::i8:
      return number<int8_t>("a number");
    case GgufType::u16:
      return number<uint16_t>("a number");
    case GgufType::i16:
      return number<int16_t>("a number");
    case GgufType::u32:
      return number<uint32_t>("a number");
    case GgufType::i32:
      return number<int32_t>("a number");
    case GgufType::f32:
      return static_cast<double>(number<float>("a number"));
    case GgufType::boolean:
      return boolean(key) ? 1 : 0;
    case GgufType::u64:
      return static_cast<double>(number<uint64_t>("a number"));
    case GgufType::i64:
      return static_cast<double>(number<int64_t>("a number"));
    case GgufType::f64:
      return number<double>("a number");
    case GgufType::text:
    case GgufType::array:
      break;
  }
  return 0;
}

GgufArray GgufReader::array(const std::string& key) {
  GgufArray out;
  out.element_type = number<int32_t>("the element type of a list");
  const uint64_t begin = at_;
  if (out.element_type == static_cast<int>(GgufType::array))
    fail_at(begin - 4, "key \"" + printable(key, 60) + "\": lists inside lists are not read");
  const uint64_t size = out.element_type < 0 ? 0 : element_bytes(out.element_type);
  if (size == 0)
    fail_at(begin - 4, "key \"" + printable(key, 60) + "\": unknown element type " + std::to_string(out.element_type));
  const auto count = number<uint64_t>("the length of a list");
  if (count > kMaxElements || count > left() / size)
    fail_at(begin, "key \"" + printable(key, 60) + "\": a list of " + std::to_string(count) + " elements; " +
                       std::to_string(left()) + " bytes are left and at most " + std::to_string(kMaxElements) +
                       " elements are read");
  if (out.element_type == static_cast<int>(GgufType::text)) {
    charge(count * sizeof(std::string));
    out.strings.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      const std::string_view v = text(kMaxString, "a text in a list");
      charge(v.size());
      out.strings.emplace_back(v);
    }
    return out;
  }
  charge(count * sizeof(double));
  out.numbers.reserve(count);
  for (uint64_t i = 0; i < count; ++i) out.numbers.push_back(element(out.element_type, key));
  return out;
}

GgufValue GgufReader::value(int type, const std::string& key) {
  switch (static_cast<GgufType>(type)) {
    case GgufType::u8:
      return uint64_t{number<uint8_t>("a number")};
    case GgufType::i8:
      return int64_t{number<int8_t>("a number")};
    case GgufType::u16:
      return uint64_t{number<uint16_t>("a number")};
    case GgufType::i16:
      return int64_t{number<int16_t>("a number")};
    case GgufType::u32:
      return uint64_t{number<uint32_t>("a number")};
    case GgufType::i32:
      return int64_t{number<int32_t>("a number")};
    case GgufType::f32:
      return static_cast<double>(number<float>("a number"));
    case GgufType::boolean:
      return boolean(key);
    case GgufType::text:
      return value_text(key);
    case GgufType::array:
      return array(key);
    case GgufType::u64:
      return number<uint64_t>("a number");
    case GgufType::i64:
      return number<int64_t>("a number");
    case GgufType::f64:
      return number<double>("a number");
  }
  fail("key \"" + printable(key, 60) + "\": unknown value type " + std::to_string(type));
}

}  // namespace lorikeet::detail
