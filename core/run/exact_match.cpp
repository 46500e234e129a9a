// Held-out answers counted: the share of samples whose greedy answer equals the expected one after trimming.
#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/data/dataset.h"
#include "core/run/chat.h"

namespace lorikeet {
namespace {

struct Question {
  Json messages;
  std::string expected;
};

// A chat without its last assistant turn, or a prompt as one user turn; nothing when there is no expected answer.
bool question_of(const Sample& s, Question& q) {
  if (s.kind == SampleKind::completion) {
    q.messages = Json::array({{{"role", "user"}, {"content", s.prompt}}});
    q.expected = s.completion;
    return true;
  }
  if (s.kind != SampleKind::chat || s.messages.empty() || s.messages.back().value("role", "") != "assistant") return false;
  q.messages = s.messages;
  q.expected = s.messages.back().value("content", "");
  q.messages.erase(q.messages.size() - 1);
  return !q.messages.empty();
}

}  // namespace

ExactMatch measure_exact_match(ChatModel& chat, const std::string& data_path, int64_t limit, int64_t batch, std::stop_token stop,
                               const std::function<void(int64_t, int64_t)>& progress) {
  DatasetOptions options;
  options.limit = limit;
  const Dataset data = read_dataset({data_path}, options, stop);
  std::vector<Question> questions;
  for (const auto& s : data.samples) {
    Question q;
    if (question_of(s, q)) questions.push_back(std::move(q));
  }
  if (questions.empty()) throw InputError(data_path, "", "has no row with a question and an expected answer");
  std::vector<Json> messages;
  for (const auto& q : questions) messages.push_back(q.messages);
  const auto total = static_cast<int64_t>(questions.size());
  const auto answers = chat.answer_all(messages, {.max_new_tokens = 128}, batch, stop,
                                       [&](int64_t done) { if (progress) progress(done, total); });
  ExactMatch out;
  out.total = total;
  for (size_t i = 0; i < questions.size(); ++i) {
    const bool exact = trim(answers[i].text) == trim(questions[i].expected);
    out.exact += exact;
    out.rows.push_back({{"messages", questions[i].messages}, {"expected", questions[i].expected}, {"answer", answers[i].text}, {"exact", exact}});
  }
  return out;
}

}  // namespace lorikeet
