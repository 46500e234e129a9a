// Samples to token ids and labels. The text is made once and tokenised once; which tokens are trained follows from the
// characters at which they begin.
#include "core/data/encode.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/data/chat_spans.h"

namespace lorikeet {
namespace {

constexpr int32_t kNone = -100;

struct Tokens {
  std::vector<int32_t> ids;
  std::vector<bool> trained;
  void add(int32_t id, bool is_trained) {
    ids.push_back(id);
    trained.push_back(is_trained);
  }
};

bool is_stop(const Tokenizer& t, int32_t id) {
  return (t.eos && id == *t.eos) || std::find(t.stop_ids.begin(), t.stop_ids.end(), id) != t.stop_ids.end();
}

bool all_blank(std::string_view s) { return s.find_first_not_of(" \t\r\n") == std::string_view::npos; }

std::string_view text_of(std::string_view text, const TokenPiece& p) { return text.substr(p.begin, p.end - p.begin); }

// The first token that starts at `at` or later.
size_t first_from(const std::vector<TokenPiece>& pieces, size_t at) {
  const auto it = std::lower_bound(pieces.begin(), pieces.end(), at, [](const TokenPiece& p, size_t x) { return p.begin < x; });
  return static_cast<size_t>(it - pieces.begin());
}

// Marks [begin, end) by token start.
void train_range(const std::vector<TokenPiece>& pieces, size_t begin, size_t end, std::vector<bool>& trained) {
  for (size_t t = first_from(pieces, begin); t < pieces.size() && pieces[t].begin < end; ++t)
    if (pieces[t].end > pieces[t].begin) trained[t] = true;
}

// The end-of-turn mark behind an answer: the special token right there, else a stop token behind blanks, else what the
// template prints up to the end of the turn (a mark that the tokenizer knows as plain text).
void train_turn_end(const ChatSpans& spans, const TurnSpan& turn, std::string_view text,
                    const std::vector<TokenPiece>& pieces, const Tokenizer& tokenizer, std::vector<bool>& trained) {
  const size_t first = first_from(pieces, turn.end);
  if (first > 0 && is_stop(tokenizer, pieces[first - 1].id)) return;  // a generation block may hold it already
  if (first < pieces.size() && (tokenizer.is_special(pieces[first].id) || is_stop(tokenizer, pieces[first].id))) {
    trained[first] = true;
    return;
  }
  size_t stop = first;
  while (stop < pieces.size() && all_blank(text_of(text, pieces[stop]))) ++stop;
  if (stop < pieces.size() && is_stop(tokenizer, pieces[stop].id)) {
    for (size_t t = first; t <= stop; ++t) trained[t] = true;
    return;
  }
  if (const auto end = spans.turn_end(turn.message)) train_range(pieces, turn.end, *end, trained);
}

// Nothing is learnt from the line end that some generation blocks hold behind the end token.
void drop_blanks_after_stop(const TurnSpan& turn, std::string_view text, const std::vector<TokenPiece>& pieces,
                            const Tokenizer& tokenizer, std::vector<bool>& trained) {
  const size_t after = first_from(pieces, turn.end);
  size_t last = after;
  while (last > 0 && pieces[last - 1].begin >= turn.begin && all_blank(text_of(text, pieces[last - 1]))) --last;
  if (last == 0 || last == after || pieces[last - 1].begin < turn.begin) return;
  if (!is_stop(tokenizer, pieces[last - 1].id) && !tokenizer.is_special(pieces[last - 1].id)) return;
  for (size_t t = last; t < after; ++t) trained[t] = false;
}

// Messages as the template sees them: without our own mark, and with tool calls written out where the template has no
// place for them (they would vanish without a word).
Json messages_for(const Sample& s, const ChatTemplate& chat) {
  const bool knows_calls = chat.source().find("tool_calls") != std::string::npos;
  Json out = Json::array();
  for (const Json& given : s.messages) {
    Json m = given;
    m.erase("train");
    if (m.contains("tool_calls") && !knows_calls) {
      std::string text = m["content"].get<std::string>();
      for (const Json& call : m["tool_calls"])
        text += (text.empty() ? "" : "\n") + dump_json(call.contains("function") ? call["function"] : call);
      m["content"] = text;
      m.erase("tool_calls");
    }
    out.push_back(std::move(m));
  }
  return out;
}

Tokens tokens_of_chat(const Sample& s, const Tokenizer& tokenizer, const ChatTemplate& chat,
                      const EncodeSettings& settings) {
  Json variables = settings.template_variables.is_object() ? settings.template_variables : Json::object();
  variables["messages"] = messages_for(s, chat);
  if (!s.tools.is_null()) variables["tools"] = s.tools;
  variables["add_generation_prompt"] = false;
  const Rendered plain = chat.render(variables, settings.now);
  const auto pieces = tokenizer.encode_pieces(plain.text, {.parse_special = true, .add_special = false});

  // Under train_on = all the turns marked "train": false are looked for and taken out instead.
  const size_t count = s.messages.size();
  std::vector<bool> wanted(count);
  bool any = false;
  for (size_t m = 0; m < count; ++m) {
    const bool trains = s.messages[m].value("train", true);
    wanted[m] = s.messages[m]["role"] == "assistant" && trains != settings.train_on_all;
    any = any || wanted[m];
  }
  std::vector<bool> found(pieces.size(), false);
  if (any) {
    const ChatSpans spans(chat, std::move(variables), plain, settings.now);
    for (const TurnSpan& turn : spans.assistant_turns(wanted)) {
      train_range(pieces, turn.begin, turn.end, found);
      train_turn_end(spans, turn, plain.text, pieces, tokenizer, found);
      drop_blanks_after_stop(turn, plain.text, pieces, tokenizer, found);
    }
  }
  Tokens out;
  for (size_t t = 0; t < pieces.size(); ++t) out.add(pieces[t].id, found[t] != settings.train_on_all);
  return out;
}

void end_document(Tokens& tokens, const Tokenizer& tokenizer) {
  if (!tokenizer.eos || (!tokens.ids.empty() && tokens.ids.back() == *tokenizer.eos)) return;
  tokens.add(*tokenizer.eos, true);
}

Tokens tokens_of_text(const Sample& s, const Tokenizer& tokenizer) {
  Tokens out;
  for (const auto& p : tokenizer.encode_pieces(s.completion, {.parse_special = true, .add_special = true}))
    out.add(p.id, true);
  end_document(out, tokenizer);
  return out;
}

Tokens tokens_of_completion(const Sample& s, const Tokenizer& tokenizer, bool train_on_all) {
  const size_t boundary = s.prompt.size();
  const std::string text = s.prompt + s.completion;
  const EncodeOptions with_special{.parse_special = true, .add_special = true};
  const auto pieces = tokenizer.encode_pieces(text, with_special);
  const bool straddles = std::any_of(pieces.begin(), pieces.end(),
                                     [&](const TokenPiece& p) { return p.begin < boundary && p.end > boundary; });
  Tokens out;
  if (!straddles) {
    for (const auto& p : pieces) {
      const bool added_end = p.begin == p.end && p.begin == text.size() && boundary < text.size();
      out.add(p.id, train_on_all || added_end || (p.begin >= boundary && p.end > p.begin));
    }
  } else {
    auto prompt = tokenizer.encode_pieces(s.prompt, with_special);
    while (!prompt.empty() && prompt.back().begin == prompt.back().end && is_stop(tokenizer, prompt.back().id))
      prompt.pop_back();
    for (const auto& p : prompt) out.add(p.id, train_on_all);
    for (const auto& p : tokenizer.encode_pieces(s.completion, {.parse_special = true, .add_special = false}))
      out.add(p.id, true);
  }
  end_document(out, tokenizer);
  if (!out.ids.empty() && tokenizer.eos && out.ids.back() == *tokenizer.eos) out.trained.back() = true;
  return out;
}

void check_ids(const Sample& s, const Tokenizer& tokenizer) {
  const auto check = [&](const std::vector<int32_t>& ids, const char* what) {
    for (size_t t = 0; t < ids.size(); ++t)
      if (ids[t] >= tokenizer.vocab_size())
        throw InputError(s.origin.file, place_of(s.origin),
                         fmt::format("{}[{}] is {}, but the model's vocabulary ends at {}", what, t, ids[t],
                                     tokenizer.vocab_size() - 1));
  };
  check(s.ids, "input_ids");
  check(s.labels, "labels");
}

EncodedSample document(const std::vector<int32_t>& ids, const std::vector<int32_t>& labels, size_t begin, size_t end,
                       size_t sample) {
  EncodedSample e;
  e.sample = sample;
  e.original_tokens = static_cast<int64_t>(ids.size());
  e.truncated = begin > 0 || end < ids.size();
  const auto from = static_cast<std::ptrdiff_t>(begin), to = static_cast<std::ptrdiff_t>(end);
  e.ids.assign(ids.begin() + from, ids.begin() + to);
  e.labels.assign(labels.begin() + from, labels.begin() + to);
  if (!e.labels.empty()) e.labels[0] = kNone;  // nothing stands before it to predict it from
  return e;
}

}  // namespace

int64_t EncodedSample::target_tokens() const {
  int64_t n = 0;
  for (size_t t = 1; t < labels.size(); ++t) n += labels[t] >= 0;
  return n;
}

SampleTokens tokens_of_sample(const Sample& s, const Tokenizer& tokenizer, const ChatTemplate* chat,
                              const EncodeSettings& settings) {
  if (s.kind == SampleKind::tokens) {
    check_ids(s, tokenizer);
    return {s.ids, s.labels};
  }
  if (s.kind == SampleKind::chat && !chat)
    throw InputError(s.origin.file, place_of(s.origin),
                     "the rows are conversations, but the model has no chat template; set data.template to chatml, "
                     "alpaca or a .jinja file");
  Tokens tokens;
  try {
    if (s.kind == SampleKind::chat)
      tokens = tokens_of_chat(s, tokenizer, *chat, settings);
    else if (s.kind == SampleKind::completion)
      tokens = tokens_of_completion(s, tokenizer, settings.train_on_all);
    else
      tokens = tokens_of_text(s, tokenizer);
  } catch (const Error& e) {
    throw InputError(s.origin.file, place_of(s.origin), e.what());
  }
  std::vector<int32_t> labels(tokens.ids.size(), kNone);
  for (size_t t = 0; t < labels.size(); ++t)
    if (tokens.trained[t]) labels[t] = tokens.ids[t];
  return {std::move(tokens.ids), std::move(labels)};
}

EncodeOutcome cut_to_length(const SampleTokens& tokens, size_t sample, const EncodeSettings& settings) {
  EncodeOutcome out;
  const auto& [ids, labels] = tokens;
  const size_t longest = static_cast<size_t>(std::max<int64_t>(settings.max_length, 1)), all = ids.size();
  if (all > longest && settings.on_long == "drop") {
    out.dropped_reason = fmt::format("{} tokens, longer than {}", all, longest);
    return out;
  }
  const size_t step = settings.on_long == "split" ? longest : all;
  for (size_t begin = 0; begin < all; begin += step) {
    EncodedSample e = document(ids, labels, begin, std::min(begin + longest, all), sample);
    if (e.target_tokens() > 0) out.documents.push_back(std::move(e));
  }
  if (out.documents.empty())
    out.dropped_reason = all > longest && document(ids, labels, 0, all, sample).target_tokens() > 0
                             ? fmt::format("no trainable token after truncation from {} to {} tokens", all, longest)
                             : "no trainable token";
  return out;
}

EncodeOutcome encode_sample(const Sample& s, size_t index, const Tokenizer& tokenizer, const ChatTemplate* chat,
                            const EncodeSettings& settings) {
  return cut_to_length(tokens_of_sample(s, tokenizer, chat, settings), index, settings);
}

std::vector<ShownToken> show_tokens(const EncodedSample& e, const Tokenizer& tokenizer) {
  std::vector<ShownToken> out;
  out.reserve(e.ids.size());
  for (size_t t = 0; t < e.ids.size(); ++t) {
    const int32_t id = e.ids[t];
    const bool special = tokenizer.is_special(id);
    std::string text = special ? tokenizer.token_text(id) : tokenizer.token_bytes(id);
    if (!is_valid_utf8(text)) text = printable(text);  // a part of a character: shown as \xNN
    out.push_back({std::move(text), id, e.labels[t] >= 0, special});
  }
  return out;
}

}  // namespace lorikeet
