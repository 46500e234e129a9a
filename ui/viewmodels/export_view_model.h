/// The state behind Export: which run, into which folder, the job that writes, re-opens and compares, and its proof.
#pragma once
#include <QObject>

#include "ui/models/rows_model.h"
#include "ui/session/session.h"

namespace lorikeet::ui {

struct ProofLine { QString name, value; };

class ExportViewModel : public QObject {
  Q_OBJECT
 public:
  explicit ExportViewModel(QObject* parent = nullptr);
  void setSource(const QString& run_folder);
  void setDestination(const QString& folder);
  const QString& source() const { return source_; }
  const QString& destination() const { return destination_; }
  /// Ready to start; otherwise why not.
  bool isReady(QString* why = nullptr) const;
  void start();
  void stop() { session_.stop(); }
  Session& session() { return session_; }

  bool isDone() const { return session_.state() == SessionState::finished; }
  bool passed() const { return passed_; }
  const std::vector<ProofLine>& proof() const { return proof_; }
  RowsModel& filesModel() { return files_; }

 signals:
  void changed();
  void problem(const QString& what, const lorikeet::ui::ErrorText& error);

 private:
  void takeResult();
  Session session_;
  QString source_, destination_;
  bool passed_ = false;
  std::vector<ProofLine> proof_;
  RowsModel files_;
};

}  // namespace lorikeet::ui
