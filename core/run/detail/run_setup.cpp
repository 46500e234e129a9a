#include "core/run/detail/run_setup.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "core/base/topology.h"
#include "core/io/adapter_files.h"
#include "core/io/model_files.h"
#include "core/run/queries.h"
#include "core/train/thread_groups.h"
#include "core/tensor/device_memory.h"

namespace lorikeet::detail {
namespace {

std::string absolute_path(const std::string& path) {
  return path.empty() ? path : fs::absolute(path).lexically_normal().string();
}

bool contains(const std::vector<std::string>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// A single entry that is no plain module name is a pattern for whole names, as in PEFT's string form.
bool is_pattern(const StringList& targets) {
  if (targets.size() != 1) return false;
  return targets.front().find_first_of("*+?()[]{}|^$\\") != std::string::npos;
}

/// N of cuda:N; 0 for cuda.
int number_in(const std::string& kind) {
  const size_t colon = kind.find(':');
  return colon == std::string::npos ? 0 : static_cast<int>(parse_int(std::string_view(kind).substr(colon + 1)).value_or(-1));
}

/// "GPU 0 (NVIDIA H200, 139.8 GiB), GPU 1 (...)"
std::string text_of(const std::vector<DeviceCard>& cards) {
  std::vector<std::string> texts;
  for (const DeviceCard& c : cards) texts.push_back(fmt::format("GPU {} ({}, {}{})", c.number, c.name, human_bytes(c.bytes), c.usable ? "" : ", cannot be used"));
  return join(texts, ", ");
}

/// A card that does not answer is not chosen.
uint64_t room_of(const DeviceCards& cards, int card) {
  try {
    return cards.room(card);
  } catch (const Error&) {
    return 0;
  }
}

void resolve_device(RunConfig& c) {
  require_device(c.device.kind);
  c.device.kind = chosen_device(c.device.kind);
  const CardScope card = use_device(c.device.kind);
  c.device.compute = compute_type_name(compute_type_of(c));
  if (const DeviceType device = device_of(c.device.kind); c.device.compute == "bf16" && device != DeviceType::cpu && has_device(device) && !device_memory(device).fast_bf16())
    throw ConfigError("device.compute", "device.compute: this GPU is older than compute capability 8.0 and multiplies no bf16 numbers; use auto, f16 or f32");
  resolve_threads(c);
}

/// The name of a file or folder without what says nothing, safe as part of a folder name.
std::string name_part(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::string stem = fs::path(path).filename().string();
  for (const char* ending : {".gguf", ".safetensors", ".jsonl", ".json", ".csv", ".tsv", ".txt"})
    if (stem.size() > std::string_view(ending).size() && stem.ends_with(ending)) stem.resize(stem.size() - std::string_view(ending).size());
  std::string out;
  for (const char ch : stem) out += std::isalnum(static_cast<unsigned char>(ch)) || ch == '.' || ch == '_' ? ch : '-';
  return out.substr(0, 60);
}

/// The name becomes a folder inside run.folder: it must not lead out of it, and a folder name has its limits.
void check_run_name(const std::string& name) {
  constexpr size_t kLongest = 200;
  const auto refuse = [&](const char* why) { throw ConfigError("run.name", fmt::format("run.name: \"{}\" {}", printable(name, 60), why)); };
  if (name == "." || name == ".." || name.find('/') != std::string::npos) refuse("names a folder inside run.folder; leave out \"/\" and \"..\"");
  if (name.size() > kLongest) refuse("is longer than 200 bytes");
  if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; })) refuse("holds control characters");
}

/// What of an adapter.from holds its settings, for messages.
const char* settings_place(const std::string& adapter) { return is_gguf_file(adapter) ? "metadata" : "adapter_config.json"; }

}  // namespace

void resolve_threads(RunConfig& c) {
  if (c.device.threads == 0) c.device.threads = default_threads();
  if (c.device.numa_groups == 0) c.device.numa_groups = std::clamp<int64_t>(static_cast<int64_t>(read_topology().groups().size()), 1, c.device.threads);
  check_thread_groups(c.device.numa_groups, c.device.threads);
}

void check_fields(const RunConfig& config) {
  RunConfig copy = config;
  for (const Field& f : config_fields()) set_field(copy, f.key, field_value(config, f.key));
}

