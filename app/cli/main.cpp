// The headless program. Errors are caught here and nowhere else; exit codes are those of core/base/error.h.
#include <algorithm>
#include <clocale>
#include <new>

#include "app/backends.h"
#include "app/cli/cli.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace {

using namespace lorikeet;

void add_common(CLI::App& app, cli::Cli& c) {
  app.add_flag("--json", c.common.json, "exactly one JSON document on stdout")->group("Common");
  app.add_flag("--quiet", c.common.quiet, "no progress on stderr")->group("Common");
  app.add_option("--device", c.common.device, "auto, cpu, cuda or cuda:N")->group("Common");
  app.add_option("--compute", c.common.compute, "auto, f32, bf16 or f16 (GPU only)")->group("Common");
  app.add_option("--threads", c.common.threads, "threads, 0: decide")->group("Common");
  app.add_option("--cpu-level", c.common.cpu_level, "force the instruction set: scalar, avx2, avx512, amx")->group("Common");
}

bool asks_for_json(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--json") return true;
  return false;
}

// CLI11 only says that a subcommand is required; a mistyped one deserves its name and the nearest known one.
std::string unknown_command(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> known;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) known.push_back(command->get_name());
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with("-")) continue;
    if (std::find(known.begin(), known.end(), word) != known.end()) return {};
    const std::string nearest = nearest_name(word, known);
    return "unknown command \"" + printable(word, 60) + "\"" + (nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?");
  }
  return {};
}

int parse_and_run(int argc, char** argv) {
  CLI::App app("Lorikeet fine-tunes language models on this machine: QLoRA without Python, without an account.", "lorikeet");
  app.set_version_flag("--version", "lorikeet " LORIKEET_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("\nExamples:\n  lorikeet train --set data.train=my.jsonl --out my-run\n  lorikeet generate --adapter my-run --prompt \"Hello\"\n"
             "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 an input file was refused, 130 interrupted.");
  cli::Cli c;
  add_common(app, c);
  cli::add_all_commands(app, c);
  if (argc == 1) {
    std::printf("%s", app.help().c_str());
    return kExitDone;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);
    const std::string unknown = unknown_command(app, argc, argv);
    return cli::report_error(UsageError((unknown.empty() ? std::string(e.what()) : unknown) + "; see lorikeet --help or lorikeet COMMAND --help"), asks_for_json(argc, argv));
  }
  LogSubscription warnings([&](const LogLine& line) {
    if (line.level >= LogLevel::warning) c.note("lorikeet: " + line.text);
  });
  return c.action();
}

}  // namespace

int main(int argc, char** argv) {
  std::setlocale(LC_ALL, "C");
  const bool json = asks_for_json(argc, argv);
  try {
    cli::install_signal_handlers();
    register_backends();
    return parse_and_run(argc, argv);
  } catch (const Error& e) {
    return cli::report_error(e, json);
  } catch (const std::bad_alloc&) {
    return cli::report_error(OutOfMemoryError("out of memory: a smaller batch, length or model is needed", 0, 0), json);
  } catch (const std::exception& e) {
    return cli::report_error(RunError(e.what()), json);
  }
}
