#include "ui/viewmodels/setup_view_model.h"

#include <QElapsedTimer>
#include <QFileInfo>
#include <QLocale>
#include <QUndoCommand>
#include <algorithm>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/run/queries.h"
#include "ui/viewmodels/form_layout.h"

namespace lorikeet::ui {
namespace {
constexpr qint64 kTypingMs = 1500;  // edits of one field nearer than this are one undo step
}

/// One field from one value to another.
class FieldEdit : public QUndoCommand {
 public:
  FieldEdit(SetupViewModel& vm, std::string key, Json before, Json after, bool merge)
      : vm_(vm), key_(std::move(key)), before_(std::move(before)), after_(std::move(after)), merge_(merge) {
    const Field* f = find_field(key_);
    setText(f ? field_label(*f) : QString::fromStdString(key_));
    clock_.start();
  }
  void undo() override { vm_.setField(key_, before_); }
  void redo() override { vm_.setField(key_, after_); }
  int id() const override { return merge_ ? 1 : -1; }
  bool mergeWith(const QUndoCommand* other) override {
    const auto& o = static_cast<const FieldEdit&>(*other);
    if (o.key_ != key_ || clock_.hasExpired(kTypingMs)) return false;
    after_ = o.after_;
    clock_.restart();
    setObsolete(after_ == before_);
    return true;
  }

 private:
  SetupViewModel& vm_;
  std::string key_;
  Json before_, after_;
  bool merge_;
  QElapsedTimer clock_;
};

/// Everything at once: a preset, a file.
class ConfigEdit : public QUndoCommand {
 public:
  ConfigEdit(SetupViewModel& vm, RunConfig before, RunConfig after, const QString& text)
      : QUndoCommand(text), vm_(vm), before_(std::move(before)), after_(std::move(after)) {}
  void undo() override { vm_.replace(before_); }
  void redo() override { vm_.replace(after_); }

 private:
  SetupViewModel& vm_;
  RunConfig before_, after_;
};

SetupViewModel::SetupViewModel(QueryRunner& planning, QObject* parent)
    : QObject(parent), planning_(planning), planner_(std::make_shared<Planner>()) {
  soon_.setSingleShot(true);
  soon_.setInterval(15);  // several changes of one click are one question
  connect(&soon_, &QTimer::timeout, this, &SetupViewModel::askPlan);
  soon_.start();
}

int SetupViewModel::changedCount() const { return int(config_difference(preset_, config_).size()); }

QStringList SetupViewModel::changes() const {
  QStringList out;
  for (const ConfigDifference& d : config_difference(preset_, config_)) {
    const Field* f = find_field(d.key);
    out << tr("%1: %2 instead of %3").arg(f ? field_label(*f) : QString::fromStdString(d.key), QString::fromStdString(dump_json(d.right)),
                                          QString::fromStdString(dump_json(d.left)));
  }
  return out;
}

bool SetupViewModel::edit(const std::string& key, const Json& value, bool merge) {
  const Json before = field_value(config_, key);
  try {
    RunConfig trial = config_;
    set_field(trial, key, value);
    emit refused(QString::fromStdString(key), {});
    if (field_value(trial, key) != before) undo_.push(new FieldEdit(*this, key, before, field_value(trial, key), merge));
    return true;
  } catch (const Error& e) {
    emit refused(QString::fromStdString(key), QString::fromUtf8(e.what()));
    return false;
  }
}

void SetupViewModel::returnAllToPreset() {
  undo_.beginMacro(tr("Return to preset"));
  for (const ConfigDifference& d : config_difference(preset_, config_)) edit(d.key, d.left);
  undo_.endMacro();
}

void SetupViewModel::applyFix(const Finding& finding) {
  if (!finding.fix_key.empty()) edit(finding.fix_key, finding.fix_value);
}

void SetupViewModel::setField(const std::string& key, const Json& value) {
  set_field(config_, key, value);
  prepare_error_ = {};
  emit fieldChanged(QString::fromStdString(key));
  soon_.start();
}

void SetupViewModel::replace(const RunConfig& config) {
  config_ = config;
  prepare_error_ = {};
  emit configReplaced();
  soon_.start();
}

void SetupViewModel::loadPresets() {
  const auto work = [](std::stop_token) {
    std::vector<Preset> found;
    std::error_code error;
    std::vector<std::string> paths;
    for (const auto& entry : fs::directory_iterator(fs::path(resources_folder()) / "presets", error))
      if (entry.path().extension() == ".json") paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths) {
      QString name = QFileInfo(QString::fromStdString(path)).completeBaseName().replace('-', ' ').replace('_', ' ');
      if (!name.isEmpty()) name[0] = name[0].toUpper();
      found.push_back({name, read_config_file(path)});
    }
    return found;
  };
  planning_.ask(this, QStringLiteral("presets"), work, [this](std::vector<Preset> found) {
    presets_ = std::move(found);
    emit presetsChanged();
  }, [this](const ErrorText& e) { emit problem(tr("A preset could not be read."), e); });
}

