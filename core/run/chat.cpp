// Generation: prompts go through the cached forward pass, one or many sequences at a time.
#include "core/run/chat.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "core/methods/method.h"
#include "core/run/detail/loaded_model.h"
#include "core/run/detail/run_setup.h"
#include "core/run/detail/sampler.h"

namespace lorikeet {
namespace {

constexpr int64_t kPromptPiece = 512;  // tokens of a prompt processed at a time, so that activations stay small

// One sequence being generated.
struct Sequence {
  std::vector<int32_t> prompt, ids;
  KvCache cache;
  RandomStream random{0, 0};
  std::string shown;        // text already passed on
  std::string stop_reason;  // empty while running
  // monotonic seconds: when the prompt was begun, when its last token was known, when the newest token was
  double began = 0, prompt_read = 0, newest = 0;
  int64_t taken = 0;  // tokens drawn, an end token included
};

DType kv_type_of(const std::string& name, ComputeType compute) {
  if (name == "auto") return compute == ComputeType::f32 ? DType::f32 : DType::bf16;
  if (name == "f32") return DType::f32;
  if (name == "bf16") return DType::bf16;
  if (name == "int8") return DType::i8;
  throw UsageError("unknown cache type \"" + printable(name, 40) + "\"; known are auto, f32, bf16, int8");
}

bool contains(const std::vector<int32_t>& v, int32_t x) { return std::find(v.begin(), v.end(), x) != v.end(); }

// Text without a trailing incomplete character (shown as U+FFFD until its bytes are complete).
std::string_view whole_characters(std::string_view text) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  while (text.ends_with(kReplacement)) text.remove_suffix(kReplacement.size());
  return text;
}

}  // namespace

struct ChatModel::State {
  detail::LoadedModel loaded;
  std::string prompt_text, device;
  DType kv_type = DType::f32;

  const Tokenizer& tokenizer() const {
    if (!loaded.tokenizer) throw InputError(loaded.files->path(), "", "has no tokenizer, so it cannot write text");
    return *loaded.tokenizer;
  }
  std::string render(const Json& given) const {
    if (!loaded.chat)
      throw InputError(loaded.files->path(), "", "has no chat template; give a plain prompt instead of messages");
    Json variables = loaded.files->template_variables();
    if (given.is_object()) {
      for (const auto& [key, value] : given.items()) variables[key] = value;
    } else {
      variables["messages"] = given;
    }
    variables["add_generation_prompt"] = true;
    return loaded.chat->render(variables).text;
  }
  Sequence start(std::vector<int32_t> prompt, const SamplingOptions& o, uint64_t stream) const {
    const int64_t context = loaded.model->config().max_positions;
    if (prompt.empty()) throw InputError("", "prompt", "is empty; there is nothing to continue");
    if (static_cast<int64_t>(prompt.size()) >= context)
      throw InputError("", "prompt", fmt::format("has {} tokens, the model's context holds {}; shorten it", prompt.size(), context));
    Sequence s;
    const int64_t room = std::min(context, static_cast<int64_t>(prompt.size()) + std::max<int64_t>(0, o.max_new_tokens));
    s.cache = loaded.model->make_cache(room, kv_type);
    s.prompt = std::move(prompt);
    s.random = RandomStream(o.seed, stream_of("generate") + stream);
    return s;
  }
  // Runs the prompt; returns the hidden state of its last token [1, C].
  Tensor read_prompt(Sequence& s, std::stop_token stop) {
    const StopScope stoppable(loaded.cx->pool(), stop);
    Tensor hidden;
    for (size_t at = 0; at < s.prompt.size(); at += kPromptPiece) {
      const size_t end = std::min(s.prompt.size(), at + kPromptPiece);
      const std::vector<int32_t> piece(s.prompt.begin() + static_cast<std::ptrdiff_t>(at), s.prompt.begin() + static_cast<std::ptrdiff_t>(end));
      hidden = loaded.model->forward_cached(*loaded.cx, {piece}, {&s.cache});
    }
    return hidden;
  }
  // Takes the next token of a sequence; sets stop_reason when it ends.
  void take(Sequence& s, const float* logits, const SamplingOptions& o) {
    const int32_t id = detail::sample_token(logits, loaded.model->config().vocab_size, o.temperature, o.top_p, s.random);
    s.newest = monotonic_seconds();
    if (s.taken++ == 0) s.prompt_read = s.newest;
    if (contains(tokenizer().stop_ids, id)) {
      s.stop_reason = "end_token";
      return;
    }
    s.ids.push_back(id);
    if (static_cast<int64_t>(s.ids.size()) >= o.max_new_tokens) s.stop_reason = "max_new_tokens";
    else if (s.cache.length >= s.cache.capacity) s.stop_reason = "context_full";
  }
  Generated generate(std::vector<int32_t> prompt, const SamplingOptions& o, std::stop_token stop,
                     const std::function<void(const std::string&)>& on_text) {
    Sequence s = start(std::move(prompt), o, 0);
    if (o.max_new_tokens <= 0) s.stop_reason = "max_new_tokens";
    if (!s.stop_reason.empty()) return finish(s);
    s.began = monotonic_seconds();
    Tensor hidden = read_prompt(s, stop);
    while (true) {
      const Tensor logits = logits_of(*loaded.cx, *loaded.model, hidden);
      take(s, logits.data<float>(), o);
      show(s, on_text, !s.stop_reason.empty());
      if (!s.stop_reason.empty()) break;
      if (stop.stop_requested()) {
        s.stop_reason = "cancelled";
        break;
      }
      hidden = loaded.model->forward_cached(*loaded.cx, {{s.ids.back()}}, {&s.cache});
    }
    return finish(s);
  }
  void show(Sequence& s, const std::function<void(const std::string&)>& on_text, bool last) const {
    if (!on_text) return;
    const std::string text = tokenizer().decode(s.ids);
    const std::string_view ready = last ? std::string_view(text) : whole_characters(text);
    if (ready.size() <= s.shown.size()) return;
    on_text(std::string(ready.substr(s.shown.size())));
    s.shown = std::string(ready);
  }
  Generated finish(const Sequence& s) const {
    const auto rate = [](int64_t tokens, double seconds) { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0; };
    Generated g;
    g.ids = s.ids;
    g.text = tokenizer().decode(s.ids);
    g.stop_reason = s.stop_reason;
    g.prompt_tokens = static_cast<int64_t>(s.prompt.size());
    g.tokens_per_s = rate(s.taken - 1, s.newest - s.prompt_read);
    if (s.taken > 0) g.prompt_tokens_per_s = rate(g.prompt_tokens, s.prompt_read - s.began);
    g.kv_bytes = s.cache.bytes();
    return g;
  }
  // Reads the prompts of a batch, then steps all unfinished sequences together until none is left.
  void generate_batch(std::vector<Sequence>& batch, const SamplingOptions& o, std::stop_token stop) {
    for (auto& s : batch) s.began = monotonic_seconds(), take(s, logits_of(*loaded.cx, *loaded.model, read_prompt(s, stop)).data<float>(), o);
    while (true) {
      std::vector<Sequence*> open;
      for (auto& s : batch)
        if (s.stop_reason.empty()) open.push_back(&s);
      if (open.empty()) return;
      if (stop.stop_requested()) throw Interrupted("stopped while answering");
      std::vector<std::vector<int32_t>> next;
      std::vector<KvCache*> caches;
      for (Sequence* s : open) next.push_back({s->ids.back()}), caches.push_back(&s->cache);
      const Tensor logits = logits_of(*loaded.cx, *loaded.model, loaded.model->forward_cached(*loaded.cx, next, caches));
      for (size_t i = 0; i < open.size(); ++i) take(*open[i], logits.row<float>(static_cast<int64_t>(i)), o);
    }
  }
};

