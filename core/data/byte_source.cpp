// Buffered reading with the line number kept.
#include "core/data/byte_source.h"

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace lorikeet {

ByteSource::ByteSource(const std::string& path) : path_(path), buffer_(1 << 18) {
  // Data are read more than once, and a pipe would wait for ever: only files will do.
  std::error_code ignored;
  const auto status = fs::status(path, ignored);
  if (fs::is_directory(status)) throw InputError(path, "", "is a folder, a data file was expected");
  if (fs::exists(status) && !fs::is_regular_file(status)) throw InputError(path, "", "is no regular file");
  file_.reset(std::fopen(path.c_str(), "rb"));
  if (!file_) throw InputError(path, "", std::string("cannot be opened: ") + std::strerror(errno));
  if (peek() == 0xEF && size_ >= 3 && buffer_[1] == '\xBB' && buffer_[2] == '\xBF') at_ = 3;
}

bool ByteSource::fill() {
  at_ = 0;
  size_ = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
  if (size_ == 0 && std::ferror(file_.get()))
    throw IoError(path_, printable(path_, 180) + ": cannot be read: " + std::strerror(errno));
  return size_ > 0;
}

void ByteSource::skip_blanks() {
  for (int c = peek(); c == ' ' || c == '\t' || c == '\r' || c == '\n'; c = peek()) next();
}

bool ByteSource::take_line(std::string& line, uint64_t max_bytes) {
  line.clear();
  bool fits = true;
  for (int c = next(); c >= 0 && c != '\n'; c = next()) {
    if (line.size() < max_bytes)
      line += static_cast<char>(c);
    else
      fits = fits && c == '\r' && peek() == '\n';
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return fits;
}

}  // namespace lorikeet
