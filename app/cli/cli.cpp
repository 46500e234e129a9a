#include "app/cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <thread>

#include <fmt/format.h>

#include "app/backends.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "core/run/detail/run_setup.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet::cli {
namespace {

constexpr double kLineEvery = 3;  // seconds between progress lines when stderr is no terminal

std::stop_source& stop_source() {
  static std::stop_source source;
  return source;
}
int signal_pipe[2] = {-1, -1};

// Only what is allowed in a handler: one byte into the pipe; the watcher thread does the rest.
void on_signal(int) {
  const char byte = 1;
  [[maybe_unused]] const ssize_t n = ::write(signal_pipe[1], &byte, 1);
}

void watch_signals() {
  char byte;
  int seen = 0;
  while (::read(signal_pipe[0], &byte, 1) == 1) {
    if (++seen > 1) ::_exit(kExitInterrupted);
    std::fputs("\nlorikeet: stopping, saving what is done (again: stop at once)\n", stderr);
    stop_source().request_stop();
  }
}

std::string bar(double share) {
  constexpr int kWidth = 24;
  const int filled = static_cast<int>(share * kWidth + 0.5);
  std::string out;
  for (int i = 0; i < kWidth; ++i) out += i < filled ? "#" : ".";
  return out;
}

}  // namespace

void install_signal_handlers() {
  if (::pipe2(signal_pipe, O_CLOEXEC) != 0) return;
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error to report, not a reason to die
  std::thread(watch_signals).detach();
}

std::stop_token Cli::stop() const { return stop_source().get_token(); }

void Cli::print(const Json& result, const std::string& text) const {
  end_progress();
  const std::string out = common.json ? dump_json(result, 2) + "\n" : text;
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0)
    throw IoError("stdout", "the result could not be written to stdout");
}

void Cli::note(const std::string& text) const {
  if (common.quiet) return;
  end_progress();
  std::fprintf(stderr, "%s\n", text.c_str());
}

namespace {
double last_line = -1e9;
bool bar_open = false;
}  // namespace

void Cli::progress(const std::string& what, double done, double total, const std::string& extra) const {
  if (common.quiet) return;
  const double share = total > 0 ? std::min(1.0, done / total) : 0;
  const double now = monotonic_seconds();
  if (::isatty(2)) {
    if (now - last_line < 0.1 && share < 1) return;
    std::fprintf(stderr, "\r\033[K%s [%s] %3.0f %% %s", what.c_str(), bar(share).c_str(), share * 100, extra.c_str());
    bar_open = true;
  } else {
    if (now - last_line < kLineEvery && share < 1) return;
    if (total > 0) std::fprintf(stderr, "%s %.0f %% %s\n", what.c_str(), share * 100, extra.c_str());
    else std::fprintf(stderr, "%s %s\n", what.c_str(), extra.c_str());
  }
  std::fflush(stderr);
  last_line = now;
}

void Cli::end_progress() const {
  if (!bar_open) return;
  std::fputs("\n", stderr);
  bar_open = false;
}

int Cli::run_job(Job& job, const std::function<void(JobEvents&)>& more) const {
  JobEvents events;
  events.on_progress = [this](const Progress& p) { progress(p.what, p.done, p.total); };
  if (more) more(events);
  const JobOutcome outcome = job.run(stop(), events);
  end_progress();
  return outcome == JobOutcome::finished ? kExitDone : kExitInterrupted;
}

namespace {

/// A GPU that was asked for is there and can be used, or the reason is said.
void check_gpu(const std::string& device) {
  const Json information = gpu_information();
  const std::string reason = information.value("reason", "");
  if (!reason.empty()) throw UnsupportedError("--device " + device + ": " + reason + "; use --device cpu");
  if (const std::string problem = detail::device_problem(device); !problem.empty()) throw UnsupportedError("--device " + device + ": " + problem + "; use --device cpu or auto");
}

}  // namespace

void Cli::check_common() const {
  if (!common.cpu_level.empty()) {
    const auto level = cpu_level_from_name(common.cpu_level);
    if (!level) throw UsageError("--cpu-level " + printable(common.cpu_level) + ": known are scalar, avx2, avx512, amx");
    force_cpu_level(level);
  }
  (void)cpu_level();  // an impossible LORIKEET_CPU_LEVEL is told now
  if (common.threads < 0 || common.threads > 4096) throw UsageError(fmt::format("--threads {}: 0 (decide) to 4096", common.threads));
  const std::string& d = common.device;
  const auto number = d.starts_with("cuda:") ? parse_int(d.substr(5)) : std::nullopt;
  const bool cuda = d == "cuda" || (number && *number >= 0 && *number < 1024);
  if (!cuda && d != "auto" && d != "cpu") throw UsageError("--device " + printable(d) + ": known are auto, cpu, cuda, cuda:N");
  if (cuda) check_gpu(d);
  if (common.compute != "auto" && !compute_type_from_name(common.compute)) throw UsageError("--compute " + printable(common.compute) + ": known are auto, f32, bf16, f16 (GPU only)");
}

void Cli::apply_common(RunConfig& config, std::vector<std::string>* given) const {
  const auto set = [&](const char* key, const Json& value) {
    set_field(config, key, value);
    if (given) given->push_back(key);
  };
  if (common.device != "auto") set("device.kind", common.device);
  if (common.compute != "auto") set("device.compute", common.compute);
  if (common.threads != 0) set("device.threads", common.threads);
  Cli effective = *this;
  effective.common.device = config.device.kind;
  effective.common.compute = config.device.compute;
  effective.common.threads = config.device.threads;
  effective.check_common();
}

void ConfigArguments::add_to(CLI::App& command, bool with_file) {
  if (with_file) command.add_option("config", file, "RunConfig as JSON, nested by section");
  command.add_option("--set", sets, "a setting, key=value; may be repeated")->allow_extra_args(false);
}

RunConfig ConfigArguments::resolve(const Cli& cli, std::vector<std::string>* given) const {
  RunConfig config;
  if (!file.empty()) config = read_config_file(file, given);
  for (const auto& s : sets) apply_set(config, s, given);
  cli.apply_common(config, given);
  return config;
}

int report_error(const Error& e, bool json) {
  if (bar_open) std::fputs("\n", stderr);
  bar_open = false;
  if (json) {
    const Json error = {{"error", {{"kind", e.kind()}, {"message", e.what()}, {"file", e.file()}, {"where", e.where()}}}};
    std::printf("%s\n", dump_json(error, 2).c_str());
    std::fflush(stdout);
  }
  std::fprintf(stderr, "lorikeet: %s\n", e.what());
  return e.exit_code();
}

std::vector<int32_t> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  for (const auto& piece : split(text, ',')) {
    const auto v = parse_int(trim(piece));
    if (!v || *v < INT32_MIN || *v > INT32_MAX) throw UsageError("--ids: \"" + printable(piece, 40) + "\" is no token id; write ids as 1,2,3");
    ids.push_back(static_cast<int32_t>(*v));
  }
  return ids;
}

}  // namespace lorikeet::cli
