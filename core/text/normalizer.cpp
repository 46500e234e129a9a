#include "core/text/normalizer.h"

#include <memory>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/text/json_fields.h"
#include "core/text/unicode.h"

namespace lorikeet {
namespace {

NormalizerStep form_step(NormalForm form) {
  return [form](AlignedText t) {
    if (is_normalized(t.text(), form)) return t;
    AlignedBuilder b(t);
    normalize_by_stretch(t.text(), form, [&](size_t begin, size_t end, std::string_view content) {
      if (std::string_view(t.text()).substr(begin, end - begin) == content) b.keep(begin, end);
      else b.replace(begin, end, content);
    });
    return b.take();
  };
}

NormalizerStep pattern_step(std::shared_ptr<const Pattern> pattern, std::string content) {
  return [pattern, content](AlignedText t) {
    AlignedBuilder b(t);
    bool changed = false;
    split_by(*pattern, t.text(), [&](size_t begin, size_t end, bool match) {
      if (match) b.replace(begin, end, content), changed = true;
      else b.keep(begin, end);
    });
    return changed ? b.take() : t;
  };
}

NormalizerStep lowercase_step() {
  return [](AlignedText t) {
    AlignedBuilder b(t);
    for (size_t i = 0; i < t.size();) {
      const size_t begin = i;
      const std::string low = lower_of(next_code_point(t.text(), i));
      if (low.size() == i - begin && t.text().compare(begin, low.size(), low) == 0) b.keep(begin, i);
      else b.replace(begin, i, low);
    }
    return b.take();
  };
}

NormalizerStep strip_step(bool left, bool right) {
  return [left, right](AlignedText t) {
    size_t begin = 0, end = t.size(), last = 0;
    bool seen = false;
    for (size_t i = 0; i < t.size();) {
      const size_t at = i;
      if (is_white_space(next_code_point(t.text(), i))) continue;
      if (!seen) begin = at, seen = true;
      last = i;
    }
    if (!seen) return left || right ? t.slice(t.size(), t.size()) : t;
    return t.slice(left ? begin : 0, right ? last : end);
  };
}

void add_step(Normalizer& out, const Json& j, const JsonPlace& place, int depth) {
  const std::string type = text_at(j, "type", place);
  if (type == "Sequence") {
    if (depth > 8) refuse(place, "normalizers nested deeper than 8");
    const Json& list = array_at(j, "normalizers", place);
    for (size_t i = 0; i < list.size(); ++i) add_step(out, list[i], place.member("normalizers").element(i), depth + 1);
  } else if (type == "NFC") out.add(form_step(NormalForm::nfc));
  else if (type == "NFD") out.add(form_step(NormalForm::nfd));
  else if (type == "NFKC") out.add(form_step(NormalForm::nfkc));
  else if (type == "NFKD") out.add(form_step(NormalForm::nfkd));
  else if (type == "Lowercase") out.add(lowercase_step());
  else if (type == "Prepend") out.add(prepend_step(text_at(j, "prepend", place)));
  else if (type == "Strip") out.add(strip_step(flag_at(j, "strip_left", true, place), flag_at(j, "strip_right", true, place)));
  else if (type == "Replace")
    out.add(pattern_step(std::make_shared<const Pattern>(pattern_at(j, "pattern", place)), text_at(j, "content", place)));
  else
    refuse(place, fmt::format("the normalizer \"{}\" is not supported (known: NFC, NFD, NFKC, NFKD, Lowercase, Prepend, "
                              "Replace, Strip, Sequence)", printable(type, 40)));
}

}  // namespace

AlignedText Normalizer::run(AlignedText text) const {
  try {
    for (const auto& step : steps_) text = step(std::move(text));
    return text;
  } catch (const RunError& e) {
    throw InputError(file_, "normalizer", e.what());
  }
}

NormalizerStep nfc_step() { return form_step(NormalForm::nfc); }

NormalizerStep prepend_step(std::string prefix) {
  return [prefix = std::move(prefix)](AlignedText t) {
    if (t.size() == 0) return t;
    AlignedBuilder b(t);
    b.replace(0, 0, prefix);
    b.keep(0, t.size());
    return b.take();
  };
}

NormalizerStep replace_step(std::string from, std::string to) {
  return pattern_step(std::make_shared<const Pattern>(Pattern::literal(std::move(from))), std::move(to));
}

Normalizer normalizer_from_json(const Json& j, const std::string& file) {
  Normalizer out(file);
  if (!j.is_null()) add_step(out, j, {file, "normalizer"}, 0);
  return out;
}

}  // namespace lorikeet
