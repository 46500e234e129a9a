/// Everything behind the window, without the window: the session, the query workers and one view-model a page, and the
/// actions that concern more than one of them.
#pragma once
#include <QObject>

#include "ui/session/query_runner.h"
#include "ui/session/session.h"
#include "ui/viewmodels/chat_view_model.h"
#include "ui/viewmodels/data_view_model.h"
#include "ui/viewmodels/export_view_model.h"
#include "ui/viewmodels/home_view_model.h"
#include "ui/viewmodels/monitor_view_model.h"
#include "ui/viewmodels/setup_view_model.h"

namespace lorikeet::ui {

/// What a file or folder given to the window is; decided from its name and what stands in it.
enum class PathKind { data, model, run, config, adapter, unknown };
/// From the name alone, for the overlay while something is dragged.
PathKind guess_path_kind(const QString& path);
QString path_kind_sentence(PathKind kind, const QString& path);

class Studio : public QObject {
  Q_OBJECT
  QueryRunner queries_{QStringLiteral("lorikeet-queries")}, planning_{QStringLiteral("lorikeet-plan")}, chat_worker_{QStringLiteral("lorikeet-chat")};

 public:
  explicit Studio(QObject* parent = nullptr);

  Session session;
  SetupViewModel setup;
  HomeViewModel home;
  DataViewModel data;
  MonitorViewModel monitor;
  ChatViewModel chat;
  ExportViewModel exporting;

  void startTraining();
  void continueRun(const QString& folder);
  void openSample();
  void newRun();
  void openPath(const QString& path);
  void chatWithRun(const QString& folder);
  /// The base model as Set up has it now, spoken to as its data does.
  void chatWithBase();
  void exportRun(const QString& folder);
  QueryRunner& queries() { return queries_; }

 signals:
  void pageAsked(const QString& page);  // "setup", "monitor", ...
  void problem(const QString& what, const lorikeet::ui::ErrorText& error);

 private:
  void openAs(PathKind kind, const QString& path);
  RunConfig base_config_;  // of the base model in Chat
  QString titleOf(const QString& folder);
  void setChat(const RunConfig& config, const QString& adapter, const QString& name);
};

}  // namespace lorikeet::ui
