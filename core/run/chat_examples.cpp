// What a run was taught with, so that a chat can begin in the same words.
#include <algorithm>

#include "core/data/dataset.h"
#include "core/run/queries.h"

namespace lorikeet {
namespace {

constexpr int64_t kRowsRead = 60;

std::string content_of(const Json& messages, const char* role) {
  for (const Json& m : messages)
    if (m.value("role", "") == role && m.contains("content") && m["content"].is_string()) return m["content"].get<std::string>();
  return {};
}

}  // namespace

ChatExamples chat_examples(const RunConfig& config, size_t most, std::stop_token stop) {
  const auto& d = config.data;
  const auto& paths = d.validation.empty() ? d.train : d.validation;
  ChatExamples out;
  out.held_out = !d.validation.empty();
  const Dataset set = read_dataset(paths, {.format = d.format, .limit = kRowsRead, .system_prompt = d.system_prompt}, stop);
  bool first = true, shared = true;
  std::vector<std::string> questions;
  for (const Sample& s : set.samples) {
    const bool chat = s.kind == SampleKind::chat;
    const std::string system = chat ? content_of(s.messages, "system") : std::string();
    shared = shared && (first || system == out.system_prompt);
    if (first) out.system_prompt = system;
    first = false;
    std::string question = chat ? content_of(s.messages, "user") : s.kind == SampleKind::completion ? s.prompt : std::string();
    if (!question.empty()) questions.push_back(std::move(question));
  }
  if (!shared) out.system_prompt.clear();
  const size_t step = std::max<size_t>(1, most > 0 ? questions.size() / most : questions.size());
  for (size_t i = 0; i < questions.size() && out.questions.size() < most; i += step) out.questions.push_back(questions[i]);
  return out;
}

}  // namespace lorikeet
