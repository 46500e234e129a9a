/// Short questions answered off the GUI thread: reading headers, counting tokens, planning, generating text.
/// An answer is dropped when its asker is gone or has asked the same thing anew; the older question is told to stop.
#pragma once
#include <QMap>
#include <QObject>
#include <QPointer>
#include <QThread>
#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <utility>

#include "ui/session/error_text.h"

namespace lorikeet::ui {

class QueryRunner : public QObject {
  Q_OBJECT
 public:
  explicit QueryRunner(const QString& thread_name, QObject* parent = nullptr);
  ~QueryRunner() override;

  /// `work` runs in the worker; `done` or `failed` in the GUI thread. `key` names the question within `asker`.
  template <class Work, class Done>
  void ask(QObject* asker, const QString& key, Work work, Done done, std::function<void(const ErrorText&)> failed = {}) {
    enqueue(asker, key, [work = std::move(work), done = std::move(done), failed = std::move(failed)](std::stop_token stop) mutable -> Answer {
      try {
        if constexpr (std::is_void_v<decltype(work(stop))>) {
          work(stop);
          return [done = std::move(done)]() mutable { done(); };
        } else {
          auto value = std::make_shared<decltype(work(stop))>(work(stop));
          return [done = std::move(done), value]() mutable { done(std::move(*value)); };
        }
      } catch (...) {
        return [failed = std::move(failed), error = describe_current_exception()] { if (failed) failed(error); };
      }
    });
  }
  /// Tells a question to stop; its answer still arrives unless it is asked anew.
  void cancel(QObject* asker, const QString& key);
  bool isBusy(QObject* asker, const QString& key) const { return open_.contains({asker, key}); }

 private:
  using Answer = std::function<void()>;
  using Work = std::function<Answer(std::stop_token)>;
  struct Open {
    quint64 number = 0;
    std::stop_source stop;
    std::shared_ptr<std::atomic<bool>> outdated;  // not worth starting any more
  };
  void enqueue(QObject* asker, const QString& key, Work work);

  QMap<std::pair<QObject*, QString>, Open> open_;
  quint64 next_number_ = 1;
  QThread thread_;
  std::unique_ptr<QObject> worker_;
};

}  // namespace lorikeet::ui
