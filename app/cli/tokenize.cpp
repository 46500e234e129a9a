// lorikeet tokenize, detokenize, render: text to ids and back, and the chat template's exact text.
#include <memory>

#include <fmt/format.h>

#include "app/cli/cli.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/run/queries.h"

namespace lorikeet::cli {
namespace {

std::string ids_text(const Json& ids) {
  std::string text;
  for (const auto& id : ids) text += (text.empty() ? "" : ",") + std::to_string(id.get<int32_t>());
  return text;
}

}  // namespace

void add_tokenize(CLI::App& app, Cli& cli) {
  struct Arguments { std::string model, text, file; bool no_special = false; };
  auto* c = app.add_subcommand("tokenize", "token ids of a text");
  c->footer("\nExamples:\n  lorikeet tokenize --model model.gguf --text \"Hello, we can use\"\n  lorikeet tokenize --model folder --file notes.txt --json");
  auto a = std::make_shared<Arguments>();
  c->add_option("--model", a->model, "model or tokenizer folder; empty: the default model");
  auto* text = c->add_option("--text", a->text, "the text");
  auto* file = c->add_option("--file", a->file, "a file, its bytes as they are");
  text->excludes(file);
  c->add_flag("--no-special", a->no_special, "without what the post-processor adds (BOS, EOS)");
  c->callback([&cli, a, text, file] {
    cli.action = [&cli, a, text, file] {
      cli.check_common();
      if (text->count() + file->count() == 0) throw UsageError("tokenize needs --text or --file");
      const std::string content = file->count() ? read_file(a->file) : a->text;
      if (const auto bad = first_invalid_utf8(content))
        throw InputError(a->file, fmt::format("byte {}", *bad), "not valid UTF-8; save the text as UTF-8");
      const Json j = tokenize_text(a->model, content, a->no_special);
      cli.print(j, ids_text(j["ids"]) + "\n");
      return kExitDone;
    };
  });
}

void add_detokenize(CLI::App& app, Cli& cli) {
  struct Arguments { std::string model, ids; };
  auto* c = app.add_subcommand("detokenize", "text of token ids; special tokens are shown, nothing is tidied");
  c->footer("\nExamples:\n  lorikeet detokenize --ids 19556,28\n  lorikeet detokenize --model model.gguf --ids 1,2,3 --json");
  auto a = std::make_shared<Arguments>();
  c->add_option("--model", a->model, "model or tokenizer folder; empty: the default model");
  c->add_option("--ids", a->ids, "ids as 1,2,3")->required();
  c->callback([&cli, a] {
    cli.action = [&cli, a] {
      cli.check_common();
      const Json j = detokenize_ids(a->model, parse_ids(a->ids));
      cli.print(j, j["text"].get<std::string>() + "\n");
      return kExitDone;
    };
  });
}

void add_render(CLI::App& app, Cli& cli) {
  struct Arguments { std::string model, messages; bool prompt = false; };
  auto* c = app.add_subcommand("render", "the chat template's exact text for a list of messages");
  c->footer("\nExamples:\n  lorikeet render --model model.gguf --messages chat.json\n  lorikeet render --messages chat.json --add-generation-prompt --json");
  auto a = std::make_shared<Arguments>();
  c->add_option("--model", a->model, "model; empty: the default model");
  c->add_option("--messages", a->messages, "JSON file: a list of messages, or an object with messages and the template's other variables")->required();
  c->add_flag("--add-generation-prompt", a->prompt, "end with the start of the assistant's turn");
  c->callback([&cli, a] {
    cli.action = [&cli, a] {
      cli.check_common();
      const Json j = render_messages(a->model, a->messages, a->prompt);
      cli.print(j, j["text"].get<std::string>());
      return kExitDone;
    };
  });
}

}  // namespace lorikeet::cli