void SetupViewModel::applyPreset(const QString& name) {
  const auto it = std::find_if(presets_.begin(), presets_.end(), [&](const Preset& p) { return p.name == name; });
  RunConfig next = it == presets_.end() ? RunConfig() : it->config;
  next.model = config_.model;
  next.data.train = config_.data.train;
  next.data.validation = config_.data.validation;
  next.data.system_prompt = config_.data.system_prompt;
  next.run = config_.run;
  preset_ = next;
  preset_name_ = it == presets_.end() ? QString() : name;
  undo_.push(new ConfigEdit(*this, config_, next, tr("Preset %1").arg(name)));
  emit presetsChanged();
}

void SetupViewModel::setConfig(const RunConfig& config, const QString& why, const QString& source) {
  source_ = source;
  preset_ = config;  // "changed" means changed since it was opened
  preset_name_.clear();
  undo_.push(new ConfigEdit(*this, config_, config, why));
  undo_.setClean();
  emit presetsChanged();
}

void SetupViewModel::openFile(const QString& path) {
  planning_.ask(this, QStringLiteral("open"), [file = path.toStdString()](std::stop_token) { return read_config_file(file); },
                [this, path](const RunConfig& c) { setConfig(c, tr("Open %1").arg(QFileInfo(path).fileName()), path); },
                [this](const ErrorText& e) { emit problem(tr("The config was not opened."), e); });
}

void SetupViewModel::saveFile(const QString& path) {
  const auto work = [file = path.toStdString(), text = dump_json(config_to_json(config_), 2) + "\n"](std::stop_token) { write_file_atomic(file, text); };
  planning_.ask(this, QStringLiteral("save"), work, [this, path] {
    source_ = path;
    undo_.setClean();
    emit saved(path);
  }, [this](const ErrorText& e) { emit problem(tr("The config was not saved."), e); });
}

QString SetupViewModel::runName() const {
  if (!config_.run.name.empty()) return QString::fromStdString(config_.run.name);
  if (!source_.isEmpty()) return QFileInfo(source_).completeBaseName();
  if (!config_.data.train.empty()) return QFileInfo(QString::fromStdString(config_.data.train.front())).completeBaseName();
  return tr("new run");
}

std::vector<std::string> SetupViewModel::givenKeys() const {
  std::vector<std::string> keys;
  for (const ConfigDifference& d : config_difference(RunConfig(), config_)) keys.push_back(d.key);
  return keys;
}

void SetupViewModel::askPlan() {
  struct Answer { Plan plan; bool prepared = false; };
  planning_.ask(this, QStringLiteral("plan"), [planner = planner_, c = config_, card = card_](std::stop_token) {
    return Answer{planner->plan(c, card), planner->is_prepared(c)};
  }, [this](Answer a) { takePlan(std::move(a.plan), a.prepared); },
  [this](const ErrorText& e) { emit problem(tr("The run could not be planned."), e); });
}

void SetupViewModel::takePlan(Plan plan, bool prepared) {
  plan_ = std::move(plan);
  if (prepared) prepare_error_ = {};
  const bool blocked = !prepare_error_.isEmpty();
  const bool said = std::any_of(plan_->findings.begin(), plan_->findings.end(), [](const Finding& f) { return f.severity == "error"; });
  if (blocked && !said)
    plan_->findings.insert(plan_->findings.begin(),
                           Finding{"error", prepare_error_.key.toStdString(), prepare_error_.message.toStdString(), {}, {}, {}});
  counting_ = !prepared && !blocked;
  emit planChanged();
  if (counting_) prepareThenPlan();
}

/// Reads the model's header and counts the data's tokens; what fails here is a finding of the plan as well.
void SetupViewModel::prepareThenPlan() {
  planning_.ask(this, QStringLiteral("prepare"), [planner = planner_, c = config_](std::stop_token) { planner->prepare(c); },
                [this] { askPlan(); },
                [this](const ErrorText& e) {
                  prepare_error_ = e;
                  askPlan();
                });
}

void SetupViewModel::planFor(const Card* card) {
  if (card == card_) return;
  card_ = card;
  plan_.reset();  // what was planned for the other is not to be read as this one's
  emit planChanged();
  askPlan();
}

bool SetupViewModel::isReady(QString* why) const {
  QString reason;
  if (card_) reason = tr("This is a plan for another machine, with one %1. Choose “This machine” to start here.").arg(QString::fromUtf8(card_->name.data(), qsizetype(card_->name.size())));
  else if (!plan_) reason = tr("The run is being planned.");
  else
    for (const Finding& f : plan_->findings)
      if (f.severity == "error" && reason.isEmpty()) reason = QString::fromStdString(f.text);
  if (why) *why = reason;
  return reason.isEmpty();
}

}  // namespace lorikeet::ui
