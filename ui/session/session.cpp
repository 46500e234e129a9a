#include "ui/session/session.h"

#include <QCoreApplication>
#include <algorithm>

namespace lorikeet::ui {
namespace {
constexpr int kPollMs = 50;
/// A job that was asked to pause between two steps (saving, evaluating) reports no further step. It counts as paused
/// after this long without a word, or three times its step when that is longer.
constexpr qint64 kSilenceMs = 1500;
}  // namespace

QString session_state_text(SessionState state) {
  const auto tr = [](const char* s) { return QCoreApplication::translate("SessionState", s); };
  switch (state) {
    case SessionState::idle: return tr("No run");
    case SessionState::starting: return tr("Starting");
    case SessionState::running: return tr("Running");
    case SessionState::pausing: return tr("Pausing");
    case SessionState::paused: return tr("Paused");
    case SessionState::stopping: return tr("Stopping");
    case SessionState::finished: return tr("Finished");
    case SessionState::cancelled: return tr("Stopped");
    case SessionState::failed: return tr("Failed");
  }
  return {};
}

Session::Session(QObject* parent) : QObject(parent), runner_(std::make_unique<JobRunner>(box_)) {
  runner_->moveToThread(&thread_);
  connect(runner_.get(), &JobRunner::running, this, [this] {
    if (state_ == SessionState::starting) setState(SessionState::running);
  });
  connect(runner_.get(), &JobRunner::finished, this, [this] { endWith(SessionState::finished); });
  connect(runner_.get(), &JobRunner::cancelled, this, [this] { endWith(SessionState::cancelled); });
  connect(runner_.get(), &JobRunner::failed, this, [this](const ErrorText& error) {
    error_ = error;
    endWith(SessionState::failed);
  });
  poll_timer_.setInterval(kPollMs);
  connect(&poll_timer_, &QTimer::timeout, this, &Session::poll);
  thread_.setObjectName(QStringLiteral("lorikeet-job"));
  thread_.start();
}

Session::~Session() {
  stop_.request_stop();
  thread_.quit();
  thread_.wait();
}

bool Session::isActive() const {
  return state_ == SessionState::starting || state_ == SessionState::running || state_ == SessionState::pausing ||
         state_ == SessionState::paused || state_ == SessionState::stopping;
}

bool Session::start(const QString& name, JobFactory factory) {
  if (!canStart()) return false;
  name_ = name;
  run_folder_.clear();
  error_ = {};
  progress_ = {};
  last_step_ = {};
  stop_ = std::stop_source();
  box_.take();
  box_.set_result({});
  box_.set_paused(false);
  setState(SessionState::starting);
  poll_timer_.start();
  QMetaObject::invokeMethod(
      runner_.get(), [runner = runner_.get(), factory = std::move(factory), token = stop_.get_token()] { runner->run(factory, token); },
      Qt::QueuedConnection);
  return true;
}

void Session::pause() {
  if (!canPause()) return;
  silence_.start();
  box_.set_paused(true);
  setState(SessionState::pausing);
}

void Session::resume() {
  if (!canResume()) return;
  box_.set_paused(false);
  setState(SessionState::running);
}

void Session::stop() {
  if (!canStop()) return;
  stop_.request_stop();
  setState(SessionState::stopping);
}

void Session::setState(SessionState state) {
  if (state_ == state) return;
  state_ = state;
  emit stateChanged();
}

void Session::poll() {
  Reports r = box_.take();
  if (r.run_folder) {
    run_folder_ = QString::fromStdString(*r.run_folder);
    emit runFolderKnown(run_folder_);
  }
  if (r.progress) {
    progress_ = *r.progress;
    emit progressChanged();
  }
  if (!r.steps.empty()) {
    last_step_ = r.steps.back();
    emit stepsArrived(r.steps);
  }
  if (!r.evals.empty()) emit evalsArrived(r.evals);
  if (!r.events.empty()) emit eventsArrived(r.events);
  const bool said = std::any_of(r.events.begin(), r.events.end(), [](const RunEvent& e) { return e.event == "paused"; });
  noticePause(said || r.step_after_pause, r.progress || !r.steps.empty() || !r.evals.empty() || !r.events.empty());
}

void Session::noticePause(bool stood_at_gate, bool heard) {
  if (state_ != SessionState::pausing) return;
  if (heard) silence_.restart();
  const auto patience = std::max(kSilenceMs, qint64(3 * last_step_.step_ms));
  if (stood_at_gate || silence_.hasExpired(patience)) setState(SessionState::paused);
}

void Session::endWith(SessionState state) {
  poll_timer_.stop();
  poll();  // the last values come before the end
  setState(state);
}

}  // namespace lorikeet::ui
