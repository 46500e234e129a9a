/// The state behind Data: the set of the config as the model will see it. Pages of samples are fetched as they are
/// needed; the audit reads the whole set once.
#pragma once
#include <QObject>
#include <vector>

#include "core/config/run_config.h"
#include "ui/models/rows_model.h"
#include "ui/session/query_runner.h"

namespace lorikeet::ui {

struct ShownToken { QString text; int id = 0; bool trained = false, special = false, cut = false; };
struct ShownSample {
  qint64 number = 0, line = 0, original_tokens = 0;
  QString file, dropped;
  bool truncated = false;
  std::vector<ShownToken> tokens;
  int trainedCount() const;
};
struct HistogramBar { double from = 0, to = 0, count = 0; };
struct DataFinding { QString severity, kind, text; qint64 count = 0; std::vector<qint64> samples; };

class DataViewModel : public QObject {
  Q_OBJECT
 public:
  explicit DataViewModel(QueryRunner& queries, QObject* parent = nullptr);
  static constexpr qint64 kPageSize = 100;

  /// Reads the config's data again when something that matters to it changed.
  void setConfig(const RunConfig& config);
  void showPage(qint64 first);
  /// Goes to the page with this sample and selects it.
  void showSample(qint64 number);

  bool isLoading() const { return loading_; }
  bool hasData() const { return !summary_.is_null(); }
  qint64 first() const { return first_; }
  qint64 sampleCount() const;
  qint64 maxLength() const { return config_.data.max_length; }
  /// One line: format with the evidence, counts.
  QString summaryText() const;
  QString evidence() const;
  const std::vector<HistogramBar>& histogram() const { return histogram_; }
  const std::vector<DataFinding>& findings() const { return findings_; }
  const ShownSample* sample(int row) const;
  RowsModel& samplesModel() { return samples_; }

 signals:
  void changed();
  void loadingChanged();
  void selectionAsked(int row);
  void problem(const QString& what, const lorikeet::ui::ErrorText& error);

 private:
  void load(bool audit);
  void take(const Json& answer, bool audit);
  void fillRows();

  QueryRunner& queries_;
  RunConfig config_;
  Json summary_;
  bool loading_ = false, asked_ = false;
  qint64 first_ = 0, wanted_ = -1;
  std::vector<HistogramBar> histogram_;
  std::vector<DataFinding> findings_;
  std::vector<ShownSample> shown_;
  RowsModel samples_;
};

}  // namespace lorikeet::ui
