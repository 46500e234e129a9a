#include "core/text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/system.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

constexpr uint32_t kMatchLimit = 20'000'000;  // a run of 1 MiB of blanks needs about one million
constexpr uint32_t kDepthLimit = 100'000;
constexpr uint32_t kHeapLimitKib = 256 * 1024;
constexpr size_t kJitStackBytes = 8 << 20;
constexpr size_t kLongestExpression = 64 * 1024;
// One text, all matches: known patterns need milliseconds a megabyte, so this only stops quadratic ones.
constexpr double kLongestSeconds = 3;

constexpr std::string_view kWhiteSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Rewrites the escapes that mean something else (or nothing) to PCRE2.
std::string rewritten(std::string_view e, const std::string& file, const std::string& where) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < e.size(); ++i) {
    const char c = e[i];
    if (c == '\\' && i + 1 < e.size()) {
      const char n = e[++i];
      if (n == 's') {
        out += in_class ? std::string(kWhiteSpace) : "[" + std::string(kWhiteSpace) + "]";
      } else if (n == 'S' && !in_class) {
        out += "[^" + std::string(kWhiteSpace) + "]";
      } else if (n == 'u' && i + 4 < e.size() && is_hex(e[i + 1]) && is_hex(e[i + 2]) && is_hex(e[i + 3]) && is_hex(e[i + 4])) {
        out += "\\x{" + std::string(e.substr(i + 1, 4)) + "}";
        i += 4;
      } else {
        out += c;
        out += n;
      }
      continue;
    }
    if (c == '[' && !in_class) {
      in_class = true;
      out += c;
      if (i + 1 < e.size() && e[i + 1] == '^') out += e[++i];
      if (i + 1 < e.size() && e[i + 1] == ']') out += "\\]", ++i;
      continue;
    }
    if (in_class && (e.substr(i, 2) == "&&" || (c == '[' && e.substr(i, 2) != "[:")))
      throw InputError(file, where, "regular expressions with nested or intersected character classes are not supported");
    if (in_class && c == '[') {  // [:name:] inside a class
      const size_t end = e.find(":]", i);
      if (end == std::string_view::npos) throw InputError(file, where, "a character class of the regular expression is not closed");
      out += e.substr(i, end + 2 - i);
      i = end + 1;
      continue;
    }
    if (c == ']' && in_class) in_class = false;
    out += c;
  }
  return out;
}

std::string pcre_text(int code) {
  std::array<PCRE2_UCHAR, 200> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

struct MatchDataFree {
  void operator()(pcre2_match_data* d) const { pcre2_match_data_free(d); }
};
struct ContextFree {
  void operator()(pcre2_match_context* c) const { pcre2_match_context_free(c); }
};
struct JitStackFree {
  void operator()(pcre2_jit_stack* s) const { pcre2_jit_stack_free(s); }
};

// Working memory of a thread; only the bounds of the whole match are wanted, so one pair is enough.
struct Scratch {
  Scratch()
      : data(pcre2_match_data_create(1, nullptr)), context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(32 * 1024, kJitStackBytes, nullptr)) {
    if (!data || !context || !stack) throw std::bad_alloc();
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_depth_limit(context.get(), kDepthLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
  std::unique_ptr<pcre2_match_data, MatchDataFree> data;
  std::unique_ptr<pcre2_match_context, ContextFree> context;
  std::unique_ptr<pcre2_jit_stack, JitStackFree> stack;
};

}  // namespace

struct Pattern::Compiled {
  pcre2_code* code = nullptr;
  std::string expression, file, where;
  ~Compiled() { pcre2_code_free(code); }
};

Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Pattern Pattern::literal(std::string text) {
  Pattern p;
  p.literal_ = std::move(text);
  return p;
}

Pattern Pattern::regex(const std::string& expression, const std::string& file, const std::string& where) {
  if (expression.size() > kLongestExpression)
    throw InputError(file, where, fmt::format("the regular expression has {} bytes; at most {} are read", expression.size(), kLongestExpression));
  const std::string text = rewritten(expression, file, where);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Pattern p;
  p.compiled_ = std::make_unique<Compiled>();
  p.compiled_->expression = expression;
  p.compiled_->file = file;
  p.compiled_->where = where;
  p.compiled_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (!p.compiled_->code)
    throw InputError(file, where, fmt::format("the regular expression {} does not compile: {}", printable(expression, 80), pcre_text(error)));
  // Without JIT (a system that forbids it) matching works all the same, slower.
  pcre2_jit_compile(p.compiled_->code, PCRE2_JIT_COMPLETE);
  return p;
}

void Pattern::each_match(std::string_view text, const std::function<void(size_t, size_t)>& found) const {
  if (!compiled_) {
    if (literal_.empty()) return;
    for (size_t at = text.find(literal_); at != std::string_view::npos; at = text.find(literal_, at + literal_.size()))
      found(at, at + literal_.size());
    return;
  }
  static thread_local const Scratch scratch;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const double started = monotonic_seconds();
  size_t at = 0;
  for (size_t round = 1; at <= text.size(); ++round) {
    int rc = pcre2_match(compiled_->code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, scratch.data.get(), scratch.context.get());
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
      rc = pcre2_match(compiled_->code, subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, scratch.data.get(), scratch.context.get());
    if (rc == PCRE2_ERROR_NOMATCH) return;
    if (rc < 0 || (round % 256 == 0 && monotonic_seconds() - started > kLongestSeconds))
      throw InputError(compiled_->file, compiled_->where,
                       fmt::format("the regular expression {} takes too many steps on this text ({})", printable(compiled_->expression, 60),
                                   rc < 0 ? pcre_text(rc) : std::string("time limit")));
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(scratch.data.get());
    const size_t begin = ends[0], end = ends[1];
    found(begin, end);
    if (end > begin) {
      at = end;
    } else if (begin >= text.size()) {
      return;
    } else {
      at = begin;
      next_code_point(text, at);
    }
  }
}

void split_by(const Pattern& pattern, std::string_view text, const std::function<void(size_t, size_t, bool)>& piece) {
  size_t done = 0;
  pattern.each_match(text, [&](size_t begin, size_t end) {
    if (begin > done) piece(done, begin, false);
    if (end > begin) piece(begin, end, true);
    done = end;
  });
  if (done < text.size()) piece(done, text.size(), false);
}

}  // namespace lorikeet
