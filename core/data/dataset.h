/// Data sets: reading rows of many shapes into samples. To add a format: write data/<format>.cpp, add one line to
/// dataset_formats.cpp. Containers (JSON array, JSON Lines, CSV, TSV, plain text) are separate from row shapes.
#pragma once
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/base/registry.h"

namespace lorikeet {

/// Where a sample came from, for messages and the table.
struct SampleOrigin {
  std::string file;
  int64_t line = 0;       // 1-based line (JSON Lines, CSV, text) or element number (JSON array)
  bool in_array = false;  // line is an element number
};
/// "line 12" or "element 12".
std::string place_of(const SampleOrigin& origin);
enum class SampleKind { chat, completion, text, tokens };
struct Sample {
  SampleKind kind = SampleKind::chat;
  SampleOrigin origin;
  Json messages;                     // chat: [{role, content, ...}], plus "train": false where a turn is not trained
  Json tools;                        // chat: passed to the template when present
  std::string prompt, completion;    // completion: trained on the completion; text: `completion` holds the text
  std::vector<int32_t> ids, labels;  // tokens: as given; label -100 = none
};
struct BadRow {
  SampleOrigin origin;
  std::string reason;
};
struct Dataset {
  std::string format;    // name in dataset_formats(); "alpaca, messages" when the files differ
  std::string evidence;  // "recognised by the \"messages\" key in all 600 rows"
  std::vector<Sample> samples;
  std::vector<BadRow> bad_rows;  // the first 1000; bad_row_count counts all
  int64_t bad_row_count = 0;
  std::string content_hash;  // sha256 of the file; of the list of the files' hashes where there are several
};

/// One row shape. Rows are JSON objects (CSV rows become objects of strings).
class DatasetFormat {
 public:
  virtual ~DatasetFormat() = default;
  virtual std::string_view name() const = 0;
  /// What a row needs, for messages: "\"prompt\" and \"completion\"".
  virtual std::string_view needs() const = 0;
  /// What in this row speaks for the format ("\"messages\" key"), or nothing.
  virtual std::optional<std::string> recognises(const Json& row) const = 0;
  /// One sample or, for rows that hold several, all of them. Throws RunError(reason) for a bad row; the reader adds
  /// file and line.
  virtual std::vector<Sample> read(const Json& row) const = 0;
};
/// messages sharegpt alpaca prompt_completion question_answer text tokens message_tree
const Registry<const DatasetFormat*>& dataset_formats();

struct DatasetOptions {
  std::string format = "auto";
  int64_t limit = 0;               // rows, 0 = all
  std::string system_prompt = {};  // put before chats that have no system message
  uint64_t max_line_bytes = 64u << 20;
};
/// Reads all files in order; a folder stands for the data files right in it, by name. The format is recognised file by
/// file; a plain text file is one document. Throws InputError when a file cannot be understood at all (with what was
/// found), when two formats claim it, when it holds preference pairs, or when no usable row is left; single bad rows
/// are listed, not fatal. Cancelling throws Interrupted.
Dataset read_dataset(const std::vector<std::string>& paths, const DatasetOptions& options, std::stop_token stop = {});

}  // namespace lorikeet
