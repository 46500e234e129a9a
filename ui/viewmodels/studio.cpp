#include "ui/viewmodels/studio.h"

#include <QFileInfo>

#include "core/base/files.h"
#include "core/run/queries.h"
#include "ui/viewmodels/form_layout.h"

namespace lorikeet::ui {
namespace {

constexpr size_t kExamples = 3;

bool holds(const QString& folder, const char* name) { return QFileInfo::exists(folder + '/' + QLatin1String(name)); }

/// A .json file is a config when it is an object with only sections of RunConfig in it.
PathKind kind_of_path(const std::string& path) {
  const PathKind guess = guess_path_kind(QString::fromStdString(path));
  if (guess != PathKind::config) return guess;
  if (fs::file_size(path) > (1u << 20)) return PathKind::data;
  try {
    const Json j = read_json_file(path);
    if (!j.is_object() || j.empty()) return PathKind::data;
    for (const auto& [section, value] : j.items()) {
      bool known = false;
      for (const Field& f : config_fields()) known = known || (value.is_object() && f.key.substr(0, f.key.find('.')) == section);
      if (!known) return PathKind::data;
    }
    return PathKind::config;
  } catch (const std::exception&) {
    return PathKind::data;  // the reader of data says what is wrong with it
  }
}

}  // namespace

PathKind guess_path_kind(const QString& path) {
  const QFileInfo info(path);
  if (info.isDir()) {
    if (holds(path, "run.json")) return PathKind::run;
    if (holds(path, "adapter_config.json")) return PathKind::adapter;
    if (holds(path, "config.json") || holds(path, "tokenizer.json")) return PathKind::model;
    return PathKind::data;
  }
  const QString name = info.fileName().toLower();
  if (name.endsWith(".gguf") || name.endsWith(".safetensors")) return PathKind::model;
  if (name == "run.json") return PathKind::run;
  if (name.endsWith(".json")) return PathKind::config;
  for (const char* end : {".jsonl", ".csv", ".tsv", ".txt", ".md", ".ndjson"})
    if (name.endsWith(QLatin1String(end))) return PathKind::data;
  return PathKind::unknown;
}

QString path_kind_sentence(PathKind kind, const QString& path) {
  const QString name = QFileInfo(path).fileName();
  switch (kind) {
    case PathKind::data: return Studio::tr("Train on “%1”").arg(name);
    case PathKind::model: return Studio::tr("Use “%1” as the base model").arg(name);
    case PathKind::run: return Studio::tr("Show the run “%1”").arg(name);
    case PathKind::config: return Studio::tr("Open the config “%1”").arg(name);
    case PathKind::adapter: return Studio::tr("Chat with the adapter “%1”").arg(name);
    case PathKind::unknown: return Studio::tr("“%1” is none of: data, model, run folder, config").arg(name);
  }
  return {};
}

Studio::Studio(QObject* parent)
    : QObject(parent), setup(planning_), home(queries_), data(queries_), monitor(session, queries_), chat(chat_worker_) {
  connect(&session, &Session::stateChanged, this, [this] {
    if (session.state() == SessionState::failed) emit problem(tr("“%1” failed.").arg(session.name()), session.error());
    if (!session.isActive() || session.state() == SessionState::running) home.refresh();
  });
}

void Studio::startTraining() {
  const RunConfig config = setup.config();
  const auto given = setup.givenKeys();
  if (session.start(setup.runName(), [config, given] { return make_train_job(config, given, {}); })) emit pageAsked(QStringLiteral("monitor"));
}

void Studio::continueRun(const QString& folder) {
  if (session.start(titleOf(folder), [run = folder.toStdString()] { return make_resume_job(run, 0); }))
    emit pageAsked(QStringLiteral("monitor"));
}

void Studio::openSample() {
  queries_.ask(this, QStringLiteral("sample"), [](std::stop_token) { return sample_project_config(); },
               [this](const RunConfig& c) {
                 setup.setConfig(c, tr("The sample project"));
                 emit pageAsked(QStringLiteral("setup"));
               },
               [this](const ErrorText& e) { emit problem(tr("The sample project could not be opened."), e); });
}

void Studio::newRun() {
  setup.setConfig(RunConfig(), tr("New run"));
  emit pageAsked(QStringLiteral("setup"));
}

void Studio::openPath(const QString& path) {
  queries_.ask(this, QStringLiteral("open"), [p = path.toStdString()](std::stop_token) { return kind_of_path(p); },
               [this, path](PathKind kind) { openAs(kind, path); },
               [this](const ErrorText& e) { emit problem(tr("It could not be opened."), e); });
}

void Studio::openAs(PathKind kind, const QString& path) {
  switch (kind) {
    case PathKind::data: setup.edit("data.train", Json::array({path.toStdString()})); break;
    case PathKind::model: setup.edit("model.path", path.toStdString()); break;
    case PathKind::config: setup.openFile(path); break;
    case PathKind::run:
      monitor.showRun(QFileInfo(path).isDir() ? path : QFileInfo(path).absolutePath());
      emit pageAsked(QStringLiteral("monitor"));
      return;
    case PathKind::adapter:
      chat.setModel(QString::fromStdString(setup.config().model.path), path, QFileInfo(path).fileName(), QStringLiteral("keep"));
      emit pageAsked(QStringLiteral("chat"));
      return;
    case PathKind::unknown:
      emit problem({}, {path_kind_sentence(kind, path), QStringLiteral("input"), path, {}});
      return;
  }
  emit pageAsked(QStringLiteral("setup"));
}

void Studio::chatWithRun(const QString& folder) {
  const auto config_of = [run = folder.toStdString()](std::stop_token) {
    const Json info = run_information(run);
    RunConfig c;
    if (const auto it = info.find("config"); it != info.end()) apply_config_json(c, *it);
    return c;
  };
  queries_.ask(this, QStringLiteral("chat"), config_of, [this, folder](const RunConfig& c) {
    setChat(c, folder, titleOf(folder));
    emit pageAsked(QStringLiteral("chat"));
  }, [this](const ErrorText& e) { emit problem(tr("The run could not be read."), e); });
}

void Studio::chatWithBase() {
  const bool same = !chat.hasAdapter() && !chat.modelName().isEmpty() && base_config_ == setup.config();
  if (same) return;  // what was typed there stays
  base_config_ = setup.config();
  setChat(base_config_, {}, tr("base model"));
}

/// A model taught under a system prompt answers as it was taught only under the same one: it is taken from the data.
void Studio::setChat(const RunConfig& c, const QString& adapter, const QString& name) {
  chat.setModel(QString::fromStdString(c.model.path), adapter, name, QString::fromStdString(c.quantization.format));
  chat.setSystemPrompt(QString::fromStdString(c.data.system_prompt));
  chat.setExamples({}, false);
  if (c.data.train.empty()) return;
  queries_.ask(this, QStringLiteral("examples"), [c](std::stop_token stop) { return chat_examples(c, kExamples, stop); },
               [this](const ChatExamples& e) {
                 if (!e.system_prompt.empty()) chat.setSystemPrompt(QString::fromStdString(e.system_prompt));
                 QStringList questions;
                 for (const std::string& q : e.questions) questions << QString::fromStdString(q);
                 chat.setExamples(questions, e.held_out);
               },
               [](const ErrorText&) {});  // the data may be gone; the model can be spoken to all the same
}

QString Studio::titleOf(const QString& folder) {
  for (const RunRow& run : home.runs().rows())
    if (run.path == folder) return run_title(run.name, run.data);
  return QFileInfo(folder).fileName();
}

void Studio::exportRun(const QString& folder) {
  exporting.setSource(folder);
  emit pageAsked(QStringLiteral("export"));
}

}  // namespace lorikeet::ui
