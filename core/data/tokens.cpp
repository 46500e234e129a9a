// Token ids made elsewhere, taken as they are: {"input_ids":[...],"labels":[...]}; labels -100 are no targets. Without
// labels every token is one.
#include <limits>

#include <fmt/format.h>

#include "core/data/formats.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

std::vector<int32_t> numbers_of(const Json& row, std::string_view name, bool with_none) {
  const Json list = list_member(row, name);
  std::vector<int32_t> out;
  out.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& v = list[i];
    const bool whole = v.is_number_integer() &&
                       !(v.is_number_unsigned() && v.get<uint64_t>() > uint64_t{std::numeric_limits<int32_t>::max()});
    const int64_t n = whole ? v.get<int64_t>() : -1;
    if (!whole || n > std::numeric_limits<int32_t>::max() || (n < 0 && !(with_none && n == -100)))
      refuse_row(
          fmt::format("{}[{}] is {}, a token id{} is expected", name, i, dump_json(v), with_none ? " or -100" : ""));
    out.push_back(static_cast<int32_t>(n));
  }
  return out;
}

class Tokens : public DatasetFormat {
 public:
  std::string_view name() const override { return "tokens"; }
  std::string_view needs() const override { return "\"input_ids\""; }
  std::optional<std::string> recognises(const Json& row) const override {
    if (!has_list(row, "input_ids")) return std::nullopt;
    return "\"input_ids\" key";
  }
  std::vector<Sample> read(const Json& row) const override {
    Sample s;
    s.kind = SampleKind::tokens;
    s.ids = numbers_of(row, "input_ids", false);
    if (s.ids.empty()) refuse_row("\"input_ids\" is empty");
    s.labels = member(row, "labels") ? numbers_of(row, "labels", true) : s.ids;
    if (s.labels.size() != s.ids.size())
      refuse_row(fmt::format("\"labels\" has {} entries, \"input_ids\" {}", s.labels.size(), s.ids.size()));
    return {std::move(s)};
  }
};

}  // namespace

const DatasetFormat* tokens_format() {
  static const Tokens format;
  return &format;
}

}  // namespace lorikeet
