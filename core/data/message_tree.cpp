// Message trees as Open Assistant exports them: {"message_tree_id","prompt":{"text","role","replies":[...]}}. After a
// user turn the best-ranked answer is followed, after an answer every user turn; an answer that several conversations
// share is trained once.
#include <limits>

#include "core/data/formats.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

bool is_deleted(const Json& node) {
  const Json* d = member(node, "deleted");
  return d && d->is_boolean() && d->get<bool>();
}

double rank_of(const Json& node) {
  const Json* r = member(node, "rank");
  return r && r->is_number() ? r->get<double>() : std::numeric_limits<double>::max();
}

std::vector<const Json*> replies_of(const Json& node) {
  std::vector<const Json*> out;
  const Json* replies = member(node, "replies");
  if (!replies) return out;
  if (!replies->is_array()) refuse_row("\"replies\" is no list");
  for (const Json& r : *replies) {
    if (!r.is_object()) refuse_row("a reply is no object");
    if (!is_deleted(r)) out.push_back(&r);
  }
  return out;
}

// Depth is bounded by the JSON reader's limit on nesting.
void follow(const Json& node, Json messages, std::vector<Sample>& out) {
  messages.push_back(messages_of(
      Json::array({Json{{"role", text_member(node, "role")}, {"content", text_member(node, "text")}}}), "replies")[0]);
  const bool answered = messages.back()["role"] == "assistant";
  auto next = replies_of(node);
  if (!answered && next.size() > 1) {
    const Json* best = next[0];
    for (const Json* n : next)
      if (rank_of(*n) < rank_of(*best)) best = n;
    next = {best};
  }
  size_t conversations = 0;
  for (const Json* n : next) {
    if (answered && replies_of(*n).empty()) continue;  // a question nobody answered
    if (conversations++ == 1)
      for (Json& m : messages)
        if (m["role"] == "assistant") m["train"] = false;
    follow(*n, messages, out);
  }
  if (answered && conversations == 0) out.push_back(chat_sample(std::move(messages)));
}

class MessageTree : public DatasetFormat {
 public:
  std::string_view name() const override { return "message_tree"; }
  std::string_view needs() const override { return "\"prompt\" with \"replies\""; }
  std::optional<std::string> recognises(const Json& row) const override {
    const Json* prompt = member(row, "prompt");
    if (!prompt || !prompt->is_object() || !has_list(*prompt, "replies")) return std::nullopt;
    return "\"prompt\" key with \"replies\"";
  }
  std::vector<Sample> read(const Json& row) const override {
    if (!recognises(row)) refuse_row("has no \"prompt\" with \"replies\"");
    std::vector<Sample> out;
    follow(*member(row, "prompt"), Json::array(), out);
    if (out.empty()) refuse_row("the tree has no answer");
    return out;
  }
};

}  // namespace

const DatasetFormat* message_tree_format() {
  static const MessageTree format;
  return &format;
}

}  // namespace lorikeet
