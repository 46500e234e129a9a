/// Which modules an adapter sits on, decided exactly as PEFT decides it, so that a saved adapter means the same there.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/methods/method.h"

namespace lorikeet {

/// One pattern compiled once, matched against many names with bounds on time and memory. Python's `re` and PCRE2 agree
/// on what module patterns use (groups, alternatives, classes, look-around).
class NamePattern {
 public:
  /// `key` is the setting named in errors. Throws ConfigError with the position when the pattern is not valid.
  NamePattern(const std::string& key, const std::string& pattern);
  ~NamePattern();
  NamePattern(NamePattern&&) noexcept;
  NamePattern(const NamePattern&) = delete;
  NamePattern& operator=(const NamePattern&) = delete;
  /// True when the whole name matches. Throws ConfigError when the pattern costs too much to decide.
  bool matches(std::string_view name) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

/// The shapes that the spec's targets pick, in their order. A list entry picks the module of that name and all whose
/// name ends with ".entry"; one pattern must match the whole name; "all-linear" picks all.
/// Throws ConfigError("adapter.target_modules") naming the modules there are when nothing is picked.
std::vector<LinearShape> matched_modules(const std::vector<LinearShape>& linears, const AdapterSpec& spec);

/// A name among the targets or a key of the patterns that no adapted module answers to. PEFT passes over it without a
/// word, and so does matched_modules(); a person should hear of it.
struct IdleName { std::string key, name, modules; };  // the setting, the name, the modules there are
std::vector<IdleName> idle_names(const std::vector<LinearShape>& linears, const AdapterSpec& spec);
/// PEFT's rule for a key of rank_pattern and alpha_pattern: it matches the end of a module name at a dot.
std::string module_end_pattern(const std::string& key);

}  // namespace lorikeet
