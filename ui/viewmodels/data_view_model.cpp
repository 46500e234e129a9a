#include "ui/viewmodels/data_view_model.h"

#include <QFileInfo>
#include <QLocale>
#include <algorithm>

#include "core/run/queries.h"
#include "ui/models/counted.h"

namespace lorikeet::ui {
namespace {

QString text_at(const Json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_string() ? QString::fromStdString(it->get<std::string>()) : QString();
}
double number_at(const Json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_number() ? it->get<double>() : 0;
}
bool flag_at(const Json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_boolean() && it->get<bool>();
}
const Json& list_at(const Json& j, const char* key) {
  static const Json kNone = Json::array();
  const auto it = j.find(key);
  return it != j.end() && it->is_array() ? *it : kNone;
}

ShownSample sample_of(const Json& j) {
  ShownSample s;
  s.number = qint64(number_at(j, "sample")), s.line = qint64(number_at(j, "line"));
  s.original_tokens = qint64(number_at(j, "original_tokens"));
  s.file = text_at(j, "file"), s.dropped = text_at(j, "dropped"), s.truncated = flag_at(j, "truncated");
  for (const Json& t : list_at(j, "tokens"))
    s.tokens.push_back({text_at(t, "text"), int(number_at(t, "id")), flag_at(t, "trained"), flag_at(t, "special"), flag_at(t, "truncated")});
  return s;
}
/// What decides what Data shows.
bool same_data(const RunConfig& a, const RunConfig& b) {
  for (const ConfigDifference& d : config_difference(a, b))
    if (d.key.rfind("data.", 0) == 0 || d.key.rfind("model.", 0) == 0) return false;
  return true;
}

}  // namespace

int ShownSample::trainedCount() const {
  return int(std::count_if(tokens.begin(), tokens.end(), [](const ShownToken& t) { return t.trained; }));
}

DataViewModel::DataViewModel(QueryRunner& queries, QObject* parent)
    : QObject(parent), queries_(queries), samples_({tr("Row"), tr("Tokens"), tr("Trained"), tr("Begins with")}) {
  samples_.setFigureColumns({0, 1, 2});
}

void DataViewModel::setConfig(const RunConfig& config) {
  if (asked_ && same_data(config, config_)) return;
  config_ = config;
  asked_ = true;
  first_ = 0;
  load(true);
}

void DataViewModel::showPage(qint64 first) {
  first_ = std::clamp<qint64>(first, 0, std::max<qint64>(0, sampleCount() - 1)) / kPageSize * kPageSize;
  load(false);
}

void DataViewModel::showSample(qint64 number) {
  wanted_ = number;
  if (number >= first_ && number < first_ + qint64(shown_.size())) {
    emit selectionAsked(int(number - first_));
    wanted_ = -1;
  } else {
    showPage(number);
  }
}

void DataViewModel::load(bool audit) {
  DataQuery query;
  query.config = config_;
  query.model = config_.model.path;
  query.show = kPageSize;
  query.first_shown = first_;
  query.audit = audit;
  loading_ = true;
  emit loadingChanged();
  queries_.ask(this, QStringLiteral("data"), [query](std::stop_token stop) mutable {
    if (query.config.data.train.empty()) query.config.data.train = sample_project_config().data.train;  // as a run would
    return inspect_data(query, stop);
  },
               [this, audit](const Json& answer) { take(answer, audit); },
               [this](const ErrorText& e) {
                 loading_ = false;
                 summary_ = {};
                 shown_.clear();
                 findings_.clear();
                 histogram_.clear();
                 fillRows();
                 emit loadingChanged();
                 emit changed();
                 emit problem(tr("The data could not be read."), e);
               });
}

void DataViewModel::take(const Json& answer, bool audit) {
  loading_ = false;
  summary_ = answer;
  shown_.clear();
  for (const Json& s : list_at(answer, "shown")) shown_.push_back(sample_of(s));
  histogram_.clear();
  for (const Json& bar : list_at(answer, "histogram"))
    histogram_.push_back({number_at(bar, "from"), number_at(bar, "to"), number_at(bar, "count")});
  if (audit) {
    findings_.clear();
    for (const Json& f : list_at(answer, "findings")) {
      DataFinding finding{text_at(f, "severity"), text_at(f, "kind"), text_at(f, "text"), qint64(number_at(f, "count")), {}};
      for (const Json& n : list_at(f, "samples"))
        if (n.is_number()) finding.samples.push_back(n.get<qint64>());
      findings_.push_back(std::move(finding));
    }
    for (const Json& bad : list_at(answer, "bad_rows")) {
      if (findings_.size() > 30) break;
      findings_.push_back({QStringLiteral("warning"), QStringLiteral("bad_row"),
                           tr("%1, line %2: %3").arg(QFileInfo(text_at(bad, "file")).fileName()).arg(number_at(bad, "line")).arg(text_at(bad, "reason")), 1, {}});
    }
  }
  fillRows();
  emit loadingChanged();
  emit changed();
  if (wanted_ >= first_ && wanted_ < first_ + qint64(shown_.size())) emit selectionAsked(int(wanted_ - first_));
  wanted_ = -1;
}

void DataViewModel::fillRows() {
  std::vector<TableRow> rows;
  for (const ShownSample& s : shown_) {
    QString begin;
    for (const ShownToken& t : s.tokens) {
      if (!t.special) begin += t.text;
      if (begin.size() > 160) break;
    }
    begin = begin.simplified();
    if (!s.dropped.isEmpty()) begin = tr("left out: %1").arg(s.dropped);
    TableRow row;
    row.texts = {QString::number(s.number + 1), QString::number(s.tokens.size()), QString::number(s.trainedCount()), begin};
    row.raw = {s.number, qlonglong(s.tokens.size()), s.trainedCount()};
    row.tool_tip = tr("%1, line %2").arg(s.file).arg(s.line);
    rows.push_back(std::move(row));
  }
  samples_.setRows(std::move(rows));
}

qint64 DataViewModel::sampleCount() const { return summary_.is_null() ? 0 : qint64(number_at(summary_, "samples")); }
QString DataViewModel::evidence() const {
  QString text = summary_.is_null() ? QString() : text_at(summary_, "evidence");
  if (!text.isEmpty()) text[0] = text[0].toUpper();
  return text;
}

QString DataViewModel::summaryText() const {
  if (summary_.is_null()) return {};
  QStringList parts = {text_at(summary_, "format"), tr("%1 samples").arg(counted(number_at(summary_, "samples")))};
  if (number_at(summary_, "tokens") > 0) {
    parts << tr("%1 tokens").arg(counted(number_at(summary_, "tokens")));
    parts << tr("%1 trained on").arg(counted(number_at(summary_, "target_tokens")));
  }
  if (number_at(summary_, "longest") > 0) parts << tr("longest %1").arg(counted(number_at(summary_, "longest")));
  if (number_at(summary_, "truncated") > 0) parts << tr("%1 cut").arg(counted(number_at(summary_, "truncated")));
  if (number_at(summary_, "dropped") > 0) parts << tr("%1 left out").arg(counted(number_at(summary_, "dropped")));
  if (number_at(summary_, "bad_row_count") > 0) parts << tr("%1 unreadable rows").arg(counted(number_at(summary_, "bad_row_count")));
  return parts.join(QStringLiteral(" · "));
}

const ShownSample* DataViewModel::sample(int row) const {
  return row >= 0 && row < int(shown_.size()) ? &shown_[size_t(row)] : nullptr;
}

}  // namespace lorikeet::ui
