#include "ui/viewmodels/export_view_model.h"

#include <QFileInfo>

#include "core/base/text.h"

namespace lorikeet::ui {

ExportViewModel::ExportViewModel(QObject* parent) : QObject(parent), files_({tr("File"), tr("Size"), tr("SHA-256")}) {
  files_.setFigureColumns({1});
  connect(&session_, &Session::progressChanged, this, &ExportViewModel::changed);
  connect(&session_, &Session::stateChanged, this, [this] {
    if (session_.state() == SessionState::finished) takeResult();
    emit changed();
    if (session_.state() == SessionState::failed) emit problem(tr("The export failed."), session_.error());
  });
}

void ExportViewModel::setSource(const QString& run_folder) {
  source_ = run_folder;
  emit changed();
}

void ExportViewModel::setDestination(const QString& folder) {
  destination_ = folder;
  emit changed();
}

bool ExportViewModel::isReady(QString* why) const {
  QString reason;
  if (source_.isEmpty()) reason = tr("Choose a run.");
  else if (destination_.trimmed().isEmpty()) reason = tr("Choose where to write.");
  else if (session_.isActive()) reason = tr("An export is being written.");
  if (why) *why = reason;
  return reason.isEmpty();
}

void ExportViewModel::start() {
  if (!isReady()) return;
  proof_.clear();
  files_.setRows({});
  ExportRequest request;
  request.from = source_.toStdString();
  request.out = destination_.trimmed().toStdString();
  session_.start(QFileInfo(source_).fileName(), [request] { return make_export_job(request); });
}

void ExportViewModel::takeResult() {
  const Json result = session_.result();
  std::vector<TableRow> rows;
  if (const auto files = result.find("files"); files != result.end() && files->is_array())
    for (const Json& f : *files) {
      if (!f.is_object()) continue;
      const auto bytes = f.value("bytes", uint64_t{0});
      const QString path = QString::fromStdString(f.value("path", ""));
      rows.push_back({{QFileInfo(path).fileName(), QString::fromStdString(human_bytes(bytes)), QString::fromStdString(f.value("sha256", ""))},
                      {path, qulonglong(bytes)}, {}, {}});
    }
  files_.setRows(std::move(rows));
  passed_ = false;
  const auto verify = result.find("verify");
  if (verify == result.end() || !verify->is_object()) return;
  passed_ = verify->value("passed", false);
  const auto add = [&](const char* key, const QString& name, bool percent) {
    const auto it = verify->find(key);
    if (it == verify->end() || !it->is_number()) return;
    proof_.push_back({name, percent ? QStringLiteral("%1 %").arg(it->get<double>() * 100, 0, 'f', 2) : QString::number(it->get<double>(), 'g', 3)});
  };
  add("max_abs_logit", tr("Largest difference of a logit"), false);
  add("mean_kl", tr("Mean divergence (KL)"), false);
  add("top1_agreement", tr("Same most likely token"), true);
}

}  // namespace lorikeet::ui
