/// RunConfig: the one configuration of a run. Typed structs and one field table (run_config_fields.cpp) that drives JSON,
/// --set key=value, range checks, --help, the form with its help texts, and the config diff.
/// A new setting is one member here and one row there. Unknown keys are errors that name the nearest known key.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/json.h"

namespace lorikeet {

using StringList = std::vector<std::string>;
using NumberMap = std::map<std::string, double>;

struct RunConfig {
  struct Model { std::string path, revision; } model;
  struct Data {
    StringList train, validation;
    double validation_fraction = 0.05;
    std::string format = "auto", template_name = "auto", train_on = "responses";  // key of template_name: data.template
    int64_t max_length = 1024;
    std::string on_long = "truncate";
    bool packing = true;
    int64_t limit = 0;
    bool shuffle = true;
    std::string system_prompt;
  } data;
  struct Quantization { std::string format = "nf4"; bool double_quant = true; int64_t block_size = 64; } quantization;
  struct Adapter {
    std::string method = "lora";
    int64_t rank = 16;
    double alpha = 32, dropout = 0;
    StringList target_modules = {"all-linear"};
    NumberMap rank_pattern, alpha_pattern;
    std::string from;
    bool rslora = false, dora = false;
    std::string init = "default";
  } adapter;
  struct Optimizer {
    std::string name = "adamw";
    double learning_rate = 2e-4, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0, max_grad_norm = 1;
  } optimizer;
  struct Schedule { std::string name = "cosine"; double warmup_ratio = 0.03; int64_t warmup_steps = 0; } schedule;
  struct Training {
    double epochs = 1;
    int64_t max_steps = 0, batch_size = 1, gradient_accumulation = 8, seed = 42;
    std::string checkpointing = "auto";  // auto | none | norms+swiglu | mlp | full
    bool deterministic = true;
    int64_t save_every = 0, eval_every = 0;  // 0 = auto
    int64_t keep_checkpoints = 2;
  } training;
  struct Device { std::string kind = "auto", compute = "auto"; int64_t threads = 0, memory_limit = 0; bool pin_threads = false; int64_t numa_groups = 1; } device;
  struct Run { std::string name, folder; } run;
};

using FieldRef = std::variant<bool*, int64_t*, double*, std::string*, StringList*, NumberMap*>;
enum class FieldLevel { main, advanced };
struct Field {
  std::string_view key;                  // "adapter.rank"
  FieldRef (*ref)(RunConfig&);
  double min, max;                       // numbers only; both inclusive
  std::string_view choices;              // "a|b|c" for texts with a fixed set, else ""
  std::string_view unit;                 // "tokens", "steps", "" ...
  FieldLevel level;
  std::string_view label;                // "Rank"
  std::string_view help;                 // one sentence for the form and --help
};
std::span<const Field> config_fields();
const Field* find_field(std::string_view key);
/// adapter.target_modules: one text with signs of a regular expression beyond "." is a pattern that must match whole
/// module names; it stands alone in the list. Everything else is a name.
bool is_module_pattern(std::string_view s);

/// Nested by section: {"adapter":{"rank":16}}. Numbers keep all digits. parse(dump(c)) == c.
Json config_to_json(const RunConfig& c);
/// Applies a JSON object onto `c`, all of it or nothing. Throws ConfigError: unknown key (nearest named), wrong type, out
/// of range. A text where a list is expected is a list of one. `given` collects the dotted keys set (so that
/// adapter.from can refuse what contradicts it).
void apply_config_json(RunConfig& c, const Json& j, std::vector<std::string>* given = nullptr);
/// "key=value": the value is JSON where it parses, else a string; lists also as a,b.
void apply_set(RunConfig& c, std::string_view assignment, std::vector<std::string>* given = nullptr);
RunConfig read_config_file(const std::string& path, std::vector<std::string>* given = nullptr);
/// Value of one field as JSON, and setting it with the same checks (used by the form and undo).
Json field_value(const RunConfig& c, std::string_view key);
void set_field(RunConfig& c, std::string_view key, const Json& value);
/// Keys whose values differ: {key, left, right}.
struct ConfigDifference { std::string key; Json left, right; };
std::vector<ConfigDifference> config_difference(const RunConfig& a, const RunConfig& b);
/// The command that repeats this config: lorikeet train --set ... (only what differs from the defaults), shell-quoted.
std::string command_line_of(const RunConfig& c);
bool operator==(const RunConfig& a, const RunConfig& b);

}  // namespace lorikeet
