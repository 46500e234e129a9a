// The header is read by a state machine over the parser's events: depth 1 tensor names, depth 2 their members, depth 3
// the numbers of shape and data_offsets. Anything that does not belong there ends the reading with its place.
#include "core/io/safetensors_header.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/text.h"

namespace lorikeet::detail {
namespace {

constexpr size_t kMaxTensors = 1'000'000, kMaxName = 4096, kMaxRank = 8;
constexpr uint64_t kMaxInteger = uint64_t{1} << 53;

struct DTypeRow {
  std::string_view name;
  int bits;
};
// In the order of the reference library's enumeration, which is also what its writer sorts by.
constexpr std::array kDTypes = {
    DTypeRow{"BOOL", 8},    DTypeRow{"F4", 4},          DTypeRow{"F6_E2M3", 6},     DTypeRow{"F6_E3M2", 6},
    DTypeRow{"U8", 8},      DTypeRow{"I8", 8},          DTypeRow{"F8_E5M2", 8},     DTypeRow{"F8_E4M3", 8},
    DTypeRow{"F8_E8M0", 8}, DTypeRow{"F8_E4M3FNUZ", 8}, DTypeRow{"F8_E5M2FNUZ", 8}, DTypeRow{"I16", 16},
    DTypeRow{"U16", 16},    DTypeRow{"F16", 16},        DTypeRow{"BF16", 16},       DTypeRow{"I32", 32},
    DTypeRow{"U32", 32},    DTypeRow{"F32", 32},        DTypeRow{"C64", 64},        DTypeRow{"F64", 64},
    DTypeRow{"I64", 64},    DTypeRow{"U64", 64},
};

class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  SafetensorsHeader header;
  std::string where, problem;

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a number with a fraction or an exponent");
  }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool number_unsigned(number_unsigned_t v) override {
    if (depth_ != 3) return unexpected("a number");
    if (v > kMaxInteger)
      return fail(member_ + ": " + std::to_string(v) + " is larger than any file; at most 2^53 is read");
    if (numbers_.size() >= kMaxRank) return fail(member_ + ": more than " + std::to_string(kMaxRank) + " numbers");
    numbers_.push_back(v);
    return true;
  }
  bool string(string_t& v) override {
    if (depth_ == 2 && in_metadata_) return add_metadata(std::move(v));
    if (depth_ != 2 || member_ != "dtype") return unexpected("a text");
    if (safetensors_bits(v) == 0) return fail("dtype \"" + printable(v, 30) + "\" is not known");
    entry_.dtype = std::move(v);
    return true;
  }
  bool start_object(std::size_t) override {
    if (depth_ == 2 || depth_ == 3) return unexpected("an object");
    ++depth_;
    if (depth_ == 2) seen_.clear();
    return true;
  }
  bool key(string_t& k) override { return depth_ == 1 ? tensor_key(k) : member_key(k); }
  bool end_object() override {
    if (depth_ == 2 && !in_metadata_ && !finish_entry()) return false;
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || (member_ != "shape" && member_ != "data_offsets")) return unexpected("a list");
    numbers_.clear();
    depth_ = 3;
    return true;
  }
  bool end_array() override {
    depth_ = 2;
    if (member_ == "shape") {
      entry_.shape.assign(numbers_.begin(), numbers_.end());
      return true;
    }
    if (numbers_.size() != 2)
      return fail("data_offsets: " + std::to_string(numbers_.size()) + " numbers, two are wanted");
    entry_.begin = numbers_[0];
    entry_.end = numbers_[1];
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    if (problem.empty()) {
      where = "header byte " + std::to_string(position);
      problem = "not valid JSON here";
    }
    return false;
  }

 private:
  bool fail(std::string text) {
    if (where.empty()) where = place();
    problem = std::move(text);
    return false;
  }
  std::string place() const {
    if (depth_ < 1 || (depth_ == 1 && name_.empty())) return "header";
    return in_metadata_ ? "header, __metadata__" : "tensor \"" + printable(name_, 70) + "\"";
  }
  bool unexpected(const char* found) {
    if (depth_ == 0) return fail(std::string("found ") + found + " where one object is wanted");
    if (depth_ == 1) return fail(std::string("found ") + found + " where an object is wanted");
    if (in_metadata_) return fail("\"" + printable(member_, 40) + "\" is " + found + "; only texts are allowed");
    return fail("member \"" + printable(member_, 40) + "\": found " + found + " where it does not belong");
  }
  bool tensor_key(string_t& k) {
    name_ = k;
    in_metadata_ = k == "__metadata__";
    if (k.size() > kMaxName) return fail("a name of " + std::to_string(k.size()) + " bytes; at most 4096 are read");
    if (!names_.insert(k).second) return fail("stands twice in the header");
    if (names_.size() > kMaxTensors) return fail("more than a million tensors");
    entry_ = {};
    entry_.name = std::move(k);
    return true;
  }
  bool member_key(string_t& k) {
    member_ = k;
    if (!in_metadata_ && k != "dtype" && k != "shape" && k != "data_offsets")
      return fail("unknown member \"" + printable(k, 40) + "\"");
    if (!seen_.insert(std::move(k)).second) return fail("\"" + printable(member_, 40) + "\" stands twice");
    return true;
  }
  bool add_metadata(std::string&& v) {
    header.metadata.emplace(member_, std::move(v));
    return true;
  }
  bool finish_entry() {
    for (const char* wanted : {"dtype", "shape", "data_offsets"})
      if (!seen_.count(wanted)) return fail(std::string(wanted) + " is missing");
    header.entries.push_back(std::move(entry_));
    return true;
  }

  int depth_ = 0;
  bool in_metadata_ = false;
  std::string name_, member_;
  SafetensorsEntry entry_;
  std::vector<uint64_t> numbers_;
  std::unordered_set<std::string> names_, seen_;
};

}  // namespace

int safetensors_bits(std::string_view dtype) {
  const int i = safetensors_order(dtype);
  return i < 0 ? 0 : kDTypes[static_cast<size_t>(i)].bits;
}

int safetensors_order(std::string_view dtype) {
  const auto it = std::find_if(kDTypes.begin(), kDTypes.end(), [&](const DTypeRow& r) { return r.name == dtype; });
  return it == kDTypes.end() ? -1 : static_cast<int>(it - kDTypes.begin());
}

SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& file) {
  if (text.empty() || text.front() != '{')
    throw InputError(file, "header byte 0", "must begin with {; this is no safetensors file");
  if (const auto bad = first_invalid_utf8(text))
    throw InputError(file, "header byte " + std::to_string(*bad), "not valid UTF-8");
  // JSON allows other blanks after its end; here only the padding with spaces is allowed.
  const size_t last = text.find_last_not_of(' ');
  text = text.substr(0, last + 1);
  if (text.back() != '}')
    throw InputError(file, "header byte " + std::to_string(last), "the header does not end with } and spaces");
  HeaderReader reader;
  bool good = false;
  try {
    good = Json::sax_parse(text.begin(), text.end(), &reader);
  } catch (const nlohmann::detail::exception&) {
    if (reader.problem.empty()) reader.problem = "not valid JSON";
  }
  if (!good) throw InputError(file, reader.where.empty() ? "header" : reader.where, reader.problem);
  return std::move(reader.header);
}

}  // namespace lorikeet::detail
