/// The one place in the window where a job lives: Session stands in the GUI thread, the job in a worker thread.
/// A click sets only `starting`, `pausing` and `stopping`; the other states come from the worker, so what the window
/// says has happened has happened.
#pragma once
#include <QElapsedTimer>
#include <QObject>
#include <QThread>
#include <QTimer>
#include <memory>
#include <stop_token>
#include <vector>

#include "ui/session/job_runner.h"

namespace lorikeet::ui {

enum class SessionState { idle, starting, running, pausing, paused, stopping, finished, cancelled, failed };
QString session_state_text(SessionState state);

class Session : public QObject {
  Q_OBJECT
 public:
  explicit Session(QObject* parent = nullptr);
  ~Session() override;  // asks the job to stop and waits for it

  SessionState state() const { return state_; }
  /// A job is in the worker, from starting to stopping.
  bool isActive() const;
  bool canStart() const { return !isActive(); }
  bool canPause() const { return state_ == SessionState::running; }
  bool canResume() const { return state_ == SessionState::pausing || state_ == SessionState::paused; }
  bool canStop() const { return isActive() && state_ != SessionState::stopping; }

  /// `name` is what the window calls the job. Does nothing while another job is active.
  bool start(const QString& name, JobFactory factory);
  void pause();
  void resume();
  void stop();

  const QString& name() const { return name_; }
  const QString& runFolder() const { return run_folder_; }
  const ErrorText& error() const { return error_; }
  const Progress& progress() const { return progress_; }
  const StepReport& lastStep() const { return last_step_; }
  Json result() const { return box_.result(); }

 signals:
  void stateChanged();
  void stepsArrived(const std::vector<lorikeet::StepReport>& steps);
  void evalsArrived(const std::vector<lorikeet::EvalReport>& evals);
  void eventsArrived(const std::vector<lorikeet::RunEvent>& events);
  void progressChanged();
  void runFolderKnown(const QString& folder);

 private:
  void setState(SessionState state);
  void poll();
  void endWith(SessionState state);
  void noticePause(bool stood_at_gate, bool heard);

  SessionState state_ = SessionState::idle;
  QString name_, run_folder_;
  ErrorText error_;
  Progress progress_;
  StepReport last_step_;
  ReportBox box_;
  std::stop_source stop_;
  QThread thread_;
  QTimer poll_timer_;
  QElapsedTimer silence_;
  std::unique_ptr<JobRunner> runner_;
};

}  // namespace lorikeet::ui
