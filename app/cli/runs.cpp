// lorikeet runs, compare: the table of runs, and what differs between some of them.
#include <memory>

#include <fmt/format.h>

#include "app/cli/cli.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/run/queries.h"

namespace lorikeet::cli {
namespace {

std::string number(const Json& j, const char* key) {
  return j.contains(key) && j[key].is_number() ? fmt::format("{:.4f}", j[key].get<double>()) : std::string("-");
}

RunConfig config_of(const std::string& folder, const Json& run) {
  RunConfig c;
  const std::string file = folder + "/run.json";
  if (!run.is_object() || !run.contains("config")) throw InputError(file, "field config", "is missing; this is no run of this program");
  try {
    apply_config_json(c, run["config"]);
  } catch (const ConfigError& e) {
    throw InputError(file, "field config", e.what());
  }
  return c;
}

Json compare_runs(const std::vector<std::string>& folders) {
  Json out = {{"runs", Json::array()}, {"config_diff", Json::array()}};
  std::vector<RunConfig> configs;
  for (const auto& f : folders) {
    const Json run = run_information(f);
    configs.push_back(config_of(f, run));
    Json one = {{"path", f}};
    for (const char* key : {"name", "state", "version", "device", "result"})
      if (run.contains(key)) one[key] = run[key];
    out["runs"].push_back(std::move(one));
  }
  for (const auto& field : config_fields()) {
    Json values = Json::array();
    bool differs = false;
    for (const auto& c : configs) {
      values.push_back(field_value(c, field.key));
      differs = differs || values.back() != values.front();
    }
    if (differs) out["config_diff"].push_back({{"key", std::string(field.key)}, {"values", values}});
  }
  return out;
}

}  // namespace

void add_runs(CLI::App& app, Cli& cli) {
  auto* c = app.add_subcommand("runs", "table of runs, newest first");
  c->footer("\nExamples:\n  lorikeet runs\n  lorikeet runs my-runs --json");
  auto folder = std::make_shared<std::string>();
  c->add_option("folder", *folder, "folder with runs; empty: the user's");
  c->callback([&cli, folder] {
    cli.action = [&cli, folder] {
      cli.check_common();
      std::error_code none;
      if (!folder->empty() && !fs::is_directory(*folder, none)) throw InputError(*folder, "", "no such folder; a folder that holds runs is wanted");
      const Json runs = list_runs_json(*folder).at("runs");
      std::string text;
      for (const auto& r : runs)
        text += fmt::format("{:<12} {:>6}/{:<6} loss {:<8} eval {:<8} {}\n", r.value("state", ""), r.value("step", int64_t{0}), r.value("total_steps", int64_t{0}),
                            number(r, "final_loss"), number(r, "best_eval_loss"), printable(r.value("path", ""), 300));
      cli.print({{"runs", runs}}, text.empty() ? "no runs yet\n" : text);
      return kExitDone;
    };
  });
}

void add_compare(CLI::App& app, Cli& cli) {
  auto* c = app.add_subcommand("compare", "differences of configuration and results between runs");
  c->footer("\nExamples:\n  lorikeet compare run-a run-b\n  lorikeet compare run-a run-b run-c --json");
  auto folders = std::make_shared<std::vector<std::string>>();
  c->add_option("runs", *folders, "run folders")->required()->expected(2, 100);
  c->callback([&cli, folders] {
    cli.action = [&cli, folders] {
      cli.check_common();
      const Json j = compare_runs(*folders);
      std::string text;
      for (const auto& r : j["runs"]) text += fmt::format("{:<12} {}\n", r.value("state", ""), printable(r["path"].get<std::string>(), 300));
      for (const auto& d : j["config_diff"]) text += fmt::format("{:<34} {}\n", d["key"].get<std::string>(), dump_json(d["values"]));
      cli.print(j, text);
      return kExitDone;
    };
  });
}

}  // namespace lorikeet::cli
