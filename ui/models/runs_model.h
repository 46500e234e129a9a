/// The user's runs, newest first, as list_runs_json() tells them. Raw values stand under named roles for sorting.
#pragma once
#include <QAbstractTableModel>
#include <vector>

#include "core/base/json.h"

namespace lorikeet::ui {

struct RunRow {
  QString path, name, state, model, data;
  double started = 0, final_loss = 0, best_eval_loss = 0;  // NaN: unknown
  qint64 step = 0, total_steps = 0;
  bool can_continue = false, running = false;
  std::vector<float> spark;
};
/// What a run is called: the name a person gave it; the data's name where it was named "model-data-date-time" for them.
QString run_title(const QString& name, const QString& data);
/// The same with when it started, where several of one title stand in a list.
QString run_label(const RunRow& run);
/// "13:47" of today, "24 Nov 13:47" of another day.
QString short_time(double seconds);
/// True for a run that neither ended nor is being written: its program was killed.
bool was_cut_off(const RunRow& run);
/// The word for a state of a run folder: "interrupted" for one that says running and is held by nobody.
QString run_state_text(const RunRow& run);

class RunsModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum Column { name_column, state_column, step_column, loss_column, started_column, column_count };
  enum Role { path_role = Qt::UserRole, raw_role };
  using QAbstractTableModel::QAbstractTableModel;

  void setRuns(const Json& runs);  // of list_runs_json()
  const std::vector<RunRow>& rows() const { return rows_; }

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  QVariant text(const RunRow& run, int column) const;
  QVariant raw(const RunRow& run, int column) const;
  std::vector<RunRow> rows_;
};

}  // namespace lorikeet::ui
