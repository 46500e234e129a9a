/// The figures behind the charts, one row a step: the table twin for those who cannot or will not read a chart.
#pragma once
#include <QAbstractTableModel>
#include <map>
#include <vector>

#include "core/run/jobs.h"

namespace lorikeet::ui {

class MetricsModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum Column { step_column, epoch_column, loss_column, eval_column, rate_column, norm_column, speed_column, memory_column, tokens_column, column_count };
  enum Role { raw_role = Qt::UserRole };
  using QAbstractTableModel::QAbstractTableModel;

  void clear();
  /// Rows that arrive during a run are inserted, never a reset.
  void append(const std::vector<StepReport>& steps);
  /// Takes back this step and all after it: a continued run does them again.
  void removeFrom(int64_t step);
  const std::vector<StepReport>& steps() const { return steps_; }

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  double value(const StepReport& step, int column) const;
  void addEvals(const std::vector<EvalReport>& evals);

 private:
  std::vector<StepReport> steps_;
  std::map<int64_t, double> evals_;  // loss by step
};

}  // namespace lorikeet::ui
