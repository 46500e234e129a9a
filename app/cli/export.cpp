// lorikeet export, verify, quantize: files for other programs, written, re-opened and compared.
#include <memory>

#include <fmt/format.h>

#include "app/cli/cli.h"
#include "core/base/text.h"

namespace lorikeet::cli {
namespace {

std::string files_text(const Json& j) {
  std::string text;
  if (!j.contains("files")) return text;
  for (const auto& f : j["files"])
    text += fmt::format("{}  {:>8}  {}\n", f["sha256"].get<std::string>(), human_bytes(f["bytes"].get<uint64_t>()), printable(f["path"].get<std::string>(), 300));
  return text;
}

bool passed(const Json& j) { return !j.contains("verify") || !j["verify"].is_object() || j["verify"].value("passed", false); }

std::string verify_text(const Json& j) {
  if (!j.contains("verify") || !j["verify"].is_object()) return {};
  const Json& v = j["verify"];
  const char* verdict = passed(j) ? "passed" : "FAILED";
  if (v["max_abs_logit"].is_null() && passed(j)) return fmt::format("opens, fits its base and computes: {}\n", verdict);
  return fmt::format("re-opened and compared: largest logit difference {}, mean KL {}, top-1 agreement {}: {}\n", dump_json(v["max_abs_logit"]),
                     dump_json(v["mean_kl"]), dump_json(v["top1_agreement"]), verdict);
}

int run_and_print(const Cli& cli, Job& job) {
  const int code = cli.run_job(job);
  const Json j = job.result();
  cli.print(j, files_text(j) + verify_text(j));
  return passed(j) ? code : static_cast<int>(kExitFailed);
}

}  // namespace

void add_export(CLI::App& app, Cli& cli) {
  struct Arguments { ExportRequest request; bool no_verify = false; };
  auto* c = app.add_subcommand("export", "an adapter for other programs: written, re-opened, compared");
  c->footer("\nExamples:\n  lorikeet export my-run --to peft --out my-adapter\n  lorikeet export my-run/checkpoints/step-50 --to peft --out early --json");
  auto a = std::make_shared<Arguments>();
  c->add_option("from", a->request.from, "run folder, checkpoint, PEFT folder or GGUF adapter")->required();
  c->add_option("--to", a->request.to, "peft (merged, gguf, gguf-adapter, ollama: not in this version)")->required();
  c->add_option("--type", a->request.type, "tensor type where the format has several");
  c->add_option("--out", a->request.out, "new folder")->required();
  c->add_option("--model", a->request.model, "base model to compare on; empty: the one the adapter names, else the default model");
  c->add_flag("--no-verify", a->no_verify, "do not re-open and compare");
  c->callback([&cli, a] {
    cli.action = [&cli, a] {
      cli.check_common();
      a->request.verify = !a->no_verify;
      a->request.threads = static_cast<int>(cli.common.threads);
      return run_and_print(cli, *make_export_job(a->request));
    };
  });
}

void add_verify(CLI::App& app, Cli& cli) {
  auto* c = app.add_subcommand("verify", "the comparison at the end of an export, asked again later");
  c->footer("\nExamples:\n  lorikeet verify my-adapter --against my-run\n  lorikeet verify my-adapter --model model.gguf --json");
  auto a = std::make_shared<VerifyRequest>();
  c->add_option("export", a->exported, "what an export wrote: PEFT folder or GGUF adapter")->required();
  c->add_option("--against", a->against, "run, checkpoint or adapter it was made from; without it: opens, fits and computes");
  c->add_option("--model", a->model, "base model; empty: the one the adapter names, else the default model");
  c->callback([&cli, a] {
    cli.action = [&cli, a] {
      cli.check_common();
      a->threads = static_cast<int>(cli.common.threads);
      return run_and_print(cli, *make_verify_job(*a));
    };
  });
}

void add_quantize(CLI::App& app, Cli& cli) {
  struct Arguments { QuantizeRequest request; ConfigArguments config; std::string format = "nf4"; };
  auto* c = app.add_subcommand("quantize", "bits, error and time of a weight format; with --out a checkpoint that transformers + bitsandbytes load");
  c->footer("\nExamples:\n  lorikeet quantize model.gguf --format nf4\n  lorikeet quantize folder --format nf4 --out folder-nf4 --set quantization.double_quant=true --json");
  auto a = std::make_shared<Arguments>();
  c->add_option("model", a->request.model, "model")->required();
  c->add_option("--format", a->format, "nf4 nf3 nf2 fp4 int8 int4 int3 int2 bf16 f16 f32")->required();
  c->add_option("--out", a->request.out, "new folder (nf4 and fp4)");
  a->config.add_to(*c, false);
  c->callback([&cli, a] {
    cli.action = [&cli, a] {
      RunConfig config = a->config.resolve(cli, nullptr);
      set_field(config, "quantization.format", a->format);
      a->request.quantization = config.quantization;
      a->request.threads = config.device.threads;
      const auto job = make_quantize_job(a->request);
      const int code = cli.run_job(*job);
      const Json j = job->result();
      std::string text = fmt::format("{}: {:.4f} bits per weight, relative error {:.4f} over {} matrices, {}\n", a->format, j["bits_per_weight"].get<double>(),
                                     j["relative_error"].get<double>(), j["tensors"].size(), human_seconds(j.value("seconds", 0.0)));
      cli.print(j, text + files_text(j));
      return code;
    };
  });
}

}  // namespace lorikeet::cli
