#include "ui/models/metrics_model.h"

#include <QLocale>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/text.h"
#include "ui/models/counted.h"

namespace lorikeet::ui {

void MetricsModel::clear() {
  beginResetModel();
  steps_.clear();
  evals_.clear();
  endResetModel();
}

void MetricsModel::append(const std::vector<StepReport>& steps) {
  if (steps.empty()) return;
  const int first = int(steps_.size());
  beginInsertRows({}, first, first + int(steps.size()) - 1);
  steps_.insert(steps_.end(), steps.begin(), steps.end());
  endInsertRows();
}

void MetricsModel::removeFrom(int64_t step) {
  evals_.erase(evals_.lower_bound(step), evals_.end());
  const auto it = std::lower_bound(steps_.begin(), steps_.end(), step, [](const StepReport& s, int64_t n) { return s.step < n; });
  if (it == steps_.end()) return;
  beginRemoveRows({}, int(it - steps_.begin()), int(steps_.size()) - 1);
  steps_.erase(it, steps_.end());
  endRemoveRows();
}

int MetricsModel::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : int(steps_.size()); }
int MetricsModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : column_count; }

void MetricsModel::addEvals(const std::vector<EvalReport>& evals) {
  for (const EvalReport& e : evals) evals_[e.step] = e.eval_loss;
  if (!steps_.empty() && !evals.empty()) emit dataChanged(index(0, eval_column), index(rowCount() - 1, eval_column));
}

double MetricsModel::value(const StepReport& s, int column) const {
  switch (column) {
    case step_column: return double(s.step);
    case epoch_column: return s.epoch;
    case loss_column: return s.loss;
    case eval_column: {
      const auto it = evals_.find(s.step);
      return it == evals_.end() ? std::numeric_limits<double>::quiet_NaN() : it->second;
    }
    case rate_column: return s.learning_rate;
    case norm_column: return s.grad_norm;
    case speed_column: return s.tokens_per_s;
    case memory_column: return double(s.host_bytes);
    default: return double(s.tokens);
  }
}

QVariant MetricsModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
  const double v = value(steps_[size_t(index.row())], index.column());
  if (role == raw_role) return v;
  if (role == Qt::TextAlignmentRole) return int(Qt::AlignRight | Qt::AlignVCenter);
  if (role != Qt::DisplayRole) return {};
  switch (index.column()) {
    case step_column:
    case tokens_column: return counted(double(v));
    case epoch_column: return QString::number(v, 'f', 2);
    case loss_column: return QString::number(v, 'f', 4);
    case eval_column: return std::isfinite(v) ? QString::number(v, 'f', 4) : QString();
    case rate_column: return QString::number(v, 'g', 4);
    case norm_column: return QString::number(v, 'f', 3);
    case memory_column: return QString::fromStdString(human_bytes(uint64_t(v)));
    default: return QString::number(v, 'f', 0);
  }
}

QVariant MetricsModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation == Qt::Horizontal && role == Qt::TextAlignmentRole) return int(Qt::AlignRight | Qt::AlignVCenter);
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole) return QAbstractTableModel::headerData(section, orientation, role);
  const QStringList names = {tr("Step"), tr("Epoch"), tr("Loss"), tr("Evaluation"), tr("Learning rate"), tr("Gradient norm"), tr("Tokens/s"), tr("Memory"), tr("Tokens")};
  return names.value(section);
}

}  // namespace lorikeet::ui
