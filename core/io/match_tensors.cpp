// The model's config says which tensors there must be and how large; here the file is held against it.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/io/opened_model.h"

namespace lorikeet::detail {
namespace {

constexpr size_t kShown = 20;

std::string shape_text(const std::vector<int64_t>& s) {
  std::string out;
  for (const int64_t n : s) out += (out.empty() ? "" : " x ") + std::to_string(n);
  return out.empty() ? "one number" : out;
}

/// What is wrong with a tensor against what is wanted; empty when nothing is.
std::string difference(const ExpectedTensor& wanted, const StoredTensor* found) {
  if (!found) return wanted.name + " is missing";
  if (found->info.shape != wanted.shape)
    return fmt::format("{} is {}, wanted {}", wanted.name, shape_text(found->info.shape), shape_text(wanted.shape));
  if (found->four_bit) return {};
  const StoredType* type = stored_type(found->ggml_type);
  if (!type || !type->readable)
    return fmt::format("{} has the type {}, which is not read", wanted.name, found->info.stored);
  return {};
}

[[noreturn]] void refuse(const std::string& path, const std::vector<std::string>& differences) {
  for (size_t i = 0; i < differences.size() && i < kShown; ++i) log_error(path + ": " + differences[i]);
  if (differences.size() > kShown)
    log_error(fmt::format("{}: and {} more differences", path, differences.size() - kShown));
  throw InputError(path, "tensors",
                   differences.size() == 1
                       ? differences[0]
                       : fmt::format("{} do not fit the model's sizes; first: {}", differences.size(), differences[0]));
}

void warn_of_others(OpenedModel& model, const std::map<std::string, StoredTensor>& left) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : left)
    if (!name.ends_with(".rotary_emb.inv_freq") && name != "lm_head.weight") names.push_back(name);
  if (names.empty()) return;
  model.warnings.push_back(fmt::format("{} {} no part of {} and ignored: {}{}", names.size(),
                                       names.size() == 1 ? "tensor is" : "tensors are", model.config.architecture,
                                       printable(names[0], 80), names.size() > 1 ? ", ..." : ""));
}

/// A tied model may carry the head anyway; it is not used, and the user hears when it differs from the embedding.
void warn_of_other_head(OpenedModel& model, const StoredTensor& head, const StoredTensor& embedding) {
  bool same = head.ggml_type == embedding.ggml_type && head.bytes.size() == embedding.bytes.size();
  // Places spread over the matrix decide: reading it all would double the time to open a model.
  const size_t size = head.bytes.size(), piece = 4096, step = std::max(piece, size / 64);
  for (size_t at = 0; same && at < size; at += step)
    same = std::memcmp(head.bytes.data() + at, embedding.bytes.data() + at, std::min(piece, size - at)) == 0;
  if (!same)
    model.warnings.push_back(
        "the config ties the head to the embedding, but the file has another lm_head.weight; the embedding is used");
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& c) {
  std::vector<ExpectedTensor> out{{"model.embed_tokens.weight", {c.vocab_size, c.hidden_size}}};
  const std::vector<LinearShape> linears = linear_shapes(c);
  const size_t each = linears.size() / static_cast<size_t>(c.layers);
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string block = "model.layers." + std::to_string(layer);
    out.push_back({block + ".input_layernorm.weight", {c.hidden_size}});
    for (size_t i = 0; i < each; ++i) {
      const LinearShape& l = linears[static_cast<size_t>(layer) * each + i];
      out.push_back({l.name + ".weight", {l.rows, l.columns}});
      const bool mlp = l.name.find(".mlp.") != std::string::npos;
      if (mlp ? c.mlp_bias : c.attention_bias) out.push_back({l.name + ".bias", {l.rows}});
    }
    out.push_back({block + ".post_attention_layernorm.weight", {c.hidden_size}});
  }
  out.push_back({"model.norm.weight", {c.hidden_size}});
  if (!c.tied_head) out.push_back({"lm_head.weight", {c.vocab_size, c.hidden_size}});
  return out;
}

void match_tensors(OpenedModel& model) {
  std::map<std::string, StoredTensor> found;
  for (StoredTensor& t : model.tensors) {
    const std::string name = t.info.name;
    found.emplace(name, std::move(t));
  }
  model.tensors.clear();
  std::vector<std::string> differences;
  for (const ExpectedTensor& wanted : expected_tensors(model.config)) {
    const auto it = found.find(wanted.name);
    const std::string wrong = difference(wanted, it == found.end() ? nullptr : &it->second);
    if (!wrong.empty()) differences.push_back(wrong);
    if (it == found.end()) continue;
    model.tensors.push_back(std::move(it->second));
    found.erase(it);
  }
  if (!differences.empty()) refuse(model.path, differences);
  if (const auto head = found.find("lm_head.weight"); head != found.end())
    warn_of_other_head(model, head->second, model.tensors.front());
  warn_of_others(model, found);
}

void check_tokenizer_fits(const OpenedModel& model) {
  if (!model.tokenizer) return;
  const int64_t ids = model.tokenizer->vocab_size(), rows = model.config.vocab_size;
  if (ids > rows)
    throw InputError(model.path, "tokenizer",
                     fmt::format("has {} ids, but the embedding has {} rows: it belongs to another model", ids, rows));
}

}  // namespace lorikeet::detail
