#include "ui/models/runs_model.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QFileInfo>
#include <QLocale>
#include <QRegularExpression>
#include <cmath>
#include <limits>

namespace lorikeet::ui {
namespace {

QString text_at(const Json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_string() ? QString::fromStdString(it->get<std::string>()) : QString();
}
double number_at(const Json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_number() ? it->get<double>() : std::numeric_limits<double>::quiet_NaN();
}
bool flag_at(const Json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_boolean() && it->get<bool>();
}
qint64 whole_at(const Json& j, const char* key) {
  const double v = number_at(j, key);
  return std::isfinite(v) ? qint64(v) : 0;
}

RunRow row_of(const Json& j) {
  RunRow r;
  r.path = text_at(j, "path"), r.name = text_at(j, "name"), r.state = text_at(j, "state");
  r.model = text_at(j, "model"), r.data = text_at(j, "data");
  r.started = number_at(j, "started"), r.final_loss = number_at(j, "final_loss"), r.best_eval_loss = number_at(j, "best_eval_loss");
  r.step = whole_at(j, "step"), r.total_steps = whole_at(j, "total_steps");
  r.can_continue = flag_at(j, "can_continue"), r.running = flag_at(j, "running");
  if (const auto it = j.find("spark"); it != j.end() && it->is_array())
    for (const Json& v : *it) r.spark.push_back(v.is_number() ? v.get<float>() : std::numeric_limits<float>::quiet_NaN());
  return r;
}

}  // namespace

QString run_title(const QString& name, const QString& data) {
  static const QRegularExpression kDated(QStringLiteral("-\\d{8}-\\d{6}(-\\d+)?$"));
  const QString stem = QFileInfo(data).completeBaseName();
  return stem.isEmpty() || !kDated.match(name).hasMatch() ? name : stem;
}

QString short_time(double seconds) {
  const QDateTime at = QDateTime::fromSecsSinceEpoch(qint64(seconds));
  return at.toString(at.date() == QDate::currentDate() ? QStringLiteral("HH:mm") : QStringLiteral("d MMM HH:mm"));
}

QString run_label(const RunRow& run) {
  const QString title = run_title(run.name, run.data);
  return std::isfinite(run.started) ? title + QStringLiteral(" · ") + short_time(run.started) : title;
}

bool was_cut_off(const RunRow& run) { return !run.running && (run.state == "running" || run.state == "interrupted"); }

QString run_state_text(const RunRow& run) {
  const auto tr = [](const char* s) { return QCoreApplication::translate("RunState", s); };
  if (run.running) return tr("running");
  if (was_cut_off(run)) return tr("interrupted");
  if (run.state == "finished") return tr("finished");
  if (run.state == "cancelled") return tr("stopped");
  if (run.state == "failed") return tr("failed");
  return run.state;
}

void RunsModel::setRuns(const Json& runs) {
  beginResetModel();
  rows_.clear();
  const auto it = runs.find("runs");
  if (it != runs.end() && it->is_array())
    for (const Json& run : *it) rows_.push_back(row_of(run));
  endResetModel();
}

int RunsModel::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : int(rows_.size()); }
int RunsModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : column_count; }

QVariant RunsModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
  const RunRow& run = rows_[size_t(index.row())];
  if (role == Qt::DisplayRole) return text(run, index.column());
  if (role == raw_role) return raw(run, index.column());
  if (role == path_role || role == Qt::ToolTipRole) return run.path;
  return {};
}

QVariant RunsModel::text(const RunRow& run, int column) const {
  switch (column) {
    case name_column: return run.name;
    case state_column: return run_state_text(run);
    case step_column: return tr("%1 of %2").arg(run.step).arg(run.total_steps);
    case loss_column: return std::isfinite(run.final_loss) ? QString::number(run.final_loss, 'f', 3) : tr("–");
    case started_column:
      return std::isfinite(run.started) ? QLocale().toString(QDateTime::fromSecsSinceEpoch(qint64(run.started)), QLocale::ShortFormat) : tr("–");
    default: return {};
  }
}

QVariant RunsModel::raw(const RunRow& run, int column) const {
  switch (column) {
    case name_column: return run.name;
    case state_column: return run.state;
    case step_column: return run.step;
    case loss_column: return run.final_loss;
    default: return run.started;
  }
}

QVariant RunsModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole) return QAbstractTableModel::headerData(section, orientation, role);
  const QStringList names = {tr("Run"), tr("State"), tr("Step"), tr("Loss"), tr("Started")};
  return names.value(section);
}

}  // namespace lorikeet::ui
