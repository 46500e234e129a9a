// Questions about runs that exist, answered from their folders alone.
#include <cmath>

#include "core/base/files.h"
#include "core/io/run_folder.h"
#include "core/run/queries.h"

namespace lorikeet {
namespace {

Json number_or_null(double v) { return std::isfinite(v) ? Json(v) : Json(); }

}  // namespace

std::string default_runs_folder() { return user_data_folder() + "/runs"; }

Json list_runs_json(const std::string& folder) {
  Json runs = Json::array();
  for (const RunSummary& s : list_runs(folder.empty() ? default_runs_folder() : folder))
    runs.push_back({{"path", s.path},
                    {"name", s.name},
                    {"state", s.state},
                    {"model", s.model},
                    {"data", s.data},
                    {"device", s.device},
                    {"version", s.version},
                    {"started", s.started},
                    {"ended", s.ended},
                    {"step", s.step},
                    {"total_steps", s.total_steps},
                    {"final_loss", number_or_null(s.final_loss)},
                    {"best_eval_loss", number_or_null(s.best_eval_loss)},
                    {"can_continue", s.can_continue},
                    {"running", s.running},
                    {"spark", s.spark}});
  return {{"runs", runs}};
}

std::vector<Json> run_metrics(const std::string& run_folder, uint64_t& from) { return read_metrics(run_folder, from); }

Json run_information(const std::string& run_folder) { return read_json_file(run_folder + "/run.json", 16u << 20); }

}  // namespace lorikeet
