// lorikeet score: mean loss and perplexity; with ids optionally the logits.
#include <memory>

#include <fmt/format.h>

#include "app/cli/cli.h"
#include "core/base/text.h"

namespace lorikeet::cli {

void add_score(CLI::App& app, Cli& cli) {
  struct Arguments { ScoreRequest request; ConfigArguments config; std::string ids; };
  auto* c = app.add_subcommand("score", "mean loss and perplexity on token ids or a data set");
  c->footer("\nExamples:\n  lorikeet score --data heldout.jsonl --adapter my-run\n  lorikeet score --model model.gguf --ids 504,3575,282 --logits logits.npy --json");
  auto a = std::make_shared<Arguments>();
  c->add_option("--model", a->request.model, "model; empty: the adapter's base, else the default model");
  c->add_option("--adapter", a->request.adapter, "PEFT folder, GGUF adapter, run folder or checkpoint");
  c->add_option("--quant", a->request.quant, "weight format to compute with (keep: as stored)");
  auto* ids = c->add_option("--ids", a->ids, "token ids as 1,2,3");
  c->add_option("--data", a->request.data, "data set")->excludes(ids);
  c->add_option("--logits", a->request.logits_file, "write the logits of --ids here, float32 [T, V] (.npy)");
  a->config.add_to(*c, false);
  c->callback([&cli, a, ids] {
    cli.action = [&cli, a, ids] {
      a->request.config = a->config.resolve(cli, nullptr);
      if (ids->count()) a->request.ids = parse_ids(a->ids);
      const auto job = make_score_job(a->request);
      const int code = cli.run_job(*job);
      const Json j = job->result();
      const auto number = [&](const char* key) { return j[key].is_number() ? shortest(j[key].get<double>()) : std::string("none"); };
      cli.print(j, fmt::format("loss {}  perplexity {}  over {} target tokens  {:.0f} tokens/s\n", number("loss"), number("perplexity"),
                               j["target_tokens"].get<int64_t>(), j["tokens_per_s"].get<double>()));
      return code;
    };
  });
}

}  // namespace lorikeet::cli
