/// Normalizers of tokenizer files: a list of steps, each AlignedText -> AlignedText (formats.md 4.1).
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/text/aligned_text.h"

namespace lorikeet {

using NormalizerStep = std::function<AlignedText(AlignedText)>;

class Normalizer {
 public:
  Normalizer() = default;
  /// `file`: where the steps come from, for errors.
  explicit Normalizer(std::string file) : file_(std::move(file)) {}
  void add(NormalizerStep step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }
  /// Throws InputError when the steps make the text longer beyond all reason.
  AlignedText run(AlignedText text) const;
  std::string run(const std::string& text) const { return run(AlignedText(text, 0)).text(); }

 private:
  std::string file_;
  std::vector<NormalizerStep> steps_;
};

NormalizerStep nfc_step();
/// Puts `prefix` before a text that is not empty.
NormalizerStep prepend_step(std::string prefix);
NormalizerStep replace_step(std::string from, std::string to);
/// From the member "normalizer" of a tokenizer.json (may be null). Throws InputError for kinds that are not supported.
Normalizer normalizer_from_json(const Json& j, const std::string& file);

}  // namespace lorikeet
