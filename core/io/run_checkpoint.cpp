// Checkpoints of a run folder. Order of work: temporary folder -> files, each brought to the disk -> manifest.json with
// sizes and hashes -> folder brought to the disk -> rename -> parent folder brought to the disk -> everything read back
// and compared -> only then are older checkpoints removed. Whether a checkpoint is whole is proved by its manifest,
// never guessed from names or dates.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/run_folder.h"
#include "core/io/safetensors.h"
#include "core/tensor/host_arena.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

namespace lorikeet {
namespace {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
constexpr int64_t kFormatVersion = 1;
constexpr const char* kPeftParameters = "adapter/adapter_model.safetensors";
constexpr const char* kPlainParameters = "adapter.safetensors";
const std::string kNewerVersion = "it was made by a newer version of this program: ";
constexpr uint64_t kSpareBytes = 1u << 20;  // for the small files and the file system's own blocks

uint64_t bytes_of(const NamedTensors& tensors) {
  uint64_t sum = 0;
  for (const auto& [name, t] : tensors) sum += t.bytes();
  return sum;
}

template <class T>
bool all_finite(const Tensor& t) {
  const T* p = t.data<T>();
  return std::all_of(p, p + t.size(), [](T v) { return std::isfinite(v); });
}

void refuse_non_finite(const NamedTensors& tensors, int64_t step) {
  for (const auto& [name, t] : tensors) {
    const bool good = t.dtype() == DType::f32 ? all_finite<float>(t) : t.dtype() == DType::f64 ? all_finite<double>(t) : true;
    if (!good)
      throw RunError(fmt::format("the checkpoint of step {} was not written: {} holds a value that is not finite", step, name));
  }
}

/// Relative paths of all files below `folder`, sorted, manifest.json left out.
std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      if (auto name = fs::relative(entry.path(), folder).generic_string(); name != "manifest.json") out.push_back(name);
  std::sort(out.begin(), out.end());
  return out;
}

/// True when the file holds exactly these tensors, bit for bit.
bool holds_exactly(const std::string& path, const NamedTensors& tensors) {
  if (!fs::exists(path)) return false;
  const SafetensorsFile file(path);
  if (file.entries().size() != tensors.size()) return false;
  for (const auto& [name, t] : tensors) {
    const SafetensorsEntry* e = file.find(name);
    if (!e || e->shape != t.shape() || e->dtype != safetensors_dtype(t.dtype())) return false;
    const auto bytes = file.bytes(*e);
    if (bytes.size() != t.bytes() || std::memcmp(bytes.data(), t.on(DeviceType::cpu).raw(), bytes.size()) != 0) return false;
    file.mapping()->drop_pages();
  }
  return true;
}

void move_into_place(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  if (errno == ENOTEMPTY || errno == EEXIST) {
    // The same step was saved before: both names change places in one move, then the old content goes.
    if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return;
    const std::string aside = to + ".removed";
    fs::remove_all(aside);
    if (::rename(to.c_str(), aside.c_str()) == 0 && ::rename(from.c_str(), to.c_str()) == 0) return;
  }
  throw IoError(to, fmt::format("{}: could not be given its final name: {}", printable(to, 180), std::strerror(errno)));
}

void remove_checkpoint(const std::string& folder) {
  // Away from its name first, so that a half-removed checkpoint never looks like one.
  const std::string aside = folder + ".removed";
  std::error_code error;
  fs::remove_all(aside, error);
  if (::rename(folder.c_str(), aside.c_str()) == 0) fs::remove_all(aside, error);
}

std::string damage_of_file(const std::string& folder, const Json& entry) {
  const auto text = [&](const char* key) { return entry.contains(key) && entry[key].is_string() ? entry[key].get<std::string>() : ""; };
  const std::string name = text("path"), hash = text("sha256");
  if (name.empty() || name.front() == '/' || name.find("..") != std::string::npos || hash.size() != 64 ||
      !entry.contains("bytes") || !entry["bytes"].is_number_unsigned())
    return "its manifest.json has an entry without path, bytes or sha256";
  const std::string path = folder + "/" + name;
  std::error_code error;
  const uint64_t present = fs::file_size(path, error);
  if (error) return name + " is missing";
  if (const uint64_t wanted = entry["bytes"].get<uint64_t>(); present != wanted)
    return fmt::format("{} has {} bytes instead of {}", name, present, wanted);
  if (sha256_of_file(path) != hash) return name + " has changed (its sha256 is another one)";
  return {};
}

NamedTensors tensors_of(const std::string& path) {
  const SafetensorsFile file(path);
  NamedTensors out;
  for (const auto& e : file.entries()) out.emplace_back(e.name, file.tensor(e));
  return out;
}

CheckpointState load_checkpoint(const std::string& folder) {
  const Json j = read_json_file(folder + "/state.json", 64u << 20);
  if (!j.is_object() || !j.contains("step") || !j["step"].is_number_integer() || !j.contains("trainer"))
    throw InputError(folder + "/state.json", "", "has no step or trainer");
  CheckpointState state;
  state.step = j["step"].get<int64_t>();
  state.trainer = j["trainer"];
  const std::string plain = folder + "/" + kPlainParameters;
  state.parameters = tensors_of(fs::exists(plain) ? plain : folder + "/" + kPeftParameters);
  state.optimizer = tensors_of(folder + "/optimizer.safetensors");
  return state;
}

}  // namespace

