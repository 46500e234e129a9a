/// Questions with quick answers: what a path is, what a data set looks like, what the machine offers. The JSON has the
/// keys of interface.md section 2. Some read whole files: call them off the GUI thread.
#pragma once
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/config/run_config.h"

namespace lorikeet {

Json device_information();
Json inspect_path(const std::string& path);
/// `data PATH...`: config.data.* say paths, format, template, length; show = number of token views; audit adds findings.
struct DataQuery { RunConfig config; std::string model; int64_t show = 0, first_shown = 0; bool audit = false; };
Json inspect_data(const DataQuery& query, std::stop_token stop = {});
Json tokenize_text(const std::string& model, const std::string& text, bool no_special);
Json detokenize_ids(const std::string& model, const std::vector<int32_t>& ids);
Json render_messages(const std::string& model, const std::string& messages_file, bool add_generation_prompt);
/// One entry per run: the members of RunSummary as JSON. Empty folder = the user's runs folder.
Json list_runs_json(const std::string& folder);
std::string default_runs_folder();
/// Metrics of a run from byte `from` (moves on), for charts.
std::vector<Json> run_metrics(const std::string& run_folder, uint64_t& from);
/// run.json of a run (its config is under "config").
Json run_information(const std::string& run_folder);
/// How the data of a config speaks to the model: the system prompt, where its chats share one, and up to `most`
/// questions from it (from the validation data where there is some). Reads only the first rows.
struct ChatExamples { std::string system_prompt; std::vector<std::string> questions; bool held_out = false; };
ChatExamples chat_examples(const RunConfig& config, size_t most, std::stop_token stop = {});
/// `device`: a value of device.kind; auto: every GPU that can be used. Throws UnsupportedError.
Json run_selftest(int64_t threads, const std::string& device = "auto");
/// The cards `cuda:N` may name, for menus.
struct UsableCard { int number = 0; std::string name; uint64_t bytes = 0; };
std::vector<UsableCard> usable_cards();
/// The sample project that comes with the program: config with model, data and settings ready to start.
RunConfig sample_project_config();
/// Folder with the program's data files (sample data, presets): LORIKEET_RESOURCES, beside the binary, or installed.
std::string resources_folder();

}  // namespace lorikeet
