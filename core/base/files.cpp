// Mapping, reading and durable writing of files. What file systems really promise decides the order of calls here:
// data to disk before the name, the name before the folder, and no second try on a descriptor whose fsync failed.
#include "core/base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

std::string cause() { return std::strerror(errno); }

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  const std::string why = errno == ENOSPC ? "the disk is full" : cause();
  throw IoError(path, fmt::format("{}: {}: {}", printable(path, 180), what, why));
}

void write_all(int fd, const char* data, size_t bytes, const std::string& path) {
  while (bytes > 0) {
    const ssize_t n = ::write(fd, data, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(path, fmt::format("could not write {} bytes", bytes));
    data += n;
    bytes -= static_cast<size_t>(n);
  }
}

void fsync_or_fail(int fd, const std::string& path) {
  if (::fsync(fd) != 0) fail(path, "could not be brought safely to the disk (fsync)");
}

/// Why an input could not be opened: what the caller named is not there or no file (refused), or the system failed.
[[noreturn]] void fail_to_open(const std::string& path) {
  for (const int refused : {ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, EACCES, EPERM, ENXIO})
    if (errno == refused) throw InputError(path, "", errno == ENOENT ? "no such file" : "cannot be opened: " + cause());
  fail(path, "cannot be opened");
}

std::string parent_of(const std::string& path) {
  const auto parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_to_open(path);
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw InputError(path, "", "is no regular file");
  }
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data_ == MAP_FAILED) {
      data_ = nullptr;
      ::close(fd);
      throw IoError(path, printable(path, 180) + ": cannot be mapped: " + cause());
    }
  }
  ::close(fd);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(data_, size_);
}

void MappedFile::drop_pages() const {
  if (data_) ::madvise(data_, size_, MADV_DONTNEED);
}

std::string read_file(const std::string& path, uint64_t max_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_to_open(path);
  struct stat info{};
  std::string out;
  if (::fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
    ::close(fd);
    throw InputError(path, "", "is a folder, a file was expected");
  }
  if (S_ISREG(info.st_mode) && static_cast<uint64_t>(info.st_size) > max_bytes) {
    ::close(fd);
    throw InputError(path, "", fmt::format("has {} bytes, at most {} are read", info.st_size, max_bytes));
  }
  if (S_ISREG(info.st_mode)) out.reserve(static_cast<size_t>(info.st_size));
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const std::string why = cause();
      ::close(fd);
      throw IoError(path, printable(path, 180) + ": cannot be read: " + why);
    }
    if (n == 0) break;
    if (out.size() + static_cast<size_t>(n) > max_bytes) {
      ::close(fd);
      throw InputError(path, "", fmt::format("has more than {} bytes", max_bytes));
    }
    out.append(buffer, static_cast<size_t>(n));
  }
  ::close(fd);
  return out;
}

void write_file_atomic(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  static std::atomic<unsigned> counter{0};
  temporary_ = fmt::format("{}.tmp-{}-{}", path, ::getpid(), counter++);
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd_ < 0) fail(path_, "cannot be created");
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  write_all(fd_, static_cast<const char*>(data), bytes, path_);
  written_ += bytes;
}

void AtomicFile::commit() {
  fsync_or_fail(fd_, path_);
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    errno = error;
    fail(path_, "could not be given its final name");
  }
  sync_folder(parent_of(path_));
}

LineWriter::LineWriter(const std::string& path, bool truncate) : path_(path) {
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (truncate ? O_TRUNC : 0), 0644);
  if (fd_ < 0) fail(path_, "cannot be opened for writing");
}

LineWriter::~LineWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void LineWriter::line(std::string_view text) {
  std::string whole(text);
  whole += '\n';
  write_all(fd_, whole.data(), whole.size(), path_);
}

void LineWriter::sync() { fsync_or_fail(fd_, path_); }

void sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail(folder, "cannot be opened");
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  errno = error;
  if (result != 0 && errno != EINVAL) fail(folder, "could not be brought safely to the disk (fsync)");
}

void sync_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(path, "cannot be opened");
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  errno = error;
  if (result != 0) fail(path, "could not be brought safely to the disk (fsync)");
}

uint64_t free_disk_bytes(const std::string& path) {
  fs::path p = fs::absolute(path.empty() ? "." : path);
  std::error_code ignored;
  while (!fs::exists(p, ignored) && p.has_parent_path() && p != p.parent_path()) p = p.parent_path();
  struct statvfs info{};
  if (::statvfs(p.c_str(), &info) != 0) return 0;
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

bool folder_is_writable(const std::string& folder, std::string& why) {
  const std::string probe = fmt::format("{}/.write-test-{}", folder, ::getpid());
  const int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    why = cause();
    return false;
  }
  ::close(fd);
  ::unlink(probe.c_str());
  return true;
}

namespace {
std::string home_folder(const char* variable, const char* below_home) {
  if (const char* set = std::getenv(variable); set && set[0] == '/') return std::string(set) + "/lorikeet";
  const char* home = std::getenv("HOME");
  return std::string(home && *home ? home : "/tmp") + "/" + below_home + "/lorikeet";
}
}  // namespace

std::string user_data_folder() { return home_folder("XDG_DATA_HOME", ".local/share"); }
std::string user_cache_folder() { return home_folder("XDG_CACHE_HOME", ".cache"); }

}  // namespace lorikeet
