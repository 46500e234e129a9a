// lorikeet sample: the sample project from start to adapter, with the held-out score before and after.
#include <memory>

#include <fmt/format.h>

#include "app/cli/cli.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "core/run/chat.h"
#include "core/run/queries.h"

namespace lorikeet::cli {
namespace {

constexpr int64_t kAnswersAtOnce = 16;

struct Arguments {
  std::string out;
  std::vector<std::string> sets;
  int64_t limit = 0;
  bool no_before = false;
};

ExactMatch measured(const Cli& cli, const std::string& adapter, const std::string& model, const RunConfig& config, const std::string& heldout, int64_t limit) {
  ChatModel chat({.model = model, .adapter = adapter, .quant = config.quantization.format, .threads = config.device.threads, .compute = config.device.compute, .device = config.device.kind}, cli.stop());
  const auto match = measure_exact_match(chat, heldout, limit, kAnswersAtOnce, cli.stop(), [&](int64_t done, int64_t total) {
    cli.progress(adapter.empty() ? "held-out answers of the base model" : "held-out answers of the tuned model", static_cast<double>(done), static_cast<double>(total));
  });
  cli.end_progress();
  return match;
}

Json match_json(const ExactMatch& m) {
  return {{"exact", m.exact}, {"total", m.total}, {"share", m.total > 0 ? static_cast<double>(m.exact) / static_cast<double>(m.total) : 0}};
}

void show(const Cli& cli, const char* when, const ExactMatch& m) {
  cli.note(fmt::format("{}: {} of {} held-out sentences exactly right ({:.0f} %)", when, m.exact, m.total,
                       m.total > 0 ? 100.0 * static_cast<double>(m.exact) / static_cast<double>(m.total) : 0.0));
}

int sample(const Cli& cli, const Arguments& a) {
  RunConfig config = sample_project_config();
  for (const auto& s : a.sets) apply_set(config, s);
  cli.apply_common(config, nullptr);
  const std::string heldout = resources_folder() + "/sample/appointments_heldout.jsonl";
  Json result;
  if (!a.no_before) {
    const ExactMatch before = measured(cli, "", config.model.path, config, heldout, a.limit);
    show(cli, "before training", before);
    result["before"] = match_json(before);
  }
  const auto job = make_train_job(config, {}, a.out);
  const double began = monotonic_seconds();
  const int code = cli.run_job(*job, [&](JobEvents& events) {
    events.on_started = [&cli](const std::string& folder) { cli.note("run folder " + folder); };
    events.on_step = [&cli](const StepReport& r) {
      cli.progress(fmt::format("step {}/{}", r.step, r.total_steps), static_cast<double>(r.step), static_cast<double>(r.total_steps),
                   fmt::format("loss {:.4f}  {:.0f} tok/s  {} left", r.loss, r.tokens_per_s, human_seconds(r.seconds_left)));
    };
    events.on_eval = [&cli](const EvalReport& r) { cli.note(fmt::format("step {}: evaluation loss {:.4f}", r.step, r.eval_loss)); };
  });
  const double train_seconds = monotonic_seconds() - began;
  result["train"] = job->result();
  result["train_seconds"] = train_seconds;
  if (code != kExitDone) {
    cli.print(result, "stopped; continue with: lorikeet resume " + result["train"].value("run", "") + "\n");
    return code;
  }
  const std::string run = result["train"].value("run", "");
  const ExactMatch after = measured(cli, run, config.model.path, config, heldout, a.limit);
  show(cli, "after training", after);
  result["after"] = match_json(after);
  result["adapter"] = run + "/adapter";
  std::string text = fmt::format("trained in {}; held-out exact match ", human_seconds(train_seconds));
  if (result.contains("before")) text += fmt::format("{:.0f} % before, ", result["before"]["share"].get<double>() * 100);
  text += fmt::format("{:.0f} % after\nadapter (PEFT): {}/adapter\ntry it: lorikeet generate --adapter {} --chat\n", result["after"]["share"].get<double>() * 100, run, run);
  cli.print(result, text);
  return kExitDone;
}

}  // namespace

void add_sample(CLI::App& app, Cli& cli) {
  auto* c = app.add_subcommand("sample", "trains the sample project and shows the held-out score before and after");
  c->footer("\nExamples:\n  lorikeet sample\n  lorikeet sample --out my-first-run --json");
  auto a = std::make_shared<Arguments>();
  c->add_option("--out", a->out, "the run folder (new or empty)");
  c->add_option("--set", a->sets, "a setting, key=value; may be repeated")->allow_extra_args(false);
  c->add_option("--limit", a->limit, "held-out sentences to ask, 0: all")->check(CLI::NonNegativeNumber);
  c->add_flag("--no-before", a->no_before, "do not ask the base model first");
  c->callback([&cli, a] { cli.action = [&cli, a] { return sample(cli, *a); }; });
}

}  // namespace lorikeet::cli
