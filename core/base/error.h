/// The errors of the program. Throw where the fault is found; catch at three places only: JobRunner, CLI main, tests.
/// A message says what failed, where (file, line, field or byte), what was found and what to do, in one or two lines.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace lorikeet {

/// The exit codes of the contract.
enum ExitCode : int { kExitDone = 0, kExitFailed = 1, kExitUsage = 2, kExitRefused = 3, kExitInterrupted = 130 };

/// Base of all errors. `kind` is the word shown in JSON output, `file` and `where` may be empty.
class Error : public std::runtime_error {
 public:
  Error(std::string kind, int exit_code, const std::string& message, std::string file = {}, std::string where = {})
      : std::runtime_error(message), kind_(std::move(kind)), file_(std::move(file)), where_(std::move(where)),
        exit_code_(exit_code) {}
  const std::string& kind() const { return kind_; }
  const std::string& file() const { return file_; }
  const std::string& where() const { return where_; }
  int exit_code() const { return exit_code_; }

 private:
  std::string kind_, file_, where_;
  int exit_code_;
};

/// The command line was wrong (exit 2).
struct UsageError : Error {
  explicit UsageError(const std::string& message) : Error("usage", kExitUsage, message) {}
};
/// A setting is unknown, out of range or contradicts another (exit 2). `key` is the dotted RunConfig key, `file` the
/// configuration it stands in, if it stands in one.
struct ConfigError : Error {
  ConfigError(const std::string& key, const std::string& message, const std::string& file = {})
      : Error("config", kExitUsage, message, file, key) {}
};
/// An input file was refused (exit 3). `where` is "line 12", "byte 48", "field x", "tensor y"... The text becomes
/// "<file>: <where>: <message>" with control characters made visible.
struct InputError : Error {
  InputError(const std::string& file, const std::string& where, const std::string& message);
};
/// Reading or writing failed although the input was fine: disk full, permission, vanished folder (exit 1).
struct IoError : Error {
  IoError(const std::string& file, const std::string& message) : Error("io", kExitFailed, message, file) {}
};
/// Something failed while working (exit 1).
struct RunError : Error {
  explicit RunError(const std::string& message) : Error("run", kExitFailed, message) {}
};
/// Shapes given to an op do not fit together (a mistake of ours, exit 1).
struct ShapeError : Error {
  explicit ShapeError(const std::string& message) : Error("shape", kExitFailed, message) {}
};
/// A dtype an op does not take (a mistake of ours, exit 1).
struct DTypeError : Error {
  explicit DTypeError(const std::string& message) : Error("dtype", kExitFailed, message) {}
};
/// Asked for something this build, device or version does not offer (exit 2).
struct UnsupportedError : Error {
  explicit UnsupportedError(const std::string& message) : Error("unsupported", kExitUsage, message) {}
};
struct OutOfMemoryError : Error {
  OutOfMemoryError(const std::string& message, uint64_t asked, uint64_t free)
      : Error("out_of_memory", kExitFailed, message), asked_bytes(asked), free_bytes(free) {}
  uint64_t asked_bytes, free_bytes;
};
/// The graphics card, or its driver, gave the program's work up; nothing more can be computed on it until the program is
/// started again (exit 1).
struct DeviceLostError : Error {
  explicit DeviceLostError(const std::string& message) : Error("device_lost", kExitFailed, message) {}
};
/// The work was cancelled (SIGINT, Stop); what was done is saved (exit 130).
struct Interrupted : Error {
  explicit Interrupted(const std::string& message) : Error("interrupted", kExitInterrupted, message) {}
};

}  // namespace lorikeet
