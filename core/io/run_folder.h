/// The run folder of interface.md section 4 is the truth about a run. One writer at a time (FolderLock).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

/// What a checkpoint holds besides run.json: enough to continue byte for byte.
struct CheckpointState {
  int64_t step = 0;          // optimizer steps done
  Json trainer;              // counters: epoch, position, tokens, best evaluation, metrics bytes...
  std::vector<std::pair<std::string, Tensor>> parameters, optimizer;
};
class RunFolder {
 public:
  /// Makes a new run folder (must not exist or be empty; RunError otherwise says what is in it) and takes the lock.
  static std::unique_ptr<RunFolder> create(const std::string& path);
  /// Opens an existing one for continuing and takes the lock. InputError when it is no run folder.
  static std::unique_ptr<RunFolder> open(const std::string& path);
  const std::string& path() const { return path_; }
  Json read_run_json() const;
  void write_run_json(const Json& j);   // atomic
  void write_plan_json(const Json& j);  // atomic
  /// Metrics: append-only; truncate_metrics cuts what came after a checkpoint before continuing.
  void append_metrics(const Json& line);
  uint64_t metrics_bytes() const;
  void truncate_metrics(uint64_t bytes);
  void append_log(const std::string& line);
  /// checkpoints/step-N.tmp -> files + fsync -> manifest.json with sizes and sha256 -> rename -> fsync of the parent;
  /// read back and verified before older ones are removed (keep >= 1).
  void save_checkpoint(const CheckpointState& state, int64_t keep);
  /// The newest checkpoint whose manifest and hashes hold; damaged ones are skipped with a log line.
  std::optional<CheckpointState> newest_checkpoint() const;
  static bool is_run_folder(const std::string& path);

 private:
  explicit RunFolder(std::string path);
  std::string path_;
  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<LineWriter> metrics_, log_;
};

/// One run for tables and Home; reading never locks.
struct RunSummary {
  std::string path, name, state, model, data, device, version;
  double started = 0, ended = 0, final_loss = 0, best_eval_loss = 0;  // NaN when unknown
  int64_t step = 0, total_steps = 0;
  bool can_continue = false;  // interrupted or cancelled, with a checkpoint, and nobody holds it
  bool running = false;       // its lock is held
  std::vector<float> spark;   // up to 64 smoothed losses
};
std::optional<RunSummary> summarise_run(const std::string& path);
std::vector<RunSummary> list_runs(const std::string& folder);  // newest first
/// Lines of metrics.jsonl from byte `from` on, complete lines only; `from` moves behind them.
std::vector<Json> read_metrics(const std::string& run, uint64_t& from);

}  // namespace lorikeet
