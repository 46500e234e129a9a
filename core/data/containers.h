/// Containers: how rows stand in a file (JSON array, JSON Lines, CSV, plain text), apart from what a row looks like.
/// Files are streamed: memory holds one row at a time.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "core/base/json.h"
#include "core/data/byte_source.h"
#include "core/data/dataset.h"

namespace lorikeet {

enum class Container { json_array, json_lines, json_object, csv, text };

/// A row as it stands, or what is wrong with it.
struct RawRow {
  SampleOrigin origin;
  Json value;           // an object; null when there is a problem
  std::string problem;  // empty when the row could be read
};
/// Takes rows in order; returns false when no more are wanted.
using RowSink = std::function<bool(RawRow&&)>;

/// Decides from the content, with the name only as a hint. Throws InputError for what is no text at all: UTF-16,
/// binary, compressed, Parquet, an empty file, JSON values one after another that are not one a line.
Container container_of(const std::string& path, uint64_t max_row_bytes);
std::string_view container_name(Container c);  // "JSON Lines", "CSV"...
/// Reads all rows. Rows longer than `max_row_bytes` become problems. Throws InputError where the file as a whole cannot
/// be followed (a JSON array that ends in the middle).
void read_container(const std::string& path, Container container, uint64_t max_row_bytes, const RowSink& sink);

// The readers behind read_container, one file each.
void read_json_lines(ByteSource& in, uint64_t max_row_bytes, const RowSink& sink);
void read_json_array(ByteSource& in, uint64_t max_row_bytes, const RowSink& sink);
void read_json_object(ByteSource& in, uint64_t max_row_bytes, const RowSink& sink);
void read_csv(ByteSource& in, uint64_t max_row_bytes, const RowSink& sink);
void read_plain_text(ByteSource& in, uint64_t max_row_bytes, const RowSink& sink);

/// One JSON value taken from the source by following brackets and strings. `ended`: false at the end of the file;
/// `fits`: false when longer than the limit (passed over).
struct TakenValue {
  std::string text;
  bool ended = false, fits = true;
};
TakenValue take_json_value(ByteSource& in, uint64_t max_bytes);
/// The row of one JSON text, or the problem with it.
RawRow row_of_json(std::string_view text, SampleOrigin origin);
/// "is longer than 67 MB, ..."
std::string too_long(uint64_t max_row_bytes);
/// What to say about bytes that are not UTF-8.
std::string not_utf8(std::string_view text, size_t byte);

}  // namespace lorikeet