ChatModel::ChatModel(const ChatModelRequest& request, std::stop_token stop) : state_(std::make_unique<State>()) {
  detail::LoadRequest load;
  load.model = request.model;
  load.adapter = request.adapter;
  load.options.quantization = request.quant;
  load.threads = static_cast<int>(request.threads);
  detail::require_device(request.device);
  state_->device = detail::chosen_device(request.device);
  const CardScope card = detail::use_device(state_->device);
  load.device = detail::device_of(state_->device);
  load.compute = detail::compute_type_of(request.compute, request.quant, load.device);
  state_->kv_type = kv_type_of(request.kv_cache, load.compute);
  state_->loaded = detail::load_for_use(load, stop);
}
ChatModel::~ChatModel() = default;

Generated ChatModel::complete(const std::string& prompt, const SamplingOptions& o, std::stop_token stop,
                              const std::function<void(const std::string&)>& on_text) {
  const CardScope card = detail::use_device(state_->device);
  state_->prompt_text = prompt;
  return state_->generate(state_->tokenizer().encode(prompt, {.parse_special = true, .add_special = true}), o, stop, on_text);
}

Generated ChatModel::answer(const Json& messages, const SamplingOptions& o, std::stop_token stop,
                            const std::function<void(const std::string&)>& on_text) {
  const CardScope card = detail::use_device(state_->device);
  state_->prompt_text = state_->render(messages);
  return state_->generate(state_->tokenizer().encode(state_->prompt_text), o, stop, on_text);
}

const std::vector<std::string>& kv_cache_names() {
  static const std::vector<std::string> names = {"auto", "f32", "bf16", "int8"};
  return names;
}

std::string ChatModel::kv_cache() const { return state_->kv_type == DType::i8 ? "int8" : std::string(dtype_name(state_->kv_type)); }
const std::string& ChatModel::last_prompt() const { return state_->prompt_text; }
void ChatModel::use_adapter(bool on) { enable_adapters(*state_->loaded.model, on); }
bool ChatModel::has_adapter() const { return state_->loaded.has_adapter; }

std::vector<Generated> ChatModel::answer_all(const std::vector<Json>& messages, const SamplingOptions& o, int64_t batch,
                                             std::stop_token stop, const std::function<void(int64_t)>& on_done) {
  const CardScope card = detail::use_device(state_->device);
  std::vector<Generated> out;
  for (size_t first = 0; first < messages.size(); first += static_cast<size_t>(batch)) {
    std::vector<Sequence> sequences;
    for (size_t i = first; i < std::min(messages.size(), first + static_cast<size_t>(batch)); ++i)
      sequences.push_back(state_->start(state_->tokenizer().encode(state_->render(messages[i])), o, i));
    state_->generate_batch(sequences, o, stop);
    for (const auto& s : sequences) out.push_back(state_->finish(s));
    if (on_done) on_done(static_cast<int64_t>(out.size()));
  }
  return out;
}

}  // namespace lorikeet
