// OpenAI messages: {"messages":[{"role","content"}...], "tools":[...]}.
#include "core/data/formats.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

class Messages : public DatasetFormat {
 public:
  std::string_view name() const override { return "messages"; }
  std::string_view needs() const override { return "\"messages\""; }
  std::optional<std::string> recognises(const Json& row) const override {
    if (!has_list(row, "messages")) return std::nullopt;
    return "\"messages\" key";
  }
  std::vector<Sample> read(const Json& row) const override {
    Sample s = chat_sample(messages_of(list_member(row, "messages"), "messages"));
    take_tools(row, s);
    return {std::move(s)};
  }
};

}  // namespace

const DatasetFormat* messages_format() {
  static const Messages format;
  return &format;
}

}  // namespace lorikeet
