/// From the settings a person gave to the settings a run works with: paths absolute, what adapter.from brings along
/// taken over, contradictions refused before any work is done.
#pragma once
#include <string>
#include <vector>

#include "core/config/run_config.h"
#include "core/methods/method.h"
#include "core/models/model_config.h"
#include "core/quant/weight_format.h"
#include "core/tensor/cpu_level.h"
#include "core/tensor/device_cards.h"

namespace lorikeet::detail {

/// Checks every field against its row of the table. Throws ConfigError naming the first that does not hold.
void check_fields(const RunConfig& config);
/// Throws ConfigError, InputError (model or adapter not found) or UnsupportedError. `given`: dotted keys the user set.
RunConfig resolve_config(RunConfig config, const std::vector<std::string>& given);
/// device.threads and device.numa_groups left to the program become numbers. Throws ConfigError for more groups than threads.
void resolve_threads(RunConfig& config);
/// Lowers a data.max_length left at its default to the model's context; one that was chosen and is too long throws
/// ConfigError. Returns a sentence when it changed something.
std::string fit_to_context(RunConfig& config, const ModelConfig& model);
/// The same without complaint, for plans.
void fit_to_context_quietly(RunConfig& config, const ModelConfig& model);
/// An empty data.train means the sample set that comes with the program.
void use_sample_data_when_empty(RunConfig& config);
/// Rank, alpha, patterns, targets, rslora and dora of adapter.from. Throws ConfigError for a key of `given` that differs.
void take_over_adapter(RunConfig& config, const std::vector<std::string>& given);
/// Holds the tensors of adapter.from against the model's sizes. Throws InputError naming the first that does not fit.
void check_starting_adapter(const RunConfig& config, const ModelConfig& model);
AdapterSpec adapter_spec_of(const RunConfig& config, const std::string& base_model_name);
QuantOptions quant_options_of(const RunConfig& config);
/// The device a value of device.kind means: `auto` is a GPU where this program found one it can use.
DeviceType device_of(const std::string& kind);
/// The card a value of device.kind means: `cuda` is number 0, `auto` the usable one with the most room. 0 for the host.
int card_of(const std::string& kind);
/// Without `auto`: cpu, cuda or cuda:N.
std::string chosen_device(const std::string& kind);
/// Why the device cannot be used, with the cards there are; empty when it can.
std::string device_problem(const std::string& kind);
/// Throws UnsupportedError when the device is not there.
void require_device(const std::string& kind);
/// From now on this thread computes on the device's card, if there is one.
CardScope use_device(const std::string& kind);
/// What a value of device.compute means for weights of this format: `auto` is bf16 where the device is fast at it (a GPU from
/// sm_80 on; a CPU by cpu_level.h), f16 on other GPUs, f32 on other CPUs and for format f32. Throws ConfigError for f16 on the CPU.
ComputeType compute_type_of(const std::string& compute, const std::string& format, DeviceType device);
ComputeType compute_type_of(const RunConfig& config);
/// "SmolLM2-135M-Instruct-appointments-20261123-140211"
std::string default_run_name(const RunConfig& config, double now);
/// Where a run goes: `out`, else run.folder/run.name with a number added when that is taken.
std::string run_path_of(const RunConfig& config, const std::string& out);

}  // namespace lorikeet::detail