void take_over_adapter(RunConfig& c, const std::vector<std::string>& given) {
  const AdapterSpec spec = read_adapter(c.adapter.from).spec;
  RunConfig brought = c;
  brought.adapter.method = spec.method;
  brought.adapter.rank = spec.rank;
  brought.adapter.alpha = spec.alpha;
  brought.adapter.rslora = spec.rslora;
  brought.adapter.dora = spec.dora;
  brought.adapter.target_modules = spec.target_modules;
  brought.adapter.rank_pattern.clear();
  for (const auto& [name, rank] : spec.rank_pattern) brought.adapter.rank_pattern[name] = static_cast<double>(rank);
  brought.adapter.alpha_pattern = spec.alpha_pattern;
  for (const ConfigDifference& d : config_difference(c, brought))
    if (contains(given, d.key))
      throw ConfigError(d.key, fmt::format("{}: {} contradicts adapter.from, which brings {}; leave {} out or start a fresh adapter", d.key,
                                           printable(dump_json(d.left)), printable(dump_json(d.right)), d.key));
  try {
    check_fields(brought);  // a run's settings are read again when it is continued
  } catch (const ConfigError& e) {
    throw InputError(c.adapter.from, settings_place(c.adapter.from), e.what());
  }
  c = brought;
}

void use_sample_data_when_empty(RunConfig& c) {
  if (!c.data.train.empty()) return;
  const RunConfig sample = sample_project_config();
  c.data.train = sample.data.train;
  if (c.data.validation.empty()) c.data.validation = sample.data.validation;
}

RunConfig resolve_config(RunConfig c, const std::vector<std::string>& given) {
  check_fields(c);
  c.model.path = absolute_path(resolve_model_path(c.model.path));
  use_sample_data_when_empty(c);
  for (auto& p : c.data.train) p = absolute_path(p);
  for (auto& p : c.data.validation) p = absolute_path(p);
  if (c.data.template_name.ends_with(".jinja")) c.data.template_name = absolute_path(c.data.template_name);
  if (!c.adapter.from.empty()) {
    c.adapter.from = absolute_path(c.adapter.from);
    take_over_adapter(c, given);
  }
  resolve_device(c);
  return c;
}

std::string fit_to_context(RunConfig& c, const ModelConfig& model) {
  if (model.max_positions <= 0 || c.data.max_length <= model.max_positions) return {};
  const int64_t asked = c.data.max_length;
  if (asked != RunConfig().data.max_length)
    throw ConfigError("data.max_length", fmt::format("data.max_length: {} tokens are longer than the model's context of {}; set it to {} or less",
                                                     asked, model.max_positions, model.max_positions));
  c.data.max_length = model.max_positions;
  return fmt::format("Rows are limited to {} tokens, the context of this model.", model.max_positions);
}

void fit_to_context_quietly(RunConfig& c, const ModelConfig& model) {
  if (model.max_positions > 0) c.data.max_length = std::min(c.data.max_length, model.max_positions);
}

void check_starting_adapter(const RunConfig& c, const ModelConfig& model) {
  const AdapterFiles adapter = read_adapter(c.adapter.from);
  const AdapterSpec spec = adapter_spec_of(c, {});
  std::vector<LinearShape> targets;
  try {
    targets = methods().get(c.adapter.method)->matched(linear_shapes(model), spec);
  } catch (const ConfigError& e) {  // not a setting of the user's: the file says it
    throw InputError(c.adapter.from, settings_place(c.adapter.from), e.what());
  }
  std::map<std::string, Shape> wanted;
  for (const LinearShape& s : targets) {
    const int64_t rank = rank_and_alpha(spec, s.name).first;
    wanted["base_model.model." + s.name + ".lora_A.weight"] = {rank, s.columns};
    wanted["base_model.model." + s.name + ".lora_B.weight"] = {s.rows, rank};
  }
  for (const auto& [name, tensor] : adapter.tensors) {
    const auto it = wanted.find(name);
    if (it == wanted.end()) throw InputError(c.adapter.from, "tensor " + printable(name, 90), "finds no place in this model; the adapter was made for another one");
    if (it->second != tensor.shape())
      throw InputError(c.adapter.from, "tensor " + printable(name, 90), fmt::format("has shape {}, the model needs {}", to_string(tensor.shape()), to_string(it->second)));
    wanted.erase(it);
  }
  if (!wanted.empty()) throw InputError(c.adapter.from, "tensor " + printable(wanted.begin()->first, 90), "is missing");
}

