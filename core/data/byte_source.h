/// A file read once from front to back in pieces, so that memory does not grow with the file.
#pragma once
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace lorikeet {

class ByteSource {
 public:
  /// Opens the file and passes over a UTF-8 byte order mark. Throws InputError when there is no such file.
  explicit ByteSource(const std::string& path);
  /// The next byte, or -1 at the end. Throws IoError when reading fails.
  int peek() { return at_ < size_ || fill() ? static_cast<unsigned char>(buffer_[at_]) : -1; }
  int next() {
    const int c = peek();
    if (c < 0) return c;
    ++at_;
    line_ += c == '\n';
    return c;
  }
  /// 1-based line of the next byte.
  int64_t line() const { return line_; }
  const std::string& path() const { return path_; }
  void skip_blanks();  // blank, tab, CR, LF
  /// The line up to '\n' (taken, not returned; a '\r' before it is dropped). False when it is longer than `max_bytes`;
  /// the rest of the line is passed over and `line` holds its beginning.
  bool take_line(std::string& line, uint64_t max_bytes);

 private:
  bool fill();
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<char> buffer_;
  size_t at_ = 0, size_ = 0;
  int64_t line_ = 1;
};

}  // namespace lorikeet
