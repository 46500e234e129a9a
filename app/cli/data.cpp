// lorikeet data PATH...: the data set as the model will see it.
#include <memory>

#include <fmt/format.h>

#include "app/cli/cli.h"
#include "core/base/text.h"
#include "core/run/queries.h"

namespace lorikeet::cli {
namespace {

std::string shown_text(const Json& one) {
  std::string text = fmt::format("\nsample {} ({}:{})\n", one["sample"].get<int64_t>() + 1, printable(one["file"].get<std::string>()), one["line"].get<int64_t>());
  if (one.contains("dropped")) text += "dropped: " + printable(one["dropped"].get<std::string>(), 300) + "\n";
  // Trained parts stand in [[ ]], so that they show without colour.
  bool trained = false;
  for (const auto& t : one["tokens"]) {
    if (t["trained"].get<bool>() != trained) text += trained ? "]]" : "[[";
    trained = t["trained"].get<bool>();
    text += t["text"].get<std::string>();
  }
  return text + (trained ? "]]\n" : "\n");
}

std::string data_text(const Json& j) {
  std::string text = fmt::format("format    {} ({})\nsamples   {}\n", j["format"].get<std::string>(), printable(j.value("evidence", ""), 300), j["samples"].get<int64_t>());
  if (j["tokens"].is_number())
    text += fmt::format("tokens    {}, {} trained on; longest {}\n", j["tokens"].get<int64_t>(), j["target_tokens"].get<int64_t>(), j.value("longest", int64_t{0}));
  if (j.value("truncated", int64_t{0}) > 0) text += fmt::format("truncated {} samples\n", j["truncated"].get<int64_t>());
  if (j.value("dropped", int64_t{0}) > 0) text += fmt::format("dropped   {} samples without a token to train on\n", j["dropped"].get<int64_t>());
  for (const auto& b : j["histogram"])
    if (b["count"].get<int64_t>() > 0) text += fmt::format("  {:>6} - {:>6} tokens  {}\n", b["from"].get<int64_t>(), b["to"].get<int64_t>(), b["count"].get<int64_t>());
  if (const int64_t bad = j.value("bad_row_count", int64_t{0}); bad > 0) {
    text += fmt::format("bad rows  {}\n", bad);
    for (const auto& b : j["bad_rows"]) text += fmt::format("  {}:{}: {}\n", printable(b["file"].get<std::string>()), b["line"].get<int64_t>(), printable(b["reason"].get<std::string>(), 300));
  }
  for (const auto& f : j["findings"])
    text += fmt::format("{:<9} {} ({})\n", f["severity"].get<std::string>(), printable(f["text"].get<std::string>(), 300), f["count"].get<int64_t>());
  for (const auto& s : j["shown"]) text += shown_text(s);
  return text;
}

}  // namespace

void add_data(CLI::App& app, Cli& cli) {
  struct Arguments { DataQuery query; ConfigArguments config; std::vector<std::string> paths; };
  auto* c = app.add_subcommand("data", "detects the format of a data set, counts it, shows samples as the model sees them, lists problems");
  c->footer("\nExamples:\n  lorikeet data chats.jsonl --show 3\n  lorikeet data rows.csv --model model.gguf --audit --json");
  auto a = std::make_shared<Arguments>();
  c->add_option("paths", a->paths, "files or folders")->required();
  c->add_option("--model", a->query.model, "model whose tokenizer and template are used; empty: the default model");
  c->add_option("--show", a->query.show, "token view of the first N samples")->check(CLI::NonNegativeNumber);
  c->add_flag("--audit", a->query.audit, "list problems of the whole set");
  a->config.add_to(*c, false);
  c->callback([&cli, a] {
    cli.action = [&cli, a] {
      a->query.config = a->config.resolve(cli, nullptr);
      a->query.config.data.train = a->paths;
      const Json j = inspect_data(a->query, cli.stop());
      cli.print(j, data_text(j));
      return kExitDone;
    };
  });
}

}  // namespace lorikeet::cli
