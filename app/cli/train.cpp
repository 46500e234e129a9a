// lorikeet plan, train, resume: before, during and after an interruption of a run.
#include <memory>

#include <algorithm>

#include <fmt/format.h>

#include "app/cli/cli.h"
#include "core/base/text.h"
#include "core/io/model_files.h"
#include "core/run/detail/run_setup.h"
#include "core/run/plan.h"

namespace lorikeet::cli {
namespace {

std::string plan_text(const Plan& p) {
  const auto row = [](const char* name, uint64_t bytes) { return fmt::format("  {:<12} {:>8}\n", name, human_bytes(bytes)); };
  std::string text = p.model_text + "\n" + p.data_text + "\n" + p.device + "\n";
  text += "memory\n" + row("weights", p.bytes.weights) + row("adapter", p.bytes.adapter) + row("optimizer", p.bytes.optimizer) +
          row("activations", p.bytes.activations) + row("scratch", p.bytes.scratch);
  text += fmt::format("  {:<12} {:>8} of {} free: {}\n", "total", human_bytes(p.bytes.total), human_bytes(p.available_bytes), p.fits ? "fits" : "does not fit");
  text += fmt::format("steps {} ({} rows), checkpointing {}, time {}{}, disk {} of {} free\n", p.steps, p.rows, p.policy, human_seconds(p.seconds),
                      p.seconds_measured ? " (measured)" : " (estimated)", human_bytes(p.disk_bytes), human_bytes(p.disk_free_bytes));
  if (p.probe.steps > 0)
    text += fmt::format("{} trial steps: {:.0f} tokens/s, peak memory {} ({} planned)\n", p.probe.steps, p.probe.tokens_per_s, human_bytes(p.probe.peak_bytes), human_bytes(p.bytes.total));
  for (const auto& f : p.findings) text += fmt::format("{}: {}{}\n", f.severity, f.key.empty() ? "" : f.key + ": ", f.text);
  return text;
}

// What the files of a run are to blame for is their refusal, not a wrong setting.
[[noreturn]] void refuse(const RunConfig& c, const Finding& f) {
  if (f.key == "data.train" && !c.data.train.empty()) throw InputError(c.data.train.front(), "", f.text);
  throw ConfigError(f.key, f.key.empty() || f.text.starts_with(f.key) ? f.text : f.key + ": " + f.text);
}

// The plan, or what makes the run impossible: the same refusals, with the same exit codes, as train itself has.
Plan planned(const RunConfig& config, const std::vector<std::string>& given, const Card* card = nullptr) {
  RunConfig resolved = detail::resolve_config(config, given);
  if (card && std::find(given.begin(), given.end(), "device.compute") == given.end()) resolved.device.compute = config.device.compute;  // was decided for this machine
  Planner planner;
  planner.prepare(resolved);
  planner.check();
  if (!resolved.adapter.from.empty()) detail::check_starting_adapter(resolved, open_model(resolved.model.path)->config());
  Plan plan = planner.plan(resolved, card);
  for (const auto& f : plan.findings)
    if (f.severity == "error") refuse(resolved, f);
  return plan;
}

// Progress of a run: one line that overwrites itself on a terminal.
void report_steps(const Cli& cli, JobEvents& events) {
  events.on_started = [&cli](const std::string& folder) { cli.note("run folder " + folder); };
  events.on_step = [&cli](const StepReport& r) {
    cli.progress(fmt::format("step {}/{}", r.step, r.total_steps), static_cast<double>(r.step), static_cast<double>(r.total_steps),
                 fmt::format("loss {:.4f}  {:.0f} tok/s  {}  {} left", r.loss, r.tokens_per_s, human_bytes(r.host_bytes), human_seconds(r.seconds_left)));
  };
  events.on_eval = [&cli](const EvalReport& r) { cli.note(fmt::format("step {}: evaluation loss {:.4f} over {} tokens", r.step, r.eval_loss, r.eval_tokens)); };
  events.on_event = [&cli](const RunEvent& e) { cli.note(fmt::format("step {}: {}", e.step, e.text)); };
}

// Every row of the field table: key, default, what it does.
std::string settings_text() {
  std::string text = "\nSettings, for --set key=value and for a configuration file (nested by section):\n";
  for (const Field& f : config_fields()) {
    text += fmt::format("  {:<32} {:<14} {}", f.key, dump_json(field_value(RunConfig{}, f.key)), f.help);
    if (!f.choices.empty()) text += fmt::format(" ({})", join(split(f.choices, '|'), " "));
    text += "\n";
  }
  return text;
}

int run_and_print(const Cli& cli, Job& job) {
  const int code = cli.run_job(job, [&](JobEvents& e) { report_steps(cli, e); });
  const Json j = job.result();
  const auto loss = [&](const char* key) { return j.contains(key) && j[key].is_number() ? fmt::format("{:.4f}", j[key].get<double>()) : std::string("none"); };
  cli.print(j, fmt::format("{} {}: {} steps, loss {}, best evaluation {}, {}, {:.0f} tokens/s, peak memory {}\n", code == kExitDone ? "finished" : "stopped, saved",
                           j.value("run", ""), j.value("steps", int64_t{0}), loss("final_loss"), loss("best_eval_loss"), human_seconds(j.value("seconds", 0.0)),
                           j.value("tokens_per_s", 0.0), human_bytes(j.value("peak_bytes", uint64_t{0}))));
  return code;
}

}  // namespace

void add_plan(CLI::App& app, Cli& cli) {
  auto* c = app.add_subcommand("plan", "memory, time and disk of a run before it starts, by part");
  c->footer("\nExamples:\n  lorikeet plan my-run.json\n  lorikeet plan --set data.train=my.jsonl --set adapter.rank=64 --probe --json\n  lorikeet plan my-run.json --device-model \"RTX 4090\"\n\nlorikeet train --help lists all settings.");
  struct Arguments { ConfigArguments config; bool probe = false; std::string card; };
  auto a = std::make_shared<Arguments>();
  a->config.add_to(*c);
  c->add_flag("--probe", a->probe, "make two steps for real, and say what they took");
  c->add_option("--device-model", a->card, "a graphics card that is not here to plan for, for example \"RTX 4090\"");
  c->callback([&cli, a] {
    cli.action = [&cli, a] {
      std::vector<std::string> given;
      const RunConfig config = a->config.resolve(cli, &given);
      const Card* card = a->card.empty() ? nullptr : &card_named(a->card);
      if (card && a->probe) throw UsageError("--probe makes steps on this machine; it does not go with --device-model");
      Plan p = planned(config, given, card);
      if (a->probe) {
        const auto job = make_probe_job(config, given);
        if (const int code = cli.run_job(*job); code != kExitDone) return code;
        correct_plan(p, job->result());
      }
      cli.print(plan_to_json(p), plan_text(p));
      return static_cast<int>(kExitDone);
    };
  });
}

void add_train(CLI::App& app, Cli& cli) {
  struct Arguments { ConfigArguments config; std::string out; bool dry_run = false; };
  auto* c = app.add_subcommand("train", "fine-tunes a model; the run folder keeps everything");
  c->footer("\nExamples:\n  lorikeet train --set data.train=my.jsonl --set training.epochs=3 --out my-run\n  lorikeet train my-run.json --dry-run\n" + settings_text());
  auto a = std::make_shared<Arguments>();
  a->config.add_to(*c);
  c->add_option("--out", a->out, "the run folder (new or empty)");
  c->add_flag("--dry-run", a->dry_run, "check everything and show the plan, train nothing");
  c->callback([&cli, a] {
    cli.action = [&cli, a] {
      std::vector<std::string> given;
      const RunConfig config = a->config.resolve(cli, &given);
      if (a->dry_run) {
        const Plan p = planned(config, given);
        cli.print(plan_to_json(p), plan_text(p));
        return static_cast<int>(kExitDone);
      }
      return run_and_print(cli, *make_train_job(config, given, a->out));
    };
  });
}

void add_resume(CLI::App& app, Cli& cli) {
  struct Arguments { std::string run; int64_t steps = 0; };
  auto* c = app.add_subcommand("resume", "continues a run from its newest whole checkpoint");
  c->footer("\nExamples:\n  lorikeet resume my-run\n  lorikeet resume my-run --steps 100 --json\n  lorikeet resume my-run --device cpu     (a run that began on a card)");
  auto a = std::make_shared<Arguments>();
  c->add_option("run", a->run, "run folder")->required();
  c->add_option("--steps", a->steps, "stop and save after this many more steps")->check(CLI::PositiveNumber);
  c->callback([&cli, a] {
    cli.action = [&cli, a] {
      cli.check_common();
      return run_and_print(cli, *make_resume_job(a->run, a->steps, cli.common.device == "auto" ? std::string() : cli.common.device));
    };
  });
}

}  // namespace lorikeet::cli
