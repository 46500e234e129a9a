#include "cuda/runtime/matmul_choices.h"

#include <charconv>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"

namespace lorikeet::cuda {
namespace {

constexpr uint64_t kMostBytes = 1u << 20;  // some 10000 shapes
constexpr size_t kMostLine = 512;

std::optional<uint64_t> number(const std::string& hex) {
  uint64_t v = 0;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), v, 16);
  if (hex.empty() || error != std::errc() || end != hex.data() + hex.size()) return std::nullopt;
  return v;
}

std::string text_of(const Json& line, const char* field) {
  const auto at = line.find(field);
  return at != line.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

MatmulChoices::MatmulChoices(std::string path, std::string library) : path_(std::move(path)), library_(std::move(library)) {
  std::string content;
  try {
    if (!fs::exists(path_)) return;
    content = read_file(path_, kMostBytes);
  } catch (const std::exception&) {
    start_anew_ = true;
    return;
  }
  if (!content.empty() && content.back() != '\n') start_anew_ = true;  // cut off: the next line must not be joined to it
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    const std::string_view line(content.data() + begin, end - begin);
    begin = end + 1;
    if (line.size() > kMostLine) continue;
    try {
      const Json j = parse_json(line, path_);
      if (!j.is_object() || text_of(j, "library") != library_) continue;
      const std::string shape = text_of(j, "shape");
      if (const auto algorithm = number(text_of(j, "algorithm")); algorithm && !shape.empty()) choices_[shape] = *algorithm;
    } catch (const std::exception&) {
    }
  }
}

std::optional<uint64_t> MatmulChoices::find(const std::string& shape) const {
  const auto at = choices_.find(shape);
  if (at == choices_.end()) return std::nullopt;
  return at->second;
}

void MatmulChoices::keep(const std::string& shape, uint64_t algorithm) {
  choices_[shape] = algorithm;
  const auto line = [&](const std::string& s, uint64_t a) { return dump_json(Json{{"library", library_}, {"shape", s}, {"algorithm", fmt::format("{:016x}", a)}}); };
  try {
    if (const fs::path folder = fs::path(path_).parent_path(); !folder.empty()) fs::create_directories(folder);
    LineWriter file(path_, start_anew_);
    if (start_anew_) {
      for (const auto& [s, a] : choices_) file.line(line(s, a));
      start_anew_ = false;
    } else {
      file.line(line(shape, algorithm));
    }
  } catch (const std::exception&) {
  }
}

std::string matmul_choices_path(const std::string& device_name) {
  std::string name;
  for (const char c : device_name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (plain) name += c;
    else if (!name.empty() && name.back() != '-') name += '-';
  }
  return user_cache_folder() + "/matmul-" + name + ".jsonl";
}

}  // namespace lorikeet::cuda
