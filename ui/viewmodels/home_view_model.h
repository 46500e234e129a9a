/// The state behind Home: the user's runs, the machine, and the newest run that was cut off and can go on.
#pragma once
#include <QObject>
#include <functional>

#include "ui/models/runs_model.h"
#include "ui/session/query_runner.h"

namespace lorikeet::ui {

struct DeviceLine { QString name, text; };  // without a name: a remark under the others

class HomeViewModel : public QObject {
  Q_OBJECT
 public:
  explicit HomeViewModel(QueryRunner& queries, QObject* parent = nullptr);
  void refresh();
  /// Asked once, on the query worker; the program gives one that knows its GPUs. Without it: what core/run says.
  void setDeviceQuery(std::function<Json()> query) { device_query_ = std::move(query); }
  bool isLoaded() const { return loaded_; }
  RunsModel& runs() { return runs_; }
  /// The newest run that was interrupted (not stopped by its user); null when none.
  const RunRow* interrupted() const;
  const std::vector<DeviceLine>& deviceLines() const { return device_lines_; }
  /// "GPU · RTX 4090" where one can be used, else "CPU · AVX2": for the status bar.
  const QString& deviceShort() const { return device_short_; }

 signals:
  void runsChanged();
  void deviceChanged();
  void problem(const QString& what, const lorikeet::ui::ErrorText& error);

 private:
  void takeDevice(const Json& info);
  QueryRunner& queries_;
  RunsModel runs_;
  std::function<Json()> device_query_;
  bool loaded_ = false;
  std::vector<DeviceLine> device_lines_;
  QString device_short_;
};

}  // namespace lorikeet::ui
