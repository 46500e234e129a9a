/// Memory that lives in a file instead of in memory: a mapped file without a name, gone with its last user.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace lorikeet {

class ScratchFile {
 public:
  /// A file of `bytes` zeros in `folder`, its room on the disk reserved at once, so that no later write can find the
  /// disk full. Throws IoError naming the folder, the bytes wanted and free, and the cause.
  ScratchFile(const std::string& folder, uint64_t bytes);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  void* data() { return data_; }
  uint64_t bytes() const { return bytes_; }
  /// Asks the system to read a part in the background; and tells it that a part will not be touched for a while, so that
  /// its pages stop counting as memory of this process (their content stays in the file).
  void expect(const void* begin, size_t bytes) const;
  void rest(const void* begin, size_t bytes) const;

 private:
  void advise(const void* begin, size_t bytes, int advice) const;
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
};

/// True when files of `path` (or of its nearest existing parent) are kept in memory by the system (tmpfs, ramfs), so that
/// moving something there saves none.
bool is_kept_in_memory(const std::string& path);

}  // namespace lorikeet
