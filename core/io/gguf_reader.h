/// Reads a GGUF's front part piece by piece. Every length is compared with the bytes left before anything is sized by
/// it, and what the metadata takes in memory is counted against one limit (formats.md 3.7).
#pragma once
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "core/io/gguf.h"

namespace lorikeet::detail {

class GgufReader {
 public:
  GgufReader(std::span<const std::byte> bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}
  uint64_t position() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }
  /// Little-endian value of any arithmetic type.
  template <class T>
  T number(const char* what) {
    need(sizeof(T), what);
    T v;
    std::memcpy(&v, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return v;
  }
  /// u64 length and bytes; the view lies in the mapped file.
  std::string_view text(uint64_t max_bytes, const char* what);
  /// A metadata value of the given type; `key` only appears in errors.
  GgufValue value(int type, const std::string& key);
  [[noreturn]] void fail(const std::string& message) const { fail_at(at_, message); }
  [[noreturn]] void fail_at(uint64_t byte, const std::string& message) const;

 private:
  void need(uint64_t bytes, const char* what) const;
  void charge(uint64_t bytes);
  GgufArray array(const std::string& key);
  double element(int type, const std::string& key);
  bool boolean(const std::string& key);
  std::string value_text(const std::string& key);

  std::span<const std::byte> bytes_;
  std::string file_;
  uint64_t at_ = 0, charged_ = 0;
};

}  // namespace lorikeet::detail
