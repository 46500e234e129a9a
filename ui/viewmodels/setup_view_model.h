/// The state behind Set up: the config being edited, undo, the preset it is compared with, and the planner's answer,
/// which follows every edit. No widgets.
#pragma once
#include <QMap>
#include <QObject>
#include <QTimer>
#include <QUndoStack>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config/run_config.h"
#include "core/run/plan.h"
#include "ui/session/query_runner.h"

namespace lorikeet::ui {

struct Preset { QString name; RunConfig config; };

class SetupViewModel : public QObject {
  Q_OBJECT
 public:
  /// `planning` is a worker of its own, so that counting a large data set holds up nothing else.
  explicit SetupViewModel(QueryRunner& planning, QObject* parent = nullptr);

  const RunConfig& config() const { return config_; }
  Json value(std::string_view key) const { return field_value(config_, key); }
  Json presetValue(std::string_view key) const { return field_value(preset_, key); }
  bool isChanged(std::string_view key) const { return value(key) != presetValue(key); }
  int changedCount() const;
  /// What changed against the preset, one line each.
  QStringList changes() const;

  /// One undoable edit. False when the value is refused; `refused` says why. `merge`: typing in one field is one step.
  bool edit(const std::string& key, const Json& value, bool merge = false);
  void returnToPreset(const std::string& key) { edit(key, presetValue(key)); }
  void returnAllToPreset();
  void applyFix(const Finding& finding);
  QUndoStack& undoStack() { return undo_; }

  const std::vector<Preset>& presets() const { return presets_; }
  QString presetName() const { return preset_name_; }
  /// The preset's settings, but the model, data and names of now.
  void applyPreset(const QString& name);
  void loadPresets();

  /// Replaces the whole config (undoable) and makes it the clean state.
  void setConfig(const RunConfig& config, const QString& why, const QString& source = {});
  void openFile(const QString& path);
  void saveFile(const QString& path);
  const QString& source() const { return source_; }
  QString runName() const;
  std::vector<std::string> givenKeys() const;
  QString commandLine() const { return QString::fromStdString(command_line_of(config_)); }

  const std::optional<Plan>& plan() const { return plan_; }
  /// Plans for a graphics card of core/run/cards.h that is not here; null: for this machine, where alone a run can start.
  void planFor(const Card* card);
  const Card* plannedCard() const { return card_; }
  bool isCounting() const { return counting_; }
  /// Ready to start; otherwise `why` is for the button's tool tip.
  bool isReady(QString* why = nullptr) const;
  /// The unit at the right of a control, with what follows from it: "epochs · 342 steps".
  QString suffix(std::string_view key) const;
  /// What the plan knows about a field, after its help; may be empty.
  QString note(std::string_view key) const;
  /// The learning rate over the run, 0..1 of its peak, for the small drawing.
  std::vector<float> scheduleShape(int points) const;

 signals:
  void fieldChanged(const QString& key);
  void configReplaced();
  void refused(const QString& key, const QString& why);
  void planChanged();
  void presetsChanged();
  void saved(const QString& path);
  void problem(const QString& what, const lorikeet::ui::ErrorText& error);

 private:
  friend class FieldEdit;
  friend class ConfigEdit;
  void setField(const std::string& key, const Json& value);
  void replace(const RunConfig& config);
  void askPlan();
  void takePlan(Plan plan, bool prepared);
  void prepareThenPlan();
  std::vector<Preset> presets_;
  QString preset_name_, source_;
  RunConfig config_, preset_;
  QUndoStack undo_;
  QueryRunner& planning_;
  std::shared_ptr<Planner> planner_;
  std::optional<Plan> plan_;
  const Card* card_ = nullptr;
  bool counting_ = false;
  ErrorText prepare_error_;
  QTimer soon_;
};

}  // namespace lorikeet::ui
