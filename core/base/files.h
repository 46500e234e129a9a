/// Files: mapping, reading with a limit, and writing that never leaves a half-written file under its final name.
/// Writing = temporary name in the same folder, fsync, rename, fsync of the folder; an fsync error is final for that file.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lorikeet {

namespace fs = std::filesystem;

/// A file mapped read-only. Throws InputError when it is not there or no file; an empty file maps to an empty span.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  const std::string& path() const { return path_; }
  /// Tells the system that the pages are no longer needed (they are read again from disk when touched).
  void drop_pages() const;

 private:
  std::string path_;
  void* data_ = nullptr;
  size_t size_ = 0;
};

/// Whole file as bytes. Throws InputError when it is not there, no file or larger than `max_bytes`; IoError when reading
/// fails.
std::string read_file(const std::string& path, uint64_t max_bytes = 1u << 30);

/// Writes `path` completely or not at all (see above). Throws IoError naming path, bytes wanted and the cause.
void write_file_atomic(const std::string& path, std::string_view content);

/// A new file written piece by piece; takes its final name only in commit(). Without commit() nothing is left.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  uint64_t written() const { return written_; }
  void commit();

 private:
  std::string path_, temporary_;
  int fd_ = -1;
  uint64_t written_ = 0;
};

/// An append-only text file; each line is one write(2), flushed to the kernel at once. sync() does fsync.
class LineWriter {
 public:
  LineWriter(const std::string& path, bool truncate);
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;
  void line(std::string_view text);
  void sync();

 private:
  std::string path_;
  int fd_ = -1;
};

void sync_folder(const std::string& folder);
/// fsync of an existing file by name.
void sync_file(const std::string& path);
/// Free bytes of the file system that holds `path` (or its nearest existing parent).
uint64_t free_disk_bytes(const std::string& path);
/// True when a file can be created in `folder`; else `why` says why not.
bool folder_is_writable(const std::string& folder, std::string& why);
/// $XDG_DATA_HOME/lorikeet or ~/.local/share/lorikeet; likewise the cache folder (models).
std::string user_data_folder();
std::string user_cache_folder();

/// Lower-case hex SHA-256.
std::string sha256_of_bytes(std::span<const std::byte> bytes);
std::string sha256_of_text(std::string_view text);
std::string sha256_of_file(const std::string& path);

/// An exclusive lock held by this process on `<folder>/.lock` (flock: a killed holder frees it). The file names the
/// holder. Throws RunError saying who holds it.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  static bool is_held(const std::string& folder);

 private:
  int fd_ = -1;
};

}  // namespace lorikeet
