// lorikeet inspect PATH: says what a file or folder is, after checking all of it.
#include <fmt/format.h>

#include "app/cli/cli.h"
#include "core/base/text.h"
#include "core/run/queries.h"

namespace lorikeet::cli {

void add_inspect(CLI::App& app, Cli& cli) {
  auto* c = app.add_subcommand("inspect", "says what a file or folder is (model, adapter, data, run, tokenizer), after checking all of it");
  c->footer("\nExamples:\n  lorikeet inspect model.gguf\n  lorikeet inspect my-run --json");
  auto path = std::make_shared<std::string>();
  c->add_option("path", *path, "file or folder")->required();
  c->callback([&cli, path] {
    cli.action = [&cli, path] {
      cli.check_common();
      const Json j = inspect_path(*path);
      std::string text;
      for (const auto& [key, value] : j.items())
        if (key != "warnings" && !value.is_null()) text += fmt::format("{:<16} {}\n", key, value.is_string() ? printable(value.get<std::string>(), 300) : dump_json(value));
      if (j.contains("warnings"))
        for (const auto& w : j["warnings"]) text += "warning          " + printable(w.get<std::string>(), 300) + "\n";
      cli.print(j, text);
      return kExitDone;
    };
  });
}

}  // namespace lorikeet::cli
