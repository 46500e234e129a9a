/// Target matching over PCRE2; see target_match.h.
#include "core/methods/target_match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

constexpr uint32_t kMatchLimit = 200'000;  // steps; module names are short, so only a runaway pattern gets here
constexpr uint32_t kDepthLimit = 2'000;
constexpr uint32_t kHeapLimitKib = 4096;
constexpr size_t kMaxPatternBytes = 64 * 1024;
constexpr const char* kTargets = "adapter.target_modules";

std::string pcre2_message(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

/// "model.layers.0.self_attn.q_proj" -> "self_attn.q_proj", for a message that does not repeat every layer.
std::string without_layer(const std::string& name) {
  const auto parts = split(name, '.');
  for (size_t i = 0; i < parts.size(); ++i)
    if (parse_int(parts[i])) return join({parts.begin() + static_cast<std::ptrdiff_t>(i) + 1, parts.end()}, ".");
  return name;
}

std::string known_modules(const std::vector<LinearShape>& linears) {
  std::vector<std::string> kinds;
  for (const LinearShape& s : linears) {
    const std::string kind = without_layer(s.name);
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  }
  const std::string first = linears.empty() ? "" : " (the first in full: " + linears.front().name + ")";
  return join(kinds, ", ") + first;
}

void refuse_unadaptable(const std::string& entry) {
  for (const char* name : {"lm_head", "embed_tokens", "model.embed_tokens"})
    if (entry == name)
      throw UnsupportedError(std::string(kTargets) + ": adapters on \"" + entry +
                             "\" are not in this version; adapt the linear layers inside the blocks");
}

bool ends_with_entry(const std::string& name, const std::string& entry) {
  return name == entry ||
         (name.size() > entry.size() && name.ends_with(entry) && name[name.size() - entry.size() - 1] == '.');
}

}  // namespace

struct NamePattern::Code {
  std::string key, pattern;
  pcre2_code* code = nullptr;
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  ~Code() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
  }
};

NamePattern::NamePattern(const std::string& key, const std::string& pattern) : code_(std::make_unique<Code>()) {
  if (pattern.size() > kMaxPatternBytes) throw ConfigError(key, key + ": the pattern is longer than 64 KiB");
  code_->key = key;
  code_->pattern = pattern;
  int error = 0;
  PCRE2_SIZE where = 0;
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &where, nullptr);
  if (!code_->code)
    throw ConfigError(key, key + ": \"" + printable(pattern) + "\" is not a valid pattern: " + pcre2_message(error) +
                               " at byte " + std::to_string(where));
  code_->data = pcre2_match_data_create(1, nullptr);
  code_->context = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(code_->context, kMatchLimit);
  pcre2_set_depth_limit(code_->context, kDepthLimit);
  pcre2_set_heap_limit(code_->context, kHeapLimitKib);
}
NamePattern::~NamePattern() = default;
NamePattern::NamePattern(NamePattern&&) noexcept = default;

bool NamePattern::matches(std::string_view name) const {
  const int rc = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(), 0,
                             PCRE2_ANCHORED | PCRE2_ENDANCHORED, code_->data, code_->context);
  if (rc == PCRE2_ERROR_NOMATCH) return false;
  if (rc < 0)
    throw ConfigError(code_->key, code_->key + ": \"" + printable(code_->pattern) +
                                      "\" could not be matched against \"" + printable(name) +
                                      "\": " + pcre2_message(rc) + "; simplify the pattern");
  return true;
}

std::vector<LinearShape> matched_modules(const std::vector<LinearShape>& linears, const AdapterSpec& spec) {
  const std::vector<std::string>& targets = spec.target_modules;
  if (targets.empty()) throw ConfigError(kTargets, std::string(kTargets) + ": empty; name modules or use all-linear");
  std::vector<LinearShape> out;
  if (targets.size() == 1 && to_lower_ascii(targets[0]) == "all-linear") {
    out = linears;
  } else if (spec.target_is_pattern) {
    const NamePattern pattern(kTargets, targets[0]);
    for (const LinearShape& s : linears)
      if (pattern.matches(s.name)) out.push_back(s);
  } else {
    for (const std::string& entry : targets) refuse_unadaptable(entry);
    for (const LinearShape& s : linears)
      if (std::any_of(targets.begin(), targets.end(), [&](const std::string& e) { return ends_with_entry(s.name, e); }))
        out.push_back(s);
  }
  if (out.empty())
    throw ConfigError(kTargets, std::string(kTargets) + ": " + (spec.target_is_pattern ? "the pattern " : "") + "\"" +
                                    printable(join(targets, ",")) +
                                    "\" matches no module; modules: " + known_modules(linears));
  return out;
}

std::vector<IdleName> idle_names(const std::vector<LinearShape>& linears, const AdapterSpec& spec) {
  const std::vector<LinearShape> picked = matched_modules(linears, spec);
  std::vector<IdleName> out;
  const bool all = spec.target_modules.size() == 1 && to_lower_ascii(spec.target_modules[0]) == "all-linear";
  if (!spec.target_is_pattern && !all)
    for (const std::string& entry : spec.target_modules)
      if (std::none_of(picked.begin(), picked.end(), [&](const LinearShape& s) { return ends_with_entry(s.name, entry); }))
        out.push_back({kTargets, entry, known_modules(linears)});
  const auto check = [&](const std::string& key, const auto& patterns) {
    for (const auto& [text, value] : patterns) {
      const NamePattern pattern(key, module_end_pattern(text));
      if (std::none_of(picked.begin(), picked.end(), [&](const LinearShape& s) { return pattern.matches(s.name); }))
        out.push_back({key, text, known_modules(picked)});
    }
  };
  check("adapter.rank_pattern", spec.rank_pattern);
  check("adapter.alpha_pattern", spec.alpha_pattern);
  return out;
}

std::string module_end_pattern(const std::string& key) { return "(.*\\.)?(" + key + ")"; }

}  // namespace lorikeet
