// Finding the assistant's words: templates may trim, rename and drop, so nothing is guessed from the text; marks are
// set around the contents and the rendering with marks must be the plain one once they are taken out.
#include "core/data/chat_spans.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

// Private-use characters: no template changes their case, trims or escapes them.
constexpr std::string_view kOpen = "\xEF\xA2\xA0", kBegin = "\xEF\xA2\xA1", kEnd = "\xEF\xA2\xA2";  // U+F8A0..F8A2

constexpr std::string_view kBlanks = " \t\r\n";

struct Parts {
  std::string_view lead, core, trail;
};
Parts parts_of(std::string_view s) {
  const size_t begin = std::min(s.find_first_not_of(kBlanks), s.size());
  const size_t end = s.find_last_not_of(kBlanks) + 1;  // npos + 1 = 0
  if (begin >= end) return {s, {}, {}};
  return {s.substr(0, begin), s.substr(begin, end - begin), s.substr(end)};
}

size_t end_without_blanks(std::string_view s) { return s.find_last_not_of(kBlanks) + 1; }

// A turn whose words can be marked: a text, and nothing else that the template might print instead.
bool can_be_marked(const Json& m) {
  return !m.contains("tool_calls") && !parts_of(m["content"].get_ref<const std::string&>()).core.empty();
}

}  // namespace

struct ChatSpans::Marks {
  std::optional<size_t> begin, end;
};

ChatSpans::ChatSpans(const ChatTemplate& chat, Json variables, const Rendered& plain, double now)
    : chat_(chat), variables_(std::move(variables)), plain_(plain), now_(now) {}

std::optional<std::string> ChatSpans::render_first(size_t count, bool generation_prompt) const {
  Json v = variables_;
  Json& messages = v["messages"];
  messages.erase(messages.begin() + static_cast<std::ptrdiff_t>(count), messages.end());
  v["add_generation_prompt"] = generation_prompt;
  try {
    return chat_.render(v, now_).text;
  } catch (const InputError&) {
    return std::nullopt;  // a template may refuse part of a conversation
  }
}

std::optional<size_t> ChatSpans::turn_begin(size_t message) const {
  const auto prefix = render_first(message, true);
  if (!prefix || !plain_.text.starts_with(*prefix)) return std::nullopt;
  return prefix->size();
}

std::optional<size_t> ChatSpans::turn_end(size_t message) const {
  if (message + 1 == variables_["messages"].size()) return end_without_blanks(plain_.text);
  const auto upto = render_first(message + 1, false);
  if (!upto || !plain_.text.starts_with(*upto)) return std::nullopt;
  return end_without_blanks(*upto);
}

// Renders with marks around the words of each turn and reads off where they came to stand. Marks that change anything
// else are no use: then all are missing. A single one may be lost (templates that drop a part of the text).
std::vector<ChatSpans::Marks> ChatSpans::find_marks(const std::vector<size_t>& turns, bool with_lead) const {
  std::vector<Marks> none(turns.size());
  if (plain_.text.find(kOpen) != std::string::npos) return none;
  Json v = variables_;
  for (size_t i = 0; i < turns.size(); ++i) {
    Json& content = v["messages"][turns[i]]["content"];
    if (!can_be_marked(v["messages"][turns[i]])) continue;
    const std::string words = content.get<std::string>();
    const Parts p = parts_of(words);
    content = fmt::format("{}{}{}{}{}{}{}{}{}", with_lead ? p.lead : std::string_view(), kOpen, i, kBegin, p.core, kOpen, i, kEnd, p.trail);
  }
  std::string marked;
  try {
    marked = chat_.render(v, now_).text;
  } catch (const InputError&) {
    return none;
  }
  std::vector<Marks> found(turns.size());
  std::string text;
  for (size_t at = 0; at < marked.size();) {
    const size_t open = std::min(marked.find(kOpen, at), marked.size());
    text.append(marked, at, open - at);
    if (open == marked.size()) break;
    const size_t digits = open + kOpen.size();
    size_t after = digits;
    while (after < marked.size() && marked[after] >= '0' && marked[after] <= '9') ++after;
    const auto turn = parse_int(std::string_view(marked).substr(digits, after - digits));
    const std::string_view sign = std::string_view(marked).substr(after, kBegin.size());
    if (!turn || static_cast<size_t>(*turn) >= turns.size() || (sign != kBegin && sign != kEnd)) return none;
    auto& mark = sign == kBegin ? found[static_cast<size_t>(*turn)].begin : found[static_cast<size_t>(*turn)].end;
    if (mark) return none;  // printed twice
    mark = text.size();
    at = after + sign.size();
  }
  return !with_lead || text == plain_.text ? found : none;
}

// How many of the blanks before its words each turn kept: without them every later mark stands that much further left.
std::vector<size_t> ChatSpans::kept_blanks(const std::vector<size_t>& turns, const std::vector<Marks>& marks) const {
  std::vector<size_t> kept(turns.size(), 0), leads;
  for (const size_t turn : turns) leads.push_back(parts_of(variables_["messages"][turn]["content"].get_ref<const std::string&>()).lead.size());
  if (std::all_of(leads.begin(), leads.end(), [](size_t n) { return n == 0; })) return kept;
  const auto bare = find_marks(turns, false);
  size_t before = 0;
  for (size_t i = 0; i < turns.size(); ++i) {
    if (!marks[i].begin || !bare[i].begin || *marks[i].begin < *bare[i].begin + before) continue;
    const size_t moved = *marks[i].begin - *bare[i].begin;
    if (moved - before <= leads[i]) kept[i] = moved - before;
    before = moved;
  }
  return kept;
}

std::vector<TurnSpan> ChatSpans::assistant_turns(const std::vector<bool>& wanted) const {
  const Json& messages = variables_["messages"];
  std::vector<size_t> assistants, turns;
  for (size_t m = 0; m < messages.size(); ++m) {
    if (messages[m]["role"] != "assistant") continue;
    assistants.push_back(m);
    if (wanted[m]) turns.push_back(m);
  }
  std::vector<TurnSpan> out;
  if (!plain_.generation.empty() && plain_.generation.size() == assistants.size()) {
    for (size_t i = 0; i < assistants.size(); ++i)
      if (wanted[assistants[i]]) out.push_back({assistants[i], plain_.generation[i].begin, plain_.generation[i].end});
    return out;
  }
  const auto marks = find_marks(turns, true);
  const auto kept = kept_blanks(turns, marks);
  for (size_t i = 0; i < turns.size(); ++i) {
    const std::string words = messages[turns[i]]["content"].get<std::string>();
    const Parts p = parts_of(words);
    const std::string_view text = plain_.text;
    std::optional<size_t> begin = marks[i].begin, end = marks[i].end;
    // Blanks at the ends of the words belong to them where the template kept them.
    if (begin) *begin -= kept[i];
    if (end && text.substr(*end).starts_with(p.trail)) *end += p.trail.size();
    if (!begin) begin = turn_begin(turns[i]);
    if (!end) end = turn_end(turns[i]);
    if (!begin || !end || *begin > *end)
      throw RunError(fmt::format(
          "the chat template does not show where the answer in message {} begins and ends; set data.train_on to all "
          "or use another data.template",
          turns[i] + 1));
    out.push_back({turns[i], *begin, *end});
  }
  return out;
}

}  // namespace lorikeet
