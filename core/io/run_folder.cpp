// The run folder: made, locked, and its small files. Checkpoints are in run_checkpoint.cpp, tables in run_summary.cpp.
// Rule: a file is either whole under its final name or not there; "not found" never means "start over".
#include "core/io/run_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/system.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

/// What may lie in a folder that counts as empty: the lock and the remains of a write that was cut off.
bool is_leftover(const std::string& name) {
  return name == ".lock" || name.rfind(".write-test-", 0) == 0 || name.find(".tmp-") != std::string::npos;
}

/// Somebody who only asks whether the folder is locked holds it for a moment: a short second look tells them from a
/// writer. Throws RunError naming the writer.
std::unique_ptr<FolderLock> take_lock(const std::string& path) {
  for (int left = 20;; --left) {
    try {
      return std::make_unique<FolderLock>(path);
    } catch (const RunError&) {
      if (left == 0) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

/// Names in a folder that are no leftovers, at most a few, sorted.
std::vector<std::string> contents_of(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    if (std::string name = it->path().filename().string(); !is_leftover(name)) names.push_back(std::move(name));
  if (error) throw IoError(path, fmt::format("{}: cannot be read: {}", printable(path, 180), error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

void refuse_when_occupied(const std::string& path) {
  const auto names = contents_of(path);
  if (names.empty()) return;
  if (RunFolder::is_run_folder(path))
    throw RunError(fmt::format("{}: holds a run already; continue it with \"lorikeet resume\", or choose another folder",
                               printable(path, 180)));
  std::vector<std::string> shown(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(names.size(), 3)));
  for (auto& s : shown) s = printable(s, 60);
  throw RunError(fmt::format("{}: is not empty (it holds {}{}); a run needs a new or an empty folder", printable(path, 180),
                             join(shown, ", "), names.size() > 3 ? ", ..." : ""));
}

/// Removes what a killed writer left: half-made or half-removed checkpoints, temporary files.
void remove_leftovers(const std::string& path) {
  std::vector<fs::path> remove;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    if (const auto name = it->path().filename().string(); name != ".lock" && is_leftover(name)) remove.push_back(it->path());
  for (fs::directory_iterator it(path + "/checkpoints", error), end; !error && it != end; it.increment(error)) {
    const auto name = it->path().filename().string();
    if (name.ends_with(".tmp") || name.ends_with(".removed")) remove.push_back(it->path());
  }
  for (const auto& p : remove) fs::remove_all(p, error);
}

}  // namespace

RunFolder::RunFolder(std::string path) : path_(std::move(path)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
}

std::unique_ptr<RunFolder> RunFolder::create(const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error)) {
    if (!fs::is_directory(path, error)) throw RunError(printable(path, 180) + ": is a file; a run needs a folder");
    if (is_run_folder(path)) take_lock(path);  // a run at work is named with its process
    refuse_when_occupied(path);
  } else if (fs::create_directories(path, error); error) {
    throw IoError(path, fmt::format("{}: the run folder cannot be made: {}", printable(path, 180), error.message()));
  }
  std::string why;
  if (!folder_is_writable(path, why))
    throw IoError(path, fmt::format("{}: nothing can be written there: {}", printable(path, 180), why));
  std::unique_ptr<RunFolder> run(new RunFolder(path));
  run->lock_ = take_lock(run->path_);
  refuse_when_occupied(path);  // again: somebody may have come between the look and the lock
  remove_leftovers(run->path_);
  return run;
}

std::unique_ptr<RunFolder> RunFolder::open(const std::string& path) {
  std::error_code none;
  if (!is_run_folder(path))
    throw InputError(path, "", fs::exists(path, none) ? "is not a run folder (it has no run.json)" : "there is no such run folder");
  std::string why;
  if (!folder_is_writable(path, why))
    throw IoError(path, fmt::format("{}: nothing can be written there: {}", printable(path, 180), why));
  std::unique_ptr<RunFolder> run(new RunFolder(path));
  run->lock_ = take_lock(run->path_);
  remove_leftovers(run->path_);
  return run;
}

bool RunFolder::is_run_folder(const std::string& path) {
  struct stat info{};
  return ::stat((path + "/run.json").c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Json RunFolder::read_run_json() const { return read_json_file(path_ + "/run.json", 16u << 20); }

void RunFolder::write_run_json(const Json& j) { write_file_atomic(path_ + "/run.json", dump_json(j, 2) + "\n"); }

void RunFolder::write_plan_json(const Json& j) { write_file_atomic(path_ + "/plan.json", dump_json(j, 2) + "\n"); }

void RunFolder::append_metrics(const Json& line) {
  if (!metrics_) metrics_ = std::make_unique<LineWriter>(path_ + "/metrics.jsonl", false);
  metrics_->line(dump_json(line));
}

uint64_t RunFolder::metrics_bytes() const {
  struct stat info{};
  return ::stat((path_ + "/metrics.jsonl").c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

void RunFolder::truncate_metrics(uint64_t bytes) {
  const uint64_t present = metrics_bytes();
  if (present < bytes) {
    append_log(fmt::format("metrics.jsonl has {} bytes, the checkpoint knew {}: some of the history is missing", present, bytes));
    return;
  }
  if (present == bytes) return;
  metrics_.reset();
  const std::string file = path_ + "/metrics.jsonl";
  if (::truncate(file.c_str(), static_cast<off_t>(bytes)) != 0)
    throw IoError(file, fmt::format("{}: cannot be cut back to the checkpoint: {}", printable(file, 300), std::strerror(errno)));
  sync_file(file);
}

void RunFolder::append_log(const std::string& line) const {
  if (!log_) log_ = std::make_unique<LineWriter>(path_ + "/log.txt", false);
  log_->line(iso_time(wall_seconds()) + "  " + line);
}

}  // namespace lorikeet