std::string RunFolder::checkpoint_path(const std::string& run, int64_t step) {
  return fmt::format("{}/checkpoints/step-{}", run, step);
}

std::vector<int64_t> RunFolder::checkpoint_steps(const std::string& run) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (fs::directory_iterator it(run + "/checkpoints", error), end; !error && it != end; it.increment(error)) {
    const auto name = it->path().filename().string();
    if (name.rfind("step-", 0) != 0) continue;
    const auto step = parse_int(std::string_view(name).substr(5));
    if (step && *step >= 0 && fs::exists(it->path() / "manifest.json")) steps.push_back(*step);
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

std::string RunFolder::checkpoint_damage(const std::string& folder) {
  try {
    const Json j = read_json_file(folder + "/manifest.json", 16u << 20);
    if (!j.is_object() || !j.contains("files") || !j["files"].is_array()) return "its manifest.json lists no files";
    const Json version = j.value("format_version", Json());
    if (!version.is_number_integer() || version.get<int64_t>() > kFormatVersion)
      return kNewerVersion + printable(dump_json(j.value("program_version", Json())));
    std::set<std::string> names;
    for (const auto& entry : j["files"]) {
      if (!entry.is_object()) return "its manifest.json has an entry that is no object";
      if (auto damage = damage_of_file(folder, entry); !damage.empty()) return damage;
      names.insert(entry["path"].get<std::string>());
    }
    for (const char* needed : {"state.json", "optimizer.safetensors"})
      if (!names.contains(needed)) return fmt::format("its manifest.json does not list {}", needed);
    if (!names.contains(kPlainParameters) && !names.contains(kPeftParameters)) return "its manifest.json lists no parameters";
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

void RunFolder::save_checkpoint(const CheckpointState& state, int64_t keep,
                                const std::function<void(const std::string& folder)>& write_more) {
  refuse_non_finite(state.parameters, state.step);
  refuse_non_finite(state.optimizer, state.step);
  const std::string parent = path_ + "/checkpoints", folder = checkpoint_path(path_, state.step), temporary = folder + ".tmp";
  const uint64_t needed = bytes_of(state.parameters) + bytes_of(state.optimizer) + kSpareBytes;
  if (const uint64_t free = free_disk_bytes(path_); free < needed) {
    const auto older = checkpoint_steps(path_);
    throw IoError(parent, fmt::format("{}: the checkpoint of step {} needs {} bytes, {} are free on this disk; {}", printable(parent, 180),
                                      state.step, needed, free,
                                      older.empty() ? "nothing was written" : fmt::format("the one of step {} is intact", older.front())));
  }
  struct RemoveUnlessDone {  // nothing half-written stays behind when a write fails
    std::string folder;
    ~RemoveUnlessDone() { std::error_code e; fs::remove_all(folder, e); }
  } cleanup{temporary};
  try {
    fs::remove_all(temporary);
    fs::create_directories(temporary);
    std::vector<std::pair<std::string, std::string>> known;  // hashes taken from memory while writing
    known.emplace_back("optimizer.safetensors", write_safetensors(temporary + "/optimizer.safetensors", state.optimizer));
    if (!holds_exactly(temporary + "/optimizer.safetensors", state.optimizer))
      throw IoError(temporary, fmt::format("{}: the optimizer state reads back differently from what was written", printable(temporary, 180)));
    if (write_more) write_more(temporary);
    arena_trim();  // copies made for writing must not stand beside the files read back
    if (!holds_exactly(temporary + "/" + kPeftParameters, state.parameters))
      known.emplace_back(kPlainParameters, write_safetensors(temporary + "/" + kPlainParameters, state.parameters));
    write_file_atomic(temporary + "/state.json",
                      dump_json({{"format_version", kFormatVersion}, {"step", state.step}, {"trainer", state.trainer}}, 2) + "\n");
    Json files = Json::array();
    for (const auto& name : files_below(temporary)) {
      const auto written = std::find_if(known.begin(), known.end(), [&](const auto& k) { return k.first == name; });
      const std::string path = temporary + "/" + name;
      files.push_back({{"path", name}, {"bytes", static_cast<uint64_t>(fs::file_size(path))},
                       {"sha256", written != known.end() ? written->second : sha256_of_file(path)}});
    }
    if (metrics_) metrics_->sync();  // the lines this checkpoint counts on must not be younger than it
    write_file_atomic(temporary + "/manifest.json",
                      dump_json({{"format_version", kFormatVersion}, {"program_version", LORIKEET_VERSION}, {"step", state.step}, {"files", files}}, 2) + "\n");
    sync_folder(temporary);
    move_into_place(temporary, folder);
    sync_folder(parent);
  } catch (const fs::filesystem_error& e) {
    throw IoError(parent, fmt::format("{}: the checkpoint of step {} could not be written: {}", printable(parent, 180), state.step, e.code().message()));
  }
  if (auto damage = checkpoint_damage(folder); !damage.empty()) {
    remove_checkpoint(folder);
    throw IoError(folder, fmt::format("{}: was written but reads back differently: {}; older checkpoints are kept", printable(folder, 180), damage));
  }
  // Higher steps can only be damaged ones that a continued run left behind: a whole one would have been continued from.
  int64_t kept = 0;
  for (const int64_t step : checkpoint_steps(path_)) {
    if (step <= state.step && kept < std::max<int64_t>(keep, 1)) { ++kept; continue; }
    remove_checkpoint(checkpoint_path(path_, step));
  }
}

std::optional<CheckpointState> RunFolder::newest_checkpoint() const {
  for (const int64_t step : checkpoint_steps(path_)) {
    const std::string folder = checkpoint_path(path_, step);
    std::string damage = checkpoint_damage(folder);
    if (damage.rfind(kNewerVersion, 0) == 0)  // going back to an older checkpoint would throw its work away
      throw RunError(fmt::format("{}: {}; this is version {}. Nothing was changed", printable(folder, 180), damage, LORIKEET_VERSION));
    if (damage.empty()) {
      try {
        return load_checkpoint(folder);
      } catch (const InputError& e) {
        damage = e.what();
      }
    }
    append_log(fmt::format("checkpoint step-{} is damaged and was skipped: {}", step, damage));
  }
  return std::nullopt;
}

}  // namespace lorikeet
