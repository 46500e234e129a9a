#include "ui/session/query_runner.h"

namespace lorikeet::ui {

QueryRunner::QueryRunner(const QString& thread_name, QObject* parent) : QObject(parent), worker_(std::make_unique<QObject>()) {
  worker_->moveToThread(&thread_);
  thread_.setObjectName(thread_name);
  thread_.start();
}

QueryRunner::~QueryRunner() {
  for (Open& open : open_) {
    *open.outdated = true;
    open.stop.request_stop();
  }
  thread_.quit();
  thread_.wait();
}

void QueryRunner::cancel(QObject* asker, const QString& key) {
  const auto it = open_.find({asker, key});
  if (it != open_.end()) it->stop.request_stop();
}

void QueryRunner::enqueue(QObject* asker, const QString& key, Work work) {
  const std::pair id(asker, key);
  if (const auto it = open_.find(id); it != open_.end()) {
    *it->outdated = true;
    it->stop.request_stop();
  }
  const Open open{next_number_++, std::stop_source(), std::make_shared<std::atomic<bool>>(false)};
  open_[id] = open;
  const QPointer<QObject> guard(asker);
  const auto deliver = [this, id, guard, number = open.number](const Answer& answer) {
    if (open_.value(id).number != number) return;  // asked anew
    open_.remove(id);
    if (guard && answer) answer();
  };
  QMetaObject::invokeMethod(
      worker_.get(),
      [this, deliver, work = std::move(work), stop = open.stop, outdated = open.outdated]() mutable {
        Answer answer;
        if (!*outdated) answer = work(stop.get_token());
        QMetaObject::invokeMethod(this, [deliver, answer = std::move(answer)] { deliver(answer); }, Qt::QueuedConnection);
      },
      Qt::QueuedConnection);
}

}  // namespace lorikeet::ui
