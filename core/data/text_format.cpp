// Plain text: {"text"}; every row (or plain text file) is one document of its own.
#include "core/base/text.h"
#include "core/data/formats.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

class Text : public DatasetFormat {
 public:
  std::string_view name() const override { return "text"; }
  std::string_view needs() const override { return "\"text\""; }
  std::optional<std::string> recognises(const Json& row) const override {
    if (!has_text(row, "text")) return std::nullopt;
    return "\"text\" key";
  }
  std::vector<Sample> read(const Json& row) const override {
    Sample s;
    s.kind = SampleKind::text;
    s.completion = text_member(row, "text");
    if (trim(s.completion).empty()) refuse_row("\"text\" is empty");
    return {std::move(s)};
  }
};

}  // namespace

const DatasetFormat* text_format() {
  static const Text format;
  return &format;
}

}  // namespace lorikeet
