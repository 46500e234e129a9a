#include "ui/viewmodels/chat_view_model.h"

#include <mutex>
#include <string>
#include <utility>

namespace lorikeet::ui {
namespace {

constexpr int kPollMs = 50;
const QString kQuestion = QStringLiteral("answer");

struct Answers { Generated tuned, base; std::string prompt; };

}  // namespace

struct ChatViewModel::Worker {
  std::unique_ptr<ChatModel> chat;  // chat thread only
  std::string loaded;               // what `chat` was made from
  std::mutex mutex;                 // guards the texts, which the window polls
  std::string tuned, base;
  bool loading = false;
};

ChatViewModel::ChatViewModel(QueryRunner& worker, QObject* parent) : QObject(parent), worker_(worker), state_(std::make_shared<Worker>()) {
  poll_timer_.setInterval(kPollMs);
  connect(&poll_timer_, &QTimer::timeout, this, &ChatViewModel::poll);
}

ChatViewModel::~ChatViewModel() { worker_.cancel(this, kQuestion); }

void ChatViewModel::setModel(const QString& model, const QString& adapter, const QString& name, const QString& quant) {
  if (model == model_ && adapter == adapter_ && quant == quant_ && name == name_) return;
  stop();
  model_ = model, adapter_ = adapter, name_ = name, quant_ = quant;
  emit modelChanged();
}

void ChatViewModel::setExamples(const QStringList& questions, bool held_out) {
  examples_ = questions;
  held_out_ = held_out;
  emit modelChanged();
}

void ChatViewModel::ask(const QString& question) {
  if (busy_ || question.trimmed().isEmpty()) return;
  turns_.push_back({question.trimmed(), {}, {}, {}, {}});
  emit turnsChanged();
  generate();
}

void ChatViewModel::regenerate() {
  if (busy_ || turns_.empty()) return;
  ChatTurn& last = turns_.back();
  last.answer.clear(), last.base_answer.clear(), last.footnote.clear();
  if (sampling_.temperature > 0) ++sampling_.seed;  // greedy text would only repeat itself
  emit turnsChanged();
  generate();
}

void ChatViewModel::stop() {
  if (busy_) worker_.cancel(this, kQuestion);
}

void ChatViewModel::clear() {
  stop();
  if (busy_) return;  // the turn in work is kept until it has ended
  turns_.clear();
  emit turnsChanged();
}

void ChatViewModel::generate() {
  Json messages = Json::array();
  if (!system_.trimmed().isEmpty()) messages.push_back({{"role", "system"}, {"content", system_.toStdString()}});
  for (size_t i = 0; i < turns_.size(); ++i) {
    messages.push_back({{"role", "user"}, {"content", turns_[i].question.toStdString()}});
    if (i + 1 < turns_.size()) messages.push_back({{"role", "assistant"}, {"content", turns_[i].answer.toStdString()}});
  }
  const ChatModelRequest request{model_.toStdString(), adapter_.toStdString(), quant_.isEmpty() ? "keep" : quant_.toStdString(), 0};
  {
    std::lock_guard lock(state_->mutex);
    state_->tuned.clear(), state_->base.clear();
  }
  const auto work = [state = state_, request, messages, options = sampling_, both = compare()](std::stop_token stop) {
    const std::string wanted = request.model + '\n' + request.adapter + '\n' + request.quant;
    if (!state->chat || state->loaded != wanted) {
      { std::lock_guard lock(state->mutex); state->loading = true; }
      state->chat.reset();  // the old model's memory first
      state->chat = std::make_unique<ChatModel>(request, stop);
      state->loaded = wanted;
    }
    { std::lock_guard lock(state->mutex); state->loading = false; }
    const auto into = [&state](std::string& box) {
      return [&state, &box](const std::string& piece) { std::lock_guard lock(state->mutex); box += piece; };
    };
    Answers out;
    state->chat->use_adapter(state->chat->has_adapter());
    out.tuned = state->chat->answer(messages, options, stop, into(state->tuned));
    out.prompt = state->chat->last_prompt();
    if (both && !stop.stop_requested()) {
      state->chat->use_adapter(false);
      out.base = state->chat->answer(messages, options, stop, into(state->base));
      state->chat->use_adapter(true);
    }
    return out;
  };
  busy_ = true;
  status_ = tr("Thinking…");
  poll_timer_.start();
  emit busyChanged();
  worker_.ask(this, kQuestion, work, [this](const Answers& a) {
    ChatTurn& turn = turns_.back();
    turn.answer = QString::fromStdString(a.tuned.text);
    turn.base_answer = QString::fromStdString(a.base.text);
    turn.prompt = QString::fromStdString(a.prompt);
    QString why = a.tuned.stop_reason == "end_token" ? tr("ended by itself") : a.tuned.stop_reason == "cancelled" ? tr("stopped")
                : a.tuned.stop_reason == "context_full" ? tr("the context is full") : tr("at the length limit");
    turn.footnote = (a.tuned.ids.size() == 1 ? tr("1 token") : tr("%1 tokens").arg(a.tuned.ids.size())) + QStringLiteral(" · ") +
                    tr("%1 tokens/s").arg(a.tuned.tokens_per_s, 0, 'f', 1) + QStringLiteral(" · ") + why;
    ended();
  }, [this](const ErrorText& e) {
    ended();
    emit problem(tr("There is no answer."), e);
  });
}

void ChatViewModel::poll() {
  if (turns_.empty()) return;
  std::string tuned, base;
  bool loading = false;
  {
    std::lock_guard lock(state_->mutex);
    tuned = state_->tuned, base = state_->base, loading = state_->loading;
  }
  const QString status = loading ? tr("Loading the model…") : tuned.empty() ? tr("Reading the prompt…") : tr("Answering…");
  ChatTurn& turn = turns_.back();
  const QString a = QString::fromStdString(tuned), b = QString::fromStdString(base);
  if (a == turn.answer && b == turn.base_answer && status == status_) return;
  turn.answer = a, turn.base_answer = b;
  if (status != status_) {
    status_ = status;
    emit busyChanged();
  }
  emit turnUpdated(int(turns_.size()) - 1);
}

void ChatViewModel::ended() {
  poll_timer_.stop();
  busy_ = false;
  status_.clear();
  emit turnUpdated(int(turns_.size()) - 1);
  emit busyChanged();
}

}  // namespace lorikeet::ui
