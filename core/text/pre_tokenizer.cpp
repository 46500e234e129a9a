#include "core/text/pre_tokenizer_steps.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/text/byte_alphabet.h"
#include "core/text/unicode.h"

namespace lorikeet {

const char* const kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const char* const kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const char* const kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

namespace {

struct Part {
  size_t begin, end;
  bool match;
};

void merge_matches(const std::vector<Part>& parts, SplitBehavior behavior, std::vector<Piece>& out) {
  std::vector<Piece> made;
  bool previous_match = false;
  const bool forward = behavior == SplitBehavior::merged_with_previous;
  for (size_t k = 0; k < parts.size(); ++k) {
    const Part& p = parts[forward ? k : parts.size() - 1 - k];
    if (p.match && !previous_match && !made.empty()) {
      if (forward) made.back().end = p.end;
      else made.back().begin = p.begin;
    } else {
      made.push_back({p.begin, p.end});
    }
    previous_match = p.match;
  }
  if (!forward) std::reverse(made.begin(), made.end());
  out.insert(out.end(), made.begin(), made.end());
}

void arrange(const std::vector<Part>& parts, SplitBehavior behavior, std::vector<Piece>& out) {
  switch (behavior) {
    case SplitBehavior::isolated:
      for (const Part& p : parts) out.push_back({p.begin, p.end});
      return;
    case SplitBehavior::removed:
      for (const Part& p : parts)
        if (!p.match) out.push_back({p.begin, p.end});
      return;
    case SplitBehavior::contiguous:
      for (size_t i = 0; i < parts.size(); ++i) {
        if (i > 0 && parts[i].match == parts[i - 1].match) out.back().end = parts[i].end;
        else out.push_back({parts[i].begin, parts[i].end});
      }
      return;
    case SplitBehavior::merged_with_previous:
    case SplitBehavior::merged_with_next: merge_matches(parts, behavior, out); return;
  }
}

// Writes the bytes out as characters of the alphabet, for a step that comes after ByteLevel.
void show_bytes(PieceList& list) {
  if (!list.byte_mapped) return;
  AlignedBuilder b(list.text);
  for (Piece& p : list.pieces) {
    const size_t begin = b.size();
    for (size_t i = p.begin; i < p.end; ++i) b.replace(i, i + 1, byte_character(static_cast<unsigned char>(list.text.text()[i])));
    p = {begin, b.size()};
  }
  list.text = b.take();
  list.byte_mapped = false;
}

}  // namespace

PieceList PreTokenizer::run(AlignedText text) const {
  PieceList list;
  list.text = std::move(text);
  if (list.text.size() > 0) list.pieces.push_back({0, list.text.size()});
  for (const auto& step : steps_) step(list);
  return list;
}

PreTokenizerStep split_step(std::shared_ptr<const Pattern> pattern, SplitBehavior behavior, bool invert) {
  return [pattern, behavior, invert](PieceList& list) {
    show_bytes(list);
    std::vector<Piece> out;
    std::vector<Part> parts;
    for (const Piece& p : list.pieces) {
      parts.clear();
      const auto piece = std::string_view(list.text.text()).substr(p.begin, p.end - p.begin);
      split_by(*pattern, piece, [&](size_t begin, size_t end, bool match) { parts.push_back({p.begin + begin, p.begin + end, match != invert}); });
      arrange(parts, behavior, out);
    }
    list.pieces = std::move(out);
  };
}

PreTokenizerStep split_characters_step(bool (*is_match)(char32_t), SplitBehavior behavior) {
  return [is_match, behavior](PieceList& list) {
    show_bytes(list);
    std::vector<Piece> out;
    std::vector<Part> parts;
    for (const Piece& p : list.pieces) {
      parts.clear();
      for (size_t i = p.begin; i < p.end;) {
        const size_t begin = i;
        const bool match = is_match(next_code_point(list.text.text(), i));
        if (!match && !parts.empty() && !parts.back().match) parts.back().end = i;
        else parts.push_back({begin, i, match});
      }
      arrange(parts, behavior, out);
    }
    list.pieces = std::move(out);
  };
}

PreTokenizerStep words_step() {
  return [](PieceList& list) {
    show_bytes(list);
    std::vector<Piece> out;
    for (const Piece& p : list.pieces) {
      int previous = 0;  // 0 blank, 1 word, 2 anything else
      for (size_t i = p.begin; i < p.end;) {
        const size_t begin = i;
        const char32_t c = next_code_point(list.text.text(), i);
        const int kind = is_word_character(c) ? 1 : is_white_space(c) ? 0 : 2;
        if (kind != 0 && kind == previous) out.back().end = i;
        else if (kind != 0) out.push_back({begin, i});
        previous = kind;
      }
    }
    list.pieces = std::move(out);
  };
}

PreTokenizerStep digits_step(bool individual) {
  return split_characters_step(&is_numeric, individual ? SplitBehavior::isolated : SplitBehavior::contiguous);
}

PreTokenizerStep byte_level_step(bool add_prefix_space, bool use_regex) {
  const auto pattern = std::make_shared<const Pattern>(Pattern::regex(kGpt2Pattern, "(built in)", "the GPT-2 pattern"));
  const PreTokenizerStep cut = split_step(pattern, SplitBehavior::isolated, false);
  return [add_prefix_space, use_regex, cut](PieceList& list) {
    show_bytes(list);
    if (add_prefix_space) {
      AlignedBuilder b(list.text);
      for (Piece& p : list.pieces) {
        const size_t begin = b.size();
        if (list.text.text()[p.begin] != ' ') b.replace(p.begin, p.begin, " ");
        b.keep(p.begin, p.end);
        p = {begin, b.size()};
      }
      list.text = b.take();
    }
    if (use_regex) cut(list);
    list.byte_mapped = true;
  };
}

PreTokenizerStep metaspace_step(std::string mark, PrependScheme scheme, bool split) {
  return [mark = std::move(mark), scheme, split](PieceList& list) {
    show_bytes(list);
    AlignedBuilder b(list.text);
    std::vector<Piece> out;
    for (const Piece& p : list.pieces) {
      const std::string_view text = std::string_view(list.text.text()).substr(p.begin, p.end - p.begin);
      const size_t begin = b.size();
      const bool starts = text[0] == ' ' || text.substr(0, mark.size()) == mark;
      const bool at_front = list.text.source(p.begin, p.begin + 1).begin == 0;
      if (!starts && (scheme == PrependScheme::always || (scheme == PrependScheme::first && at_front))) b.replace(p.begin, p.begin, mark);
      out.push_back({begin, begin});
      for (size_t i = 0; i < text.size();) {
        const size_t at = i;
        const bool is_mark = text[i] == ' ' || text.substr(i, mark.size()) == mark;
        if (text[i] == ' ') ++i;
        else next_code_point(text, i);
        if (is_mark && split && b.size() > out.back().begin) out.back().end = b.size(), out.push_back({b.size(), b.size()});
        if (text[at] == ' ') b.replace(p.begin + at, p.begin + i, mark);
        else b.keep(p.begin + at, p.begin + i);
      }
      out.back().end = b.size();
    }
    list.text = b.take();
    list.pieces = std::move(out);
  };
}

}  // namespace lorikeet
