#include "core/base/scratch_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

constexpr uintptr_t kPage = 4096;

/// Open while the mapping is made; the mapping keeps the file alive after that.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

int reserve(int fd, uint64_t bytes) {
  int error = EINTR;
  while (error == EINTR) error = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  return error;
}

}  // namespace

ScratchFile::ScratchFile(const std::string& folder, uint64_t bytes) : bytes_(std::max<uint64_t>(bytes, 1)) {
  const auto refuse = [&](int error) {
    throw IoError(folder, fmt::format("{}: a file of {} could not be set up there ({} free): {}", printable(folder, 180), human_bytes(bytes),
                                      human_bytes(free_disk_bytes(folder)), std::strerror(error)));
  };
  std::string name = folder + "/.scratch-XXXXXX";
  const Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (file.get() < 0) refuse(errno);
  ::unlink(name.c_str());  // nothing is left of it, however the process ends
  if (const int error = reserve(file.get(), bytes_)) refuse(error);
  void* at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (at == MAP_FAILED) refuse(errno);
  data_ = at;
}

ScratchFile::~ScratchFile() { ::munmap(data_, bytes_); }

bool is_kept_in_memory(const std::string& path) {
  constexpr uint64_t kTmpfs = 0x01021994, kRamfs = 0x858458f6;
  std::error_code none;
  fs::path at = fs::absolute(path, none);
  while (!at.empty() && !fs::exists(at, none) && at != at.parent_path()) at = at.parent_path();
  struct statfs s{};
  if (::statfs(at.c_str(), &s) != 0) return false;
  const auto type = static_cast<uint64_t>(s.f_type) & 0xffffffffu;
  return type == kTmpfs || type == kRamfs;
}

void ScratchFile::expect(const void* begin, size_t bytes) const { advise(begin, bytes, MADV_WILLNEED); }
void ScratchFile::rest(const void* begin, size_t bytes) const { advise(begin, bytes, MADV_DONTNEED); }

void ScratchFile::advise(const void* begin, size_t bytes, int advice) const {
  const auto from = reinterpret_cast<uintptr_t>(begin) / kPage * kPage, to = reinterpret_cast<uintptr_t>(begin) + bytes;
  ::madvise(reinterpret_cast<void*>(from), to - from, advice);  // advice only: nothing depends on it being taken
}

}  // namespace lorikeet
