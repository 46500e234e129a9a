// Loss and adapter gradients of one optimizer step, before clipping, for check_training_parity.py.
//   adapter_gradients MODEL ADAPTER ROWS.jsonl OUT.safetensors [--quant F] [--compute f32|bf16] [--threads N]
// ROWS: {"input_ids":[...],"labels":[...]} a line, one document each. OUT: every gradient under its PEFT name, and "loss".
#include <cstdio>

#include <CLI/CLI.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/io/safetensors.h"
#include "core/methods/method.h"
#include "core/nn/head_loss.h"
#include "core/ops/cpu_kernels.h"
#include "core/run/detail/loaded_model.h"
#include "core/run/detail/run_setup.h"

using namespace lorikeet;

namespace {

std::vector<TokenBatch> read_rows(const std::string& path) {
  std::vector<TokenBatch> rows;
  for (const auto& line : split(read_file(path, 256u << 20), '\n')) {
    if (trim(line).empty()) continue;
    const Json j = Json::parse(line);
    TokenBatch b;
    b.ids = j.at("input_ids").get<std::vector<int32_t>>();
    b.labels = j.at("labels").get<std::vector<int32_t>>();
    for (int32_t t = 0; t < static_cast<int32_t>(b.ids.size()); ++t) b.positions.push_back(t);
    b.document_starts = {0, static_cast<int32_t>(b.ids.size())};
    rows.push_back(std::move(b));
  }
  return rows;
}

/// As Trainer::train_step() up to the clipping; gradients stay in the parameters. Returns the step's loss.
double backward_through(detail::LoadedModel& m, const std::vector<TokenBatch>& rows) {
  int64_t targets = 0;
  for (const TokenBatch& b : rows) targets += b.target_tokens();
  const double per_token = 1.0 / static_cast<double>(targets);
  double sum = 0;
  for (const TokenBatch& b : rows) {
    Tape tape(*m.cx, true);
    Var hidden = m.model->forward(tape, b, {.policy = CheckpointPolicy::none, .training = true, .dropout_seed = 0});
    HeadLoss head = head_loss(*m.cx, m.model->head(), hidden->value, target_rows(b), true, per_token);
    tape.backward(hidden, std::move(head.d_hidden));
    sum += head.loss_sum;
  }
  return sum * per_token;
}

}  // namespace

int main(int argc, char** argv) {
  register_cpu_kernels();
  detail::LoadRequest request;
  std::string rows, out, compute = "f32";
  CLI::App app("Loss and adapter gradients of one step");
  app.add_option("model", request.model)->required();
  app.add_option("adapter", request.adapter)->required();
  app.add_option("rows", rows)->required();
  app.add_option("out", out)->required();
  app.add_option("--quant", request.options.quantization)->capture_default_str();
  app.add_option("--compute", compute)->check(CLI::IsMember({"f32", "bf16"}))->capture_default_str();
  app.add_option("--threads", request.threads)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    request.compute = detail::compute_type_of(compute, request.options.quantization, DeviceType::cpu);
    detail::LoadedModel loaded = detail::load_for_use(request, {});
    const double loss = backward_through(loaded, read_rows(rows));
    std::vector<std::pair<std::string, Tensor>> tensors = {{"loss", Tensor::from(std::vector<double>{loss}, {1})}};
    for (const NamedParameter& p : methods().get("lora")->parameters(*loaded.model)) tensors.emplace_back(p.name, p.var->grad);
    write_safetensors(out, tensors);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "adapter_gradients: %s\n", e.what());
    return 1;
  }
}
