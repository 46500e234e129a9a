/// Talking to a model with or without an adapter. Loads once, answers many times; not thread-safe (one worker thread).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/json.h"

namespace lorikeet {

struct SamplingOptions {
  int64_t max_new_tokens = 256;
  double temperature = 0, top_p = 1;  // temperature 0 is greedy and reproducible
  uint64_t seed = 42;
};
struct Generated {
  std::string text;
  std::vector<int32_t> ids;
  std::string stop_reason;  // end_token | max_new_tokens | context_full | cancelled
  double tokens_per_s = 0;         // of the steps after the prompt, each one forward pass; 0 when there was none
  int64_t prompt_tokens = 0;
  double prompt_tokens_per_s = 0;  // of reading the prompt; the first new token comes out of it
  uint64_t kv_bytes = 0;           // what keys and values of the text took
};
/// kv_cache: auto | f32 | bf16 | int8, what keys and values are kept in; auto: bf16 when computing in 16 bits, else f32.
struct ChatModelRequest {
  std::string model, adapter = "", quant = "keep";
  int64_t threads = 0;
  std::string compute = "auto", kv_cache = "auto", device = "auto";
};
/// The values of kv_cache, for menus and checks.
const std::vector<std::string>& kv_cache_names();
class ChatModel {
 public:
  explicit ChatModel(const ChatModelRequest& request, std::stop_token stop = {});
  ~ChatModel();
  /// Continues plain text. `on_text` gets whole UTF-8 pieces as they appear.
  Generated complete(const std::string& prompt, const SamplingOptions& o, std::stop_token stop, const std::function<void(const std::string&)>& on_text);
  /// Renders messages (list, or object with messages and variables) with the generation prompt and answers.
  Generated answer(const Json& messages, const SamplingOptions& o, std::stop_token stop, const std::function<void(const std::string&)>& on_text);
  /// The exact text the model saw last.
  const std::string& last_prompt() const;
  /// Base or tuned, for A/B.
  void use_adapter(bool on);
  bool has_adapter() const;
  /// What keys and values are kept in: f32 | bf16 | int8.
  std::string kv_cache() const;
  /// Many prompts at once, greedy, weights decoded once for all: for evaluation. The answers are those of answer().
  std::vector<Generated> answer_all(const std::vector<Json>& messages, const SamplingOptions& o, int64_t batch, std::stop_token stop,
                                    const std::function<void(int64_t done)>& on_done);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Share of held-out samples answered exactly (after trimming), with up to `limit` samples; the sample project's figure.
struct ExactMatch { int64_t total = 0, exact = 0; std::vector<Json> rows; };
ExactMatch measure_exact_match(ChatModel& chat, const std::string& data_path, int64_t limit, int64_t batch, std::stop_token stop,
                               const std::function<void(int64_t, int64_t)>& progress);

}  // namespace lorikeet
