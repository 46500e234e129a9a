// lorikeet export, quantize: files for other programs, written, re-opened and compared.
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

}  // namespace

void add_export(CLI::App& app, Cli& cli) {
  struct Arguments { ExportRequest request; bool no_verify = false; };
  auto* c = app.add_subcommand("export", "an adapter for other programs: written, re-opened, compared");
  c->footer("\nExamples:\n  lorikeet export my-run --to peft --out my-adapter\n  lorikeet export my-run/checkpoints/step-50 --to peft --out early --json");
  auto a = std::make_shared<Arguments>();
  c->add_option("from", a->request.from, "run folder, checkpoint or adapter folder")->required();
  c->add_option("--to", a->request.to, "peft (merged, gguf, gguf-adapter, ollama: not in this version)")->required();
  c->add_option("--type", a->request.type, "tensor type where the format has several");
  c->add_option("--out", a->request.out, "new folder")->required();
  c->add_flag("--no-verify", a->no_verify, "do not re-open and compare");
  c->callback([&cli, a] {
    cli.action = [&cli, a] {
      cli.check_common();
      a->request.verify = !a->no_verify;
      const auto job = make_export_job(a->request);
      const int code = cli.run_job(*job);
      const Json j = job->result();
      std::string text = files_text(j);
      bool passed = true;
      if (j.contains("verify") && j["verify"].is_object()) {
        const Json& v = j["verify"];
        passed = v.value("passed", false);
        text += fmt::format("re-opened and compared: largest logit difference {}, mean KL {}, top-1 agreement {}: {}\n", dump_json(v["max_abs_logit"]),
                            dump_json(v["mean_kl"]), dump_json(v["top1_agreement"]), passed ? "passed" : "FAILED");
      }
      cli.print(j, text);
      return passed ? code : static_cast<int>(kExitFailed);
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
