/// The planner: memory, time and disk of a run before it starts, by part, from headers and counts only (no weights
/// read), and the findings a form shows. Same code for the form, `plan` and the trainer's choice of policy.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/config/run_config.h"
#include "core/run/cards.h"

namespace lorikeet {

struct Finding {
  std::string severity;  // error | warning | note
  std::string key;       // dotted RunConfig key the finding belongs to, or empty
  std::string text;      // one or two sentences with figures
  std::string fix_label; // "Train on the file as it is", or empty
  std::string fix_key;   // setting that would mend it, with value
  Json fix_value;
};
/// Memory. `optimizer` is 0 where its state is paged: then Plan::paged_bytes of disk hold it.
struct PlanBytes { uint64_t weights = 0, adapter = 0, optimizer = 0, activations = 0, scratch = 0, total = 0; };
/// What trial steps took: `tokens_per_s` and `step_ms` of the last one, the most resident bytes of the process.
struct PlanProbe { int64_t steps = 0; double tokens_per_s = 0, step_ms = 0; uint64_t peak_bytes = 0; };
struct Plan {
  PlanBytes bytes;                 // host memory on a CPU run, else of the device: without what of the weights stays on the host
  uint64_t available_bytes = 0;
  bool fits = true;
  std::string policy;              // the checkpointing policy chosen
  bool expanded = false;           // weights are kept as bf16 panels too: decoding them would be a large part of a step
  double seconds = 0;              // 0 = not known yet
  bool seconds_measured = false;
  double timed_tokens = 0;         // what `seconds` are for: tokens of training, and those evaluated as a third
  PlanProbe probe;                 // steps 0: none were made
  uint64_t disk_bytes = 0, disk_free_bytes = 0, download_bytes = 0;
  uint64_t paged_bytes = 0;         // of disk_bytes: the mapped file of a paged optimizer, gone after the run
  int64_t steps = 0, total_tokens = 0, target_tokens = 0, samples = 0, longest = 0, truncated = 0, rows = 0;
  double fill = 0;  // share of the places of the first epoch's rows (data.max_length each) that hold a token
  int64_t trainable_parameters = 0, model_parameters = 0;
  double bits_per_weight = 0;
  std::string device, model_text, data_text;  // one line each for cards
  std::vector<Finding> findings;
};
/// Keeps what is slow (model header, token counts of the data) between calls, so that each edit costs milliseconds.
/// plan() never throws for a bad config: it becomes a finding of severity error. prepare() may take seconds: call it
/// off the GUI thread; plan() with unprepared data gives what is known and says so in a note.
class Planner {
 public:
  Planner();
  ~Planner();
  void prepare(const RunConfig& config);
  bool is_prepared(const RunConfig& config) const;
  /// Throws what prepare() met (a missing model, data that cannot be used), with its exit code.
  void check() const;
  /// `card`: as on this graphics card instead of the machine's own device.
  Plan plan(const RunConfig& config, const Card* card = nullptr) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};
/// Takes the result of a probe job into a plan: its time, and whether it fits, are then what was measured.
void correct_plan(Plan& plan, const Json& probe);
/// What this program takes in memory without a run, for plans made from now on; at first what `lorikeet` takes. For the
/// window, whose runs live in its process.
void set_program_bytes(uint64_t bytes);
/// The JSON of `plan` in interface.md (and plan.json of a run).
Json plan_to_json(const Plan& plan);

}  // namespace lorikeet
