// The list of subcommands. To add one: write cli/<name>.cpp, declare it in cli.h, add one line here.
#include "app/cli/cli.h"

namespace lorikeet::cli {

void add_all_commands(CLI::App& app, Cli& cli) {
  add_device(app, cli);
  add_inspect(app, cli);
  add_tokenize(app, cli);
  add_detokenize(app, cli);
  add_render(app, cli);
  add_data(app, cli);
  add_score(app, cli);
  add_plan(app, cli);
  add_train(app, cli);
  add_resume(app, cli);
  add_generate(app, cli);
  add_export(app, cli);
  add_verify(app, cli);
  add_quantize(app, cli);
  add_runs(app, cli);
  add_compare(app, cli);
  add_selftest(app, cli);
  add_sample(app, cli);
  add_fetch(app, cli);
}

}  // namespace lorikeet::cli
