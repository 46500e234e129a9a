/// The state behind Monitor: one run's figures, live from the session or read from its folder. No widgets.
#pragma once
#include <QObject>
#include <QTimer>
#include <functional>
#include <vector>

#include "ui/models/metrics_model.h"
#include "ui/models/rows_model.h"
#include "ui/session/query_runner.h"
#include "ui/session/session.h"

namespace lorikeet::ui {

enum class XAxis { steps, tokens, time };

class MonitorViewModel : public QObject {
  Q_OBJECT
 public:
  MonitorViewModel(Session& session, QueryRunner& queries, QObject* parent = nullptr);

  /// Shows a run from its folder; follows the file while another program trains it.
  void showRun(const QString& folder);
  bool isEmpty() const { return folder_.isEmpty() && !live_; }
  bool isLive() const { return live_; }  // the run in the session
  const QString& folder() const { return folder_; }
  QString runName() const;
  QString stateText() const;
  bool canContinue() const;

  const std::vector<StepReport>& steps() const { return metrics_.steps(); }
  const std::vector<EvalReport>& evals() const { return evals_; }
  const std::vector<double>& smoothedLoss() const { return smoothed_; }
  qint64 totalSteps() const;
  double bestEval(qint64* at_step = nullptr) const;  // NaN without any
  double clipNorm() const { return clip_norm_; }      // 0: not known or off
  double plannedBytes() const { return planned_bytes_; }
  qint64 clippedSteps() const;
  double startedAt() const;
  double secondsLeft() const;
  double secondsGone() const;
  /// What the graphics cards do, asked for on the query worker while a run lives; see gpu_information(). Without it, or
  /// without cards, gpuText() stays empty.
  void setGpuQuery(std::function<Json()> query) { gpu_query_ = std::move(query); }
  /// "GPU 87 % busy · 6.1 of 24 GB · 64 °C · 310 W": of the card that the shown run computes on.
  const QString& gpuText() const { return gpu_text_; }

  double smoothing() const { return smoothing_; }
  void setSmoothing(double weight);
  XAxis xAxis() const { return x_axis_; }
  void setXAxis(XAxis axis);
  double x(const StepReport& step) const;
  double x(const EvalReport& eval) const;

  MetricsModel& metricsModel() { return metrics_; }
  RowsModel& eventsModel() { return events_; }
  QString csv() const;

 signals:
  void runReplaced();     // another run, or all its points anew
  void pointsAdded();     // steps or evaluations at the end
  void headerChanged();
  void gpuChanged();
  void problem(const QString& what, const lorikeet::ui::ErrorText& error);

 private:
  struct History {
    std::vector<StepReport> steps;
    std::vector<EvalReport> evals;
    std::vector<std::pair<RunEvent, double>> events;
    Json information, plan;
    uint64_t read_to = 0;
    bool held = false;  // a program is writing it now
  };
  static History readHistory(const std::string& folder, uint64_t from);
  void takeHistory(History history, bool anew);
  void addEventsHeardOf(History& history) const;
  void addSteps(const std::vector<StepReport>& steps);
  void takeBackFrom(int64_t step);
  void smooth(const StepReport& step);
  void addEvent(const RunEvent& event, double time);
  void sessionChanged();
  void follow();
  void askGpu();
  void takeGpu(const Json& information);
  void clear();

  Session& session_;
  QueryRunner& queries_;
  MetricsModel metrics_;
  RowsModel events_;
  std::vector<std::pair<RunEvent, double>> shown_events_;
  std::vector<EvalReport> evals_;
  std::vector<double> smoothed_;
  QString folder_;
  Json information_;
  double clip_norm_ = 0, planned_bytes_ = 0, smoothing_ = 0.9, ema_ = 0, ema_weight_ = 0;
  XAxis x_axis_ = XAxis::steps;
  bool live_ = false, held_ = false;
  uint64_t read_to_ = 0;
  QTimer follow_timer_, gpu_timer_;
  std::function<Json()> gpu_query_;
  QString gpu_text_;
};

}  // namespace lorikeet::ui
