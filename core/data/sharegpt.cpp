// ShareGPT: {"conversations":[{"from","value"}...], "system":"...", "tools":[...]}.
#include "core/base/text.h"
#include "core/data/formats.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

class ShareGpt : public DatasetFormat {
 public:
  std::string_view name() const override { return "sharegpt"; }
  std::string_view needs() const override { return "\"conversations\""; }
  std::optional<std::string> recognises(const Json& row) const override {
    if (!has_list(row, "conversations")) return std::nullopt;
    return "\"conversations\" key";
  }
  std::vector<Sample> read(const Json& row) const override {
    Json messages = messages_of(list_member(row, "conversations"), "conversations");
    const std::string system = optional_text(row, "system");
    if (!trim(system).empty() && messages[0]["role"] != "system")
      messages.insert(messages.begin(), Json{{"role", "system"}, {"content", system}});
    Sample s = chat_sample(std::move(messages));
    take_tools(row, s);
    return {std::move(s)};
  }
};

}  // namespace

const DatasetFormat* sharegpt_format() {
  static const ShareGpt format;
  return &format;
}

}  // namespace lorikeet
