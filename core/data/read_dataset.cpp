// Files to samples: each file's container and row shape are found, its rows read one by one, bad ones listed.
#include <algorithm>
#include <functional>
#include <limits>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/data/containers.h"
#include "core/data/detect.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

constexpr size_t kListedBadRows = 1000;
constexpr int64_t kRowsBetweenStopChecks = 64;

// A folder stands for the data files right in it.
std::vector<std::string> files_of_folder(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const std::string ending = to_lower_ascii(entry.path().extension().string());
    static const std::vector<std::string> kEndings = {".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt"};
    std::error_code ignored;
    if (entry.is_regular_file(ignored) && !entry.path().filename().string().starts_with('.') &&
        std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end())
      out.push_back(entry.path().string());
  }
  if (failed) throw InputError(folder, "", "the folder cannot be read: " + failed.message());
  if (out.empty()) throw InputError(folder, "", "the folder holds no data file (.jsonl, .json, .csv, .tsv, .txt)");
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> all_files(const std::vector<std::string>& paths) {
  std::vector<std::string> out;
  for (const auto& path : paths) {
    std::error_code failed;
    if (!fs::exists(path, failed)) throw InputError(path, "", "no such file or folder");
    if (!fs::is_directory(path, failed))
      out.push_back(path);
    else
      for (auto& f : files_of_folder(path)) out.push_back(std::move(f));
  }
  return out;
}

/// Size and time of each file: what was read and what is hashed afterwards must be the same.
std::vector<std::pair<uint64_t, fs::file_time_type>> stamps_of(const std::vector<std::string>& files) {
  std::vector<std::pair<uint64_t, fs::file_time_type>> out;
  for (const auto& f : files) {
    std::error_code size_error, time_error;  // a pipe has no size
    out.emplace_back(fs::file_size(f, size_error), fs::last_write_time(f, time_error));
  }
  return out;
}

std::string hash_of(const std::vector<std::string>& files) {
  if (files.size() == 1) return sha256_of_file(files[0]);
  std::string list;
  for (const auto& f : files) list += sha256_of_file(f) + "\n";
  return sha256_of_text(list);
}

void add_system_prompt(Sample& s, const std::string& prompt) {
  if (prompt.empty() || s.kind != SampleKind::chat) return;
  for (const Json& m : s.messages)
    if (m["role"] == "system") return;
  s.messages.insert(s.messages.begin(), Json{{"role", "system"}, {"content", prompt}});
}

// The rows of one file on their way into the data set. The first ones wait until the format is known.
class FileRows {
 public:
  FileRows(Dataset& out, const DatasetOptions& options, std::string file, std::stop_token stop)
      : out_(out), options_(options), file_(std::move(file)), stop_(std::move(stop)) {
    if (options.format != "auto") format_ = dataset_formats().get(options.format);
    detects_ = !format_;
  }
  void set_format(const DatasetFormat* format) { format_ = format; }
  bool take(RawRow&& row) {
    if (++seen_ % kRowsBetweenStopChecks == 0 && stop_.stop_requested())
      throw Interrupted("reading the data was stopped");
    if (!row.problem.empty())
      add_bad(row.origin, row.problem);
    else if (format_)
      read(row);
    else
      waiting_.push_back(std::move(row));
    if (waiting_.size() == kDetectionRows) decide();
    return true;
  }
  void finish() {
    if (!waiting_.empty()) decide();
  }
  int64_t seen() const { return seen_; }
  std::string format_name() const { return format_ ? std::string(format_->name()) : std::string(); }
  std::string evidence() const {
    if (!format_) return "no row could be read";
    if (why_.empty()) return detects_ ? "plain text, one document a file" : "as set by data.format";
    return recognised_ == seen_ ? fmt::format("recognised by the {} in all {} rows", why_, seen_)
                                : fmt::format("recognised by the {} in {} of {} rows", why_, recognised_, seen_);
  }

 private:
  void decide() {
    std::vector<const Json*> rows;
    for (const auto& r : waiting_) rows.push_back(&r.value);
    const DetectedFormat found = detect_format(rows, file_);
    format_ = found.format;
    why_ = found.why;
    for (auto& r : waiting_) read(r);
    waiting_.clear();
  }
  void read(const RawRow& row) {
    if (!why_.empty()) {
      recognised_ += format_->recognises(row.value).has_value();
      if (const auto kind = preference_kind(row.value); !kind.empty())
        return add_bad(row.origin, "one of the " + kind + " is among other rows");
    }
    try {
      for (Sample& s : format_->read(row.value)) {
        s.origin = row.origin;
        add_system_prompt(s, options_.system_prompt);
        out_.samples.push_back(std::move(s));
      }
    } catch (const RunError& e) {
      add_bad(row.origin, e.what());
    }
  }
  void add_bad(const SampleOrigin& origin, std::string reason) {
    ++out_.bad_row_count;
    if (out_.bad_rows.size() < kListedBadRows) out_.bad_rows.push_back({origin, std::move(reason)});
  }

  Dataset& out_;
  const DatasetOptions& options_;
  std::string file_, why_;
  std::stop_token stop_;
  const DatasetFormat* format_ = nullptr;
  bool detects_ = false;
  std::vector<RawRow> waiting_;
  int64_t seen_ = 0, recognised_ = 0;
};

void refuse_text_as(const std::string& file, const std::string& format) {
  if (format != "auto" && format != "text")
    throw InputError(file, "", fmt::format("is plain text, which data.format = {} cannot read", format));
}

void add_word(std::string& list, const std::string& word, std::string_view separator) {
  if (word.empty() || list == word || list.find(word + std::string(separator)) == 0 ||
      list.ends_with(std::string(separator) + word))
    return;
  list += (list.empty() ? "" : std::string(separator)) + word;
}

}  // namespace

std::string place_of(const SampleOrigin& o) { return fmt::format("{} {}", o.in_array ? "element" : "line", o.line); }

Dataset read_dataset(const std::vector<std::string>& paths, const DatasetOptions& options, std::stop_token stop) {
  if (paths.empty()) throw InputError("", "", "no data file is given");
  const auto files = all_files(paths);
  const auto stamps = stamps_of(files);
  Dataset out;
  int64_t left = options.limit > 0 ? options.limit : std::numeric_limits<int64_t>::max();
  for (const auto& file : files) {
    if (left == 0) break;
    FileRows rows(out, options, file, stop);
    const Container container = container_of(file, options.max_line_bytes);
    if (container == Container::text) {
      refuse_text_as(file, options.format);
      rows.set_format(dataset_formats().get("text"));
    }
    read_container(file, container, options.max_line_bytes,
                   [&](RawRow&& row) { return rows.take(std::move(row)) && --left > 0; });
    rows.finish();
    add_word(out.format, rows.format_name(), ", ");
    add_word(out.evidence, rows.evidence(), "; ");
  }
  if (out.samples.empty()) {
    if (out.bad_rows.empty()) throw InputError(files[0], "", "has no row");
    const BadRow& first = out.bad_rows[0];
    throw InputError(first.origin.file, place_of(first.origin),
                     fmt::format("{} (no row can be used: {} bad)", first.reason, out.bad_row_count));
  }
  if (stop.stop_requested()) throw Interrupted("reading the data was stopped");
  out.content_hash = hash_of(files);
  const auto now = stamps_of(files);
  for (size_t f = 0; f < files.size(); ++f)
    if (stamps[f] != now[f]) throw InputError(files[f], "", "was changed while it was read; start again when it is complete");
  return out;
}

}  // namespace lorikeet
