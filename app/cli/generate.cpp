// lorikeet generate: continues a prompt, answers messages, or chats line by line.
#include <iostream>
#include <memory>

#include <fmt/format.h>

#include "app/cli/cli.h"
#include "core/base/text.h"
#include "core/run/chat.h"

namespace lorikeet::cli {
namespace {

struct Arguments {
  ChatModelRequest model;
  SamplingOptions sampling;
  std::string prompt, messages;
  bool chat = false;
};

Json generated_json(const Generated& g, const std::string& kv_cache) {
  return {{"text", g.text}, {"ids", g.ids}, {"stop_reason", g.stop_reason}, {"tokens_per_s", g.tokens_per_s}, {"prompt_tokens", g.prompt_tokens},
          {"prompt_tokens_per_s", g.prompt_tokens_per_s}, {"kv_cache", kv_cache}, {"kv_bytes", g.kv_bytes}};
}

// A conversation on stdin and stdout: one line a turn, an empty line or the end of the input ends it.
int converse(const Cli& cli, ChatModel& model, const SamplingOptions& o) {
  Json messages = Json::array();
  std::string line;
  while (!cli.stop().stop_requested()) {
    if (!cli.common.quiet) std::fputs("> ", stderr);
    if (!std::getline(std::cin, line) || trim(line).empty()) break;
    messages.push_back({{"role", "user"}, {"content", line}});
    const Generated g = model.answer(messages, o, cli.stop(), [](const std::string& piece) {
      std::fputs(piece.c_str(), stdout);
      std::fflush(stdout);
    });
    std::fputs("\n", stdout);
    messages.push_back({{"role", "assistant"}, {"content", g.text}});
  }
  return kExitDone;
}

int generate(const Cli& cli, Arguments a) {
  cli.check_common();
  a.model.threads = cli.common.threads;
  a.model.compute = cli.common.compute;
  a.model.device = cli.common.device;
  const int ways = !a.prompt.empty() + !a.messages.empty() + a.chat;
  if (ways != 1) throw UsageError("generate needs exactly one of --prompt, --messages, --chat");
  if (a.chat && cli.common.json) throw UsageError("--chat is a conversation; --json goes with --prompt or --messages");
  const Json messages = a.messages.empty() ? Json() : read_json_file(a.messages, 64u << 20);
  ChatModel model(a.model, cli.stop());
  if (a.chat) return converse(cli, model, a.sampling);
  const auto show = [&](const std::string& piece) {
    if (cli.common.json) return;
    std::fputs(piece.c_str(), stdout);
    std::fflush(stdout);
  };
  const Generated g = a.messages.empty() ? model.complete(a.prompt, a.sampling, cli.stop(), show)
                                         : model.answer(messages, a.sampling, cli.stop(), show);
  cli.print(generated_json(g, model.kv_cache()), "\n");
  cli.note(fmt::format("{} tokens, {:.1f} tokens/s (prompt: {} at {:.0f} tokens/s), ended by {}", g.ids.size(), g.tokens_per_s, g.prompt_tokens, g.prompt_tokens_per_s, g.stop_reason));
  return g.stop_reason == "cancelled" ? kExitInterrupted : kExitDone;
}

}  // namespace

void add_generate(CLI::App& app, Cli& cli) {
  auto* c = app.add_subcommand("generate", "text from a model, with or without an adapter");
  c->footer("\nExamples:\n  lorikeet generate --prompt \"The capital of France is\" --max-new-tokens 8\n  lorikeet generate --adapter my-run --messages chat.json --json");
  auto a = std::make_shared<Arguments>();
  c->add_option("--model", a->model.model, "model; empty: the adapter's base, else the default model");
  c->add_option("--adapter", a->model.adapter, "PEFT folder, GGUF adapter, run folder or checkpoint");
  c->add_option("--quant", a->model.quant, "weight format to compute with (keep: as stored)");
  c->add_option("--kv-cache", a->model.kv_cache, "what keys and values are kept in (auto: bf16 when computing in 16 bits, else f32)")->check(CLI::IsMember(kv_cache_names()));
  c->add_option("--prompt", a->prompt, "text to continue");
  c->add_option("--messages", a->messages, "JSON file with messages to answer");
  c->add_flag("--chat", a->chat, "a conversation on the terminal");
  c->add_option("--max-new-tokens", a->sampling.max_new_tokens, "longest answer")->check(CLI::Range(int64_t{0}, int64_t{1} << 20));
  c->add_option("--temperature", a->sampling.temperature, "0 is greedy and reproducible")->check(CLI::Range(0.0, 100.0));
  c->add_option("--top-p", a->sampling.top_p, "nucleus")->check(CLI::Range(0.0, 1.0));
  c->add_option("--seed", a->sampling.seed, "seed of the draws");
  c->callback([&cli, a] { cli.action = [&cli, a] { return generate(cli, *a); }; });
}

}  // namespace lorikeet::cli
