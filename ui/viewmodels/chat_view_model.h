/// The state behind Chat: the conversation, the model in the chat worker, and the text as it streams in. With
/// `compare` each question is answered twice with the same seed, by the tuned and by the base model.
#pragma once
#include <QObject>
#include <QTimer>
#include <memory>
#include <vector>

#include "core/run/chat.h"
#include "ui/session/query_runner.h"

namespace lorikeet::ui {

struct ChatTurn {
  QString question, answer, base_answer;  // base_answer only when compared
  QString prompt;                         // the exact text the model saw
  QString footnote;                       // tokens/s, why it stopped
};

class ChatViewModel : public QObject {
  Q_OBJECT
 public:
  explicit ChatViewModel(QueryRunner& worker, QObject* parent = nullptr);
  ~ChatViewModel() override;

  /// Empty adapter: the base model alone. The model is loaded with the next question.
  void setModel(const QString& model, const QString& adapter, const QString& name, const QString& quant);
  const QString& modelName() const { return name_; }
  bool hasAdapter() const { return !adapter_.isEmpty(); }
  void setCompare(bool on) { compare_ = on; }
  bool compare() const { return compare_ && hasAdapter(); }
  const QString& adapter() const { return adapter_; }
  void setSystemPrompt(const QString& text) { system_ = text; }
  const QString& systemPrompt() const { return system_; }
  /// Questions to begin with, out of the data the model was taught with. `held_out`: it has not seen them.
  void setExamples(const QStringList& questions, bool held_out);
  const QStringList& examples() const { return examples_; }
  bool examplesHeldOut() const { return held_out_; }
  SamplingOptions& sampling() { return sampling_; }

  void ask(const QString& question);
  void regenerate();
  void stop();
  void clear();
  bool isBusy() const { return busy_; }
  QString statusText() const { return status_; }
  const std::vector<ChatTurn>& turns() const { return turns_; }

 signals:
  void turnsChanged();            // a turn was added or removed
  void turnUpdated(int index);    // text arrived
  void busyChanged();
  void modelChanged();  // or what goes with it: system prompt, examples
  void problem(const QString& what, const lorikeet::ui::ErrorText& error);

 private:
  struct Worker;  // lives on the chat thread only, but for its text box
  void generate();
  void poll();
  void ended();

  QueryRunner& worker_;
  std::shared_ptr<Worker> state_;
  QString model_, adapter_, name_, quant_, system_, status_;
  SamplingOptions sampling_;
  QStringList examples_;
  bool compare_ = false, busy_ = false, held_out_ = false;
  std::vector<ChatTurn> turns_;
  QTimer poll_timer_;
};

}  // namespace lorikeet::ui
