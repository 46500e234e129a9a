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
/// On disk: optimizer.safetensors, state.json, the parameters (adapter/adapter_model.safetensors of a PEFT folder where
/// the caller writes one, else adapter.safetensors) and manifest.json with size and sha256 of every file, written last.
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
  void append_log(const std::string& line) const;  // with the time in front
  /// checkpoints/step-N.tmp -> files + fsync -> manifest.json with sizes and sha256 -> rename -> fsync of the parent;
  /// read back and verified before older ones are removed (keep >= 1; the one just written is never removed).
  /// `write_more` may put further files into the temporary folder it is given (an `adapter/` in PEFT layout); they are
  /// listed in the manifest too. A whole checkpoint of the same step is replaced in one move. Throws RunError when a
  /// value is not finite, IoError naming the bytes needed and free when the disk is too full; older checkpoints stay.
  void save_checkpoint(const CheckpointState& state, int64_t keep,
                       const std::function<void(const std::string& folder)>& write_more = {});
  /// The newest checkpoint whose manifest and hashes hold; damaged ones are skipped with a log line.
  std::optional<CheckpointState> newest_checkpoint() const;
  /// Steps that have a checkpoint folder with a manifest, newest first (hashes not checked).
  static std::vector<int64_t> checkpoint_steps(const std::string& run);
  /// "<run>/checkpoints/step-N"
  static std::string checkpoint_path(const std::string& run, int64_t step);
  /// Why a checkpoint folder cannot be used (a file missing, another size, another hash), or empty when all holds.
  static std::string checkpoint_damage(const std::string& folder);
  static bool is_run_folder(const std::string& path);

 private:
  explicit RunFolder(std::string path);
  std::string path_;
  std::unique_ptr<FolderLock> lock_;
  mutable std::unique_ptr<LineWriter> metrics_, log_;  // opened by the first line
};

/// One run for tables and Home; reading never locks.
struct RunSummary {
  std::string path, name, state, model, data, device, version;  // state: of run.json, or interrupted
  double started = 0, ended = 0, final_loss = 0, best_eval_loss = 0;  // NaN when unknown
  int64_t step = 0, total_steps = 0;
  bool can_continue = false;  // interrupted, cancelled or failed, with a checkpoint, and nobody holds it
  bool running = false;       // its lock is held
  std::vector<float> spark;   // up to 64 smoothed losses
};
std::optional<RunSummary> summarise_run(const std::string& path);
std::vector<RunSummary> list_runs(const std::string& folder);  // newest first
/// Lines of metrics.jsonl from byte `from` on, complete lines only; `from` moves behind them.
std::vector<Json> read_metrics(const std::string& run, uint64_t& from);

}  // namespace lorikeet
