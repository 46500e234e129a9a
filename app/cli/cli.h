/// What every subcommand of `lorikeet` shares: the common options, printing, progress, signals, errors to exit codes.
/// To add a command: write cli/<name>.cpp with add_<name>(), declare it below, add one line to commands.cpp.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/config/run_config.h"
#include "core/run/jobs.h"

namespace lorikeet::cli {

struct CommonOptions {
  bool json = false, quiet = false;
  std::string device = "auto", compute = "auto", cpu_level;
  int64_t threads = 0;
};

class Cli {
 public:
  CommonOptions common;
  /// Set by the chosen subcommand's callback, run by main() inside the one place that catches errors.
  std::function<int()> action;

  /// The result: `text` for people, or with --json exactly one JSON document on stdout.
  void print(const Json& result, const std::string& text) const;
  /// stderr, unless --quiet.
  void note(const std::string& text) const;
  /// One line of progress: a bar that overwrites itself on a terminal, else a line every few seconds.
  void progress(const std::string& what, double done, double total, const std::string& extra = {}) const;
  void end_progress() const;
  /// Turns into "stop requested" on SIGINT and SIGTERM; a second signal ends the program at once.
  std::stop_token stop() const;
  /// Runs a job with progress on stderr; returns the exit code and leaves job.result() to the caller.
  int run_job(Job& job, const std::function<void(JobEvents&)>& more = {}) const;
  /// Device, compute type, threads of the command line onto a config (only what was given), and checks them.
  void apply_common(RunConfig& config, std::vector<std::string>* given) const;
  /// For commands without a config.
  void check_common() const;
};

/// CONFIG file, then --set in order, then the common options.
struct ConfigArguments {
  std::string file;
  std::vector<std::string> sets;
  void add_to(CLI::App& command, bool with_file = true);
  RunConfig resolve(const Cli& cli, std::vector<std::string>* given) const;
};
/// Prints an error for people on stderr and, with --json, as {"error": ...} on stdout. Returns its exit code.
int report_error(const Error& e, bool json);
/// "1,2,3" as ids; UsageError naming the piece that is no number.
std::vector<int32_t> parse_ids(const std::string& text);
void install_signal_handlers();

void add_all_commands(CLI::App& app, Cli& cli);
void add_device(CLI::App&, Cli&);
void add_inspect(CLI::App&, Cli&);
void add_tokenize(CLI::App&, Cli&);
void add_detokenize(CLI::App&, Cli&);
void add_render(CLI::App&, Cli&);
void add_data(CLI::App&, Cli&);
void add_score(CLI::App&, Cli&);
void add_plan(CLI::App&, Cli&);
void add_train(CLI::App&, Cli&);
void add_resume(CLI::App&, Cli&);
void add_generate(CLI::App&, Cli&);
void add_export(CLI::App&, Cli&);
void add_verify(CLI::App&, Cli&);
void add_quantize(CLI::App&, Cli&);
void add_fetch(CLI::App&, Cli&);
void add_runs(CLI::App&, Cli&);
void add_compare(CLI::App&, Cli&);
void add_selftest(CLI::App&, Cli&);
void add_sample(CLI::App&, Cli&);

}  // namespace lorikeet::cli
