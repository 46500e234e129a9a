// lorikeet fetch: not in this version; asked for, it says so and what to do instead.
#include <memory>

#include "app/cli/cli.h"
#include "core/base/text.h"

namespace lorikeet::cli {

void add_fetch(CLI::App& app, Cli& cli) {
  struct Arguments { std::string id, revision, token_env; };
  auto* c = app.add_subcommand("fetch", "downloads a model or data set (not in this version)");
  c->group("");  // not listed
  c->footer("\nInstead, until it is:\n  huggingface-cli download ORG/NAME --local-dir folder\n  lorikeet inspect folder");
  auto a = std::make_shared<Arguments>();
  c->add_option("id", a->id, "hub id")->required();
  c->add_option("--revision", a->revision, "branch, tag or commit");
  c->add_option("--token-env", a->token_env, "name of the environment variable with the access token");
  c->callback([&cli, a] {
    cli.action = [a]() -> int {
      throw UnsupportedError("fetch " + printable(a->id, 100) + ": this version downloads nothing; put the model's folder or .gguf file on this machine and name it with --model or model.path");
    };
  });
}

}  // namespace lorikeet::cli
