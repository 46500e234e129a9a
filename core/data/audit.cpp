// Problems of a whole set, so that silent bad training is seen before it happens.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/data/encode.h"

namespace lorikeet {
namespace {

constexpr size_t kNamed = 20;

// Findings by kind in order of their first appearance.
class Findings {
 public:
  void add(const std::string& severity, const std::string& kind, size_t sample) {
    AuditFinding& f = at(severity, kind);
    ++f.count;
    if (f.samples.size() < kNamed && (f.samples.empty() || f.samples.back() != sample)) f.samples.push_back(sample);
  }
  AuditFinding& at(const std::string& severity, const std::string& kind) {
    for (auto& f : all_)
      if (f.kind == kind) return f;
    all_.push_back({severity, kind, {}, 0, {}});
    return all_.back();
  }
  std::vector<AuditFinding> take() { return std::move(all_); }

 private:
  std::vector<AuditFinding> all_;
};

bool is_end(const Tokenizer& t, int32_t id) {
  return (t.eos && *t.eos == id) || std::find(t.stop_ids.begin(), t.stop_ids.end(), id) != t.stop_ids.end() ||
         t.is_special(id);
}

// Looks at one sample's texts as they were given.
void look_at_sample(const Sample& s, size_t i, const std::set<std::string>& control, Findings& out) {
  const auto look = [&](const std::string& text) {
    for (const auto& c : control)
      if (text.find(c) != std::string::npos) return out.add("warning", "control_token", i);
  };
  if (s.kind == SampleKind::chat) {
    for (const Json& m : s.messages) {
      const auto& content = m["content"].get_ref<const std::string&>();
      look(content);
      if (m["role"] == "assistant" && trim(content).empty() && !m.contains("tool_calls"))
        out.add("warning", "empty_answer", i);
    }
  } else if (s.kind == SampleKind::completion) {
    look(s.prompt + s.completion);
    if (trim(s.completion).empty()) out.add("warning", "empty_answer", i);
    if (!s.prompt.empty() && (s.prompt.back() == ' ' || s.prompt.back() == '\t'))
      out.add("note", "prompt_ends_in_blank", i);
  }
}

void look_at_document(const EncodedSample& e, size_t i, const Tokenizer& tokenizer, Findings& out) {
  if (e.ids.size() >= 2 && tokenizer.bos && e.ids[0] == *tokenizer.bos && e.ids[1] == *tokenizer.bos)
    out.add("error", "doubled_bos", i);
  int32_t last = -1;
  for (const int32_t label : e.labels)
    if (label >= 0) last = label;
  if (!e.truncated && last >= 0 && !is_end(tokenizer, last)) out.add("warning", "missing_end", i);
}

std::set<std::string> control_texts(const Tokenizer& tokenizer) {
  std::set<std::string> out;
  std::vector<int32_t> ids = tokenizer.stop_ids;
  for (const auto& id : {tokenizer.bos, tokenizer.eos})
    if (id) ids.push_back(*id);
  for (const int32_t id : ids)
    if (tokenizer.is_special(id)) out.insert(tokenizer.token_text(id));
  out.erase("");
  return out;
}

std::string sentence(const AuditFinding& f, double cut_share) {
  if (f.kind == "bad_rows") return fmt::format("{} rows cannot be read and are left out", f.count);
  if (f.kind == "dropped") return fmt::format("{} samples are left out: ", f.count);
  if (f.kind == "truncated")
    return fmt::format("{} samples are cut to the longest text, {:.1f} % of all tokens are lost", f.count,
                       100 * cut_share);
  if (f.kind == "missing_end")
    return fmt::format("{} samples end without the end token; the model may not learn to stop", f.count);
  if (f.kind == "doubled_bos") return fmt::format("{} samples begin with the start token twice", f.count);
  if (f.kind == "empty_answer") return fmt::format("{} samples have an empty answer", f.count);
  if (f.kind == "control_token")
    return fmt::format("{} samples hold a control token of the model inside their text", f.count);
  if (f.kind == "duplicate") return fmt::format("{} samples repeat an earlier one", f.count);
  if (f.kind == "prompt_ends_in_blank")
    return fmt::format("{} prompts end in a blank; ask the tuned model with the same blank", f.count);
  return fmt::format("{} samples", f.count);
}

}  // namespace

std::vector<AuditFinding> audit(const Dataset& data, const std::vector<EncodeOutcome>& encoded,
                                const Tokenizer& tokenizer) {
  Findings out;
  const auto control = control_texts(tokenizer);
  std::map<std::string, int64_t> reasons;
  std::set<std::vector<int32_t>> seen;
  int64_t tokens = 0, lost = 0;
  if (data.bad_row_count > 0) out.at("warning", "bad_rows").count = data.bad_row_count;
  for (size_t i = 0; i < data.samples.size() && i < encoded.size(); ++i) {
    look_at_sample(data.samples[i], i, control, out);
    const auto& documents = encoded[i].documents;
    if (documents.empty()) {
      out.add("warning", "dropped", i);
      ++reasons[encoded[i].dropped_reason.starts_with("no trainable") ? "no trainable token"
                                                                      : "longer than the longest text"];
      continue;
    }
    int64_t kept = 0;
    bool cut = false;
    for (const auto& e : documents) {
      look_at_document(e, i, tokenizer, out);
      kept += static_cast<int64_t>(e.ids.size());
      cut = cut || e.truncated;
    }
    tokens += documents[0].original_tokens;
    lost += documents[0].original_tokens - kept;
    if (cut && kept < documents[0].original_tokens) out.add("warning", "truncated", i);
    if (!seen.insert(documents[0].ids).second) out.add("note", "duplicate", i);
  }
  const double cut_share = tokens > 0 ? static_cast<double>(lost) / static_cast<double>(tokens) : 0;
  auto findings = out.take();
  for (auto& f : findings) {
    f.text = sentence(f, cut_share);
    if (f.kind != "dropped") continue;
    std::string why;
    for (const auto& [reason, count] : reasons) why += fmt::format("{}{} {}", why.empty() ? "" : ", ", count, reason);
    f.text += why;
    if (f.count == static_cast<int64_t>(data.samples.size())) f.severity = "error";
  }
  return findings;
}

}  // namespace lorikeet
