/// Runs one job at a time in the thread it was moved to. Every exception ends here as text.
#pragma once
#include <QObject>
#include <functional>
#include <memory>
#include <stop_token>

#include "ui/session/error_text.h"
#include "ui/session/report_box.h"

namespace lorikeet::ui {

using JobFactory = std::function<std::unique_ptr<Job>()>;

class JobRunner : public QObject {
  Q_OBJECT
 public:
  explicit JobRunner(ReportBox& box) : box_(box) {}
  /// Makes the job (which may read files) and runs it. Call by a queued invocation only.
  void run(const JobFactory& factory, std::stop_token stop);

 signals:
  void running();
  void finished();
  void cancelled();
  void failed(const lorikeet::ui::ErrorText& error);

 private:
  ReportBox& box_;
};

}  // namespace lorikeet::ui