AdapterSpec adapter_spec_of(const RunConfig& c, const std::string& base_model_name) {
  AdapterSpec s;
  s.method = c.adapter.method;
  s.rank = c.adapter.rank;
  s.alpha = c.adapter.alpha;
  s.dropout = c.adapter.dropout;
  s.rslora = c.adapter.rslora;
  s.dora = c.adapter.dora;
  s.init = c.adapter.init;
  s.target_modules = c.adapter.target_modules;
  s.target_is_pattern = is_pattern(c.adapter.target_modules);
  for (const auto& [name, rank] : c.adapter.rank_pattern) s.rank_pattern[name] = std::llround(rank);
  s.alpha_pattern = c.adapter.alpha_pattern;
  s.base_model_name = base_model_name;
  s.seed = static_cast<uint64_t>(c.training.seed);
  return s;
}

DeviceType device_of(const std::string& kind) {
  if (kind == "cpu") return DeviceType::cpu;
  return kind != "auto" || has_device(DeviceType::cuda) ? DeviceType::cuda : DeviceType::cpu;
}

int card_of(const std::string& kind) {
  const DeviceCards* cards = device_cards(device_of(kind));
  if (!cards) return 0;
  if (kind != "auto") return number_in(kind);
  std::vector<int> usable;
  for (const DeviceCard& card : cards->list())
    if (card.usable) usable.push_back(card.number);
  if (usable.size() < 2) return usable.empty() ? 0 : usable.front();
  int best = usable.front();
  uint64_t most = 0;
  for (const int card : usable)
    if (const uint64_t room = room_of(*cards, card); room > most) {
      most = room;
      best = card;
    }
  return best;
}

std::string chosen_device(const std::string& kind) {
  if (kind != "auto") return kind;
  const std::string device(device_name(device_of(kind)));
  const int card = card_of(kind);
  return card == 0 ? device : fmt::format("{}:{}", device, card);
}

std::string device_problem(const std::string& kind) {
  const DeviceType device = device_of(kind);
  if (!has_device(device)) return "no GPU can be used here (`lorikeet device` says why)";
  const DeviceCards* cards = device_cards(device);
  if (!cards || kind == "auto") return {};
  const auto all = cards->list();
  const int number = number_in(kind);
  const auto at = std::find_if(all.begin(), all.end(), [&](const DeviceCard& c) { return c.number == number; });
  if (at != all.end() && at->usable) return {};
  const std::string why = at == all.end() ? fmt::format("there is no GPU {}", number) : fmt::format("GPU {} cannot be used ({})", number, at->reason);
  return fmt::format("{}; this machine has {}", why, text_of(all));
}

void require_device(const std::string& kind) {
  if (const std::string problem = device_problem(kind); !problem.empty()) throw UnsupportedError("device.kind " + kind + ": " + problem + "; use --device cpu or auto");
}

CardScope use_device(const std::string& kind) {
  const bool there = device_problem(kind).empty();
  return {there ? device_of(kind) : DeviceType::cpu, there ? card_of(kind) : 0};
}

ComputeType compute_type_of(const std::string& compute, const std::string& format, DeviceType device) {
  if (compute != "auto") {
    const ComputeType named = compute_type_from_name(compute).value_or(ComputeType::f32);
    if (named == ComputeType::f16 && device == DeviceType::cpu) throw ConfigError("device.compute", "device.compute: f16 is computed in on a GPU only; use auto, bf16 or f32");
    return named;
  }
  // Who asks for weights in f32 asks for their digits.
  if (format == "f32") return ComputeType::f32;
  if (device == DeviceType::cpu) return fast_compute(cpu_level());
  return !has_device(device) || device_memory(device).fast_bf16() ? ComputeType::bf16 : ComputeType::f16;
}

ComputeType compute_type_of(const RunConfig& c) { return compute_type_of(c.device.compute, c.quantization.format, device_of(c.device.kind)); }

QuantOptions quant_options_of(const RunConfig& c) {
  return {.double_quant = c.quantization.double_quant, .block_size = static_cast<int>(c.quantization.block_size)};
}

std::string default_run_name(const RunConfig& c, double now) {
  const std::string data = c.data.train.empty() ? "" : "-" + name_part(c.data.train.front());
  return name_part(c.model.path) + data + "-" + file_time(now);
}

std::string run_path_of(const RunConfig& c, const std::string& out) {
  if (!out.empty()) return absolute_path(out);
  check_run_name(c.run.name);
  const std::string parent = c.run.folder.empty() ? default_runs_folder() : absolute_path(c.run.folder);
  const std::string wanted = parent + "/" + (c.run.name.empty() ? default_run_name(c, wall_seconds()) : c.run.name);
  std::string path = wanted;
  std::error_code none;
  for (int n = 2; fs::exists(path, none); ++n) path = fmt::format("{}-{}", wanted, n);
  return path;
}

}  // namespace lorikeet::detail
