// rename(2) cannot replace a folder that is not empty, so an existing one is exchanged by renameat2.
#include "core/io/folder_swap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw IoError(
      path, printable(path, 180) + ": " + what + ": " + (errno == ENOSPC ? "the disk is full" : std::strerror(errno)));
}

std::string parent_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

FolderSwap::FolderSwap(const std::string& target) : target_(without_slash(target)) {
  static std::atomic<unsigned> counter{0};
  struct stat info {};
  if (::lstat(target_.c_str(), &info) == 0 && !S_ISDIR(info.st_mode))
    throw RunError(printable(target_, 180) + ": is a " + (S_ISLNK(info.st_mode) ? "link" : "file") +
                   ", a folder is to be written there");
  temporary_ = target_ + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  if (::mkdir(temporary_.c_str(), 0755) != 0) {
    const std::string path = temporary_;
    temporary_.clear();
    fail(path, "cannot be created");
  }
}

FolderSwap::~FolderSwap() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void FolderSwap::commit() {
  sync_folder(temporary_);
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) == 0) {
    temporary_.clear();
    sync_folder(parent_of(target_));
    return;
  }
  if (errno != EEXIST && errno != ENOTEMPTY && errno != EINVAL) fail(target_, "could not be given its final name");
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) != 0) {
    // File systems without the exchange: two steps, the old folder stays complete until the new one is.
    const std::string old = temporary_ + ".old";
    if (::rename(target_.c_str(), old.c_str()) != 0 && errno != ENOENT) fail(target_, "could not be moved away");
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
      const int error = errno;
      if (::rename(old.c_str(), target_.c_str()) != 0) errno = error;
      errno = error;
      fail(target_, "could not be given its final name");
    }
    temporary_ = old;
  }
  // temporary_ now names what was there before.
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(temporary_, ignored)) {
    const fs::path kept = fs::path(target_) / entry.path().filename();
    if (!fs::exists(fs::symlink_status(kept, ignored))) fs::rename(entry.path(), kept, ignored);
  }
  sync_folder(parent_of(target_));
}

}  // namespace lorikeet
