// Question and answer: {"question","answer"} or {"query","response"}, as a chat of one turn each.
#include <array>

#include <fmt/format.h>

#include "core/data/formats.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

struct Columns {
  std::string_view question, answer;
};
constexpr std::array kColumns = {Columns{"question", "answer"}, Columns{"query", "response"}};

class QuestionAnswer : public DatasetFormat {
 public:
  std::string_view name() const override { return "question_answer"; }
  std::string_view needs() const override { return "\"question\" and \"answer\""; }
  std::optional<std::string> recognises(const Json& row) const override {
    for (const auto& c : kColumns)
      if (has_text(row, c.question) && has_text(row, c.answer))
        return fmt::format("\"{}\" and \"{}\" keys", c.question, c.answer);
    return std::nullopt;
  }
  std::vector<Sample> read(const Json& row) const override {
    const Columns& c = member(row, kColumns[0].question)   ? kColumns[0]
                       : member(row, kColumns[1].question) ? kColumns[1]
                                                           : kColumns[0];
    Json messages = Json::array();
    messages.push_back({{"role", "user"}, {"content", text_member(row, c.question)}});
    messages.push_back({{"role", "assistant"}, {"content", text_member(row, c.answer)}});
    return {chat_sample(std::move(messages))};
  }
};

}  // namespace

const DatasetFormat* question_answer_format() {
  static const QuestionAnswer format;
  return &format;
}

}  // namespace lorikeet
