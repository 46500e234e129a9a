/// Set up's state: edits, undo, presets, files, and that the plan follows.
#include "ui/viewmodels/setup_view_model.h"

#include "core/base/files.h"
#include "tests/core/run/tiny_run.h"
#include "tests/support/support.h"
#include "tests/ui/ui_support.h"
#include "ui/viewmodels/form_layout.h"

using namespace lorikeet;
using namespace lorikeet::ui;

namespace {

/// Another legal value for a field.
Json other_value(const Field& f, const RunConfig& c) {
  const Json now = field_value(c, f.key);
  switch (field_kind(f)) {
    case FieldKind::flag: return !now.get<bool>();
    case FieldKind::whole: return now.get<int64_t>() * 2 <= int64_t(std::min(f.max, 1e15)) && now.get<int64_t>() > 0 ? now.get<int64_t>() * 2 : int64_t(f.min) + 3;
    case FieldKind::real: return f.min + (std::min(f.max, 1.0) - f.min) * 0.375;
    case FieldKind::list: return Json::array({"one", "two"});
    case FieldKind::map: return Json{{"q_proj", 8.0}};
    case FieldKind::choice: return field_choices(f).back().toStdString();
    default: return "something";
  }
}

}  // namespace

class SetupViewModelTest : public QObject {
  Q_OBJECT
 private slots:
  void everyFieldStandsInExactlyOneSection() {
    QStringList keys;
    for (const FormSection& s : form_sections())
      for (const auto* list : {&s.main, &s.advanced})
        for (const Field* f : *list) keys << QString::fromUtf8(f->key.data(), qsizetype(f->key.size()));
    QCOMPARE(size_t(keys.size()), config_fields().size());
    keys.removeDuplicates();
    QCOMPARE(size_t(keys.size()), config_fields().size());
  }

  void everyFieldHasALabelAndASentence() {
    for (const Field& f : config_fields()) {
      QVERIFY2(!field_label(f).isEmpty(), f.key.data());
      QVERIFY2(field_help(f).endsWith('.'), f.key.data());
    }
  }

  void everyFieldCanBeEditedUndoneAndRedone() {
    QueryRunner queries("plan");
    SetupViewModel vm(queries);
    const RunConfig start = vm.config();
    int edits = 0;
    for (const Field& f : config_fields()) {
      const std::string key(f.key);
      const Json wanted = other_value(f, vm.config());
      if (wanted == vm.value(key)) continue;  // a single choice
      QSignalSpy changed(&vm, &SetupViewModel::fieldChanged);
      QVERIFY2(vm.edit(key, wanted), key.c_str());
      QCOMPARE(changed.count(), 1);
      QVERIFY2(vm.value(key) == wanted || vm.value(key).get<double>() == wanted.get<double>(), key.c_str());
      QVERIFY2(vm.isChanged(key), key.c_str());
      ++edits;
    }
    QVERIFY(edits > 40);
    QCOMPARE(vm.undoStack().count(), edits);
    QCOMPARE(vm.changedCount(), edits);
    const RunConfig end = vm.config();
    while (vm.undoStack().canUndo()) vm.undoStack().undo();
    QVERIFY(vm.config() == start);
    while (vm.undoStack().canRedo()) vm.undoStack().redo();
    QVERIFY(vm.config() == end);
  }

  void typingInOneFieldIsOneUndoStep() {
    QueryRunner queries("plan");
    SetupViewModel vm(queries);
    const Json before = vm.value("adapter.rank");
    vm.edit("adapter.rank", 3, true);
    vm.edit("adapter.rank", 32, true);
    vm.edit("adapter.alpha", 64.0, true);
    QCOMPARE(vm.undoStack().count(), 2);
    vm.undoStack().undo();
    vm.undoStack().undo();
    QVERIFY(vm.value("adapter.rank") == before);
  }

  void refusesWhatIsOutOfRangeAndSaysWhy() {
    QueryRunner queries("plan");
    SetupViewModel vm(queries);
    QSignalSpy refused(&vm, &SetupViewModel::refused);
    QVERIFY(!vm.edit("adapter.rank", 0));
    QCOMPARE(refused.count(), 1);
    QCOMPARE(refused[0][0].toString(), QString("adapter.rank"));
    QVERIFY(!refused[0][1].toString().isEmpty());
    QCOMPARE(vm.undoStack().count(), 0);
  }

  void returnsToThePreset() {
    QueryRunner queries("plan");
    SetupViewModel vm(queries);
    vm.edit("adapter.rank", 64);
    vm.edit("data.max_length", 256);
    QCOMPARE(vm.changedCount(), 2);
    vm.returnToPreset("adapter.rank");
    QCOMPARE(vm.changedCount(), 1);
    vm.returnAllToPreset();
    QCOMPARE(vm.changedCount(), 0);
    vm.undoStack().undo();
    QCOMPARE(vm.changedCount(), 1);
  }

  void whatIsSavedIsWhatIsOpened() {
    lorikeet::test::ScratchFolder folder;
    QueryRunner queries("plan");
    SetupViewModel vm(queries);
    for (const Field& f : config_fields()) {
      const Json wanted = other_value(f, vm.config());
      if (wanted != vm.value(f.key)) vm.edit(std::string(f.key), wanted);
    }
    const RunConfig wanted = vm.config();
    QSignalSpy saved(&vm, &SetupViewModel::saved);
    vm.saveFile(QString::fromStdString(folder.path("c.json")));
    QTRY_COMPARE(saved.count(), 1);
    QVERIFY(vm.undoStack().isClean());
    QVERIFY(read_config_file(folder.path("c.json")) == wanted);
    SetupViewModel other(queries);
    other.openFile(QString::fromStdString(folder.path("c.json")));
    QTRY_VERIFY(other.config() == wanted);
    QCOMPARE(other.source(), QString::fromStdString(folder.path("c.json")));
  }

  void aBadFileIsAProblemAndChangesNothing() {
    lorikeet::test::ScratchFolder folder;
    folder.write("c.json", R"({"adapter":{"rnak":16}})");
    QueryRunner queries("plan");
    SetupViewModel vm(queries);
    QString text;
    connect(&vm, &SetupViewModel::problem, this, [&](const QString&, const ErrorText& e) { text = e.message; });
    vm.openFile(QString::fromStdString(folder.path("c.json")));
    QTRY_VERIFY2(text.contains("rank"), "the error names the nearest known key");
    QVERIFY(vm.config() == RunConfig());
  }

  void aCardThatIsNotHereIsPlannedForButStartsNothing() {
    QueryRunner queries("plan");
    SetupViewModel vm(queries);
    const lorikeet::test::ScratchFolder folder;
    lorikeet::test::write_tiny_model(folder.path() + "/model");
    lorikeet::test::write_tiny_data(folder.path() + "/data.jsonl", 20);
    vm.setConfig(lorikeet::test::tiny_config(folder.path() + "/model", folder.path() + "/data.jsonl"), "test");
    QTRY_VERIFY_WITH_TIMEOUT(vm.plan() && !vm.isCounting() && vm.isReady(), 20000);
    const std::string here = vm.plan()->device;
    vm.planFor(&card_named("RTX 4090"));
    QString why;
    QVERIFY(!vm.isReady(&why) && why.contains("RTX 4090"));
    QTRY_VERIFY_WITH_TIMEOUT(vm.plan().has_value(), 20000);
    QVERIFY2(vm.plan()->device.find("RTX 4090") != std::string::npos, vm.plan()->device.c_str());
    QVERIFY(!vm.isReady(&why) && why.contains("This machine"));
    vm.planFor(nullptr);
    QTRY_VERIFY_WITH_TIMEOUT(vm.plan().has_value() && vm.plan()->device == here, 20000);
  }

  void thePlanFollowsAnEdit() {
    QueryRunner queries("plan");
    SetupViewModel vm(queries);
    vm.edit("model.path", "/nowhere/model.gguf");
    QTRY_VERIFY_WITH_TIMEOUT(vm.plan().has_value(), 20000);
    QString why;
    QTRY_VERIFY_WITH_TIMEOUT(!vm.isCounting() && !vm.isReady(&why), 20000);
    QVERIFY(!why.isEmpty());
  }

  void aFixOfAFindingIsAnUndoableEdit() {
    QueryRunner queries("plan");
    SetupViewModel vm(queries);
    Finding f;
    f.fix_key = "quantization.format", f.fix_value = "keep";
    vm.applyFix(f);
    QCOMPARE(vm.config().quantization.format, std::string("keep"));
    vm.undoStack().undo();
    QCOMPARE(vm.config().quantization.format, std::string("nf4"));
  }

  void theScheduleRisesAndFalls() {
    QueryRunner queries("plan");
    SetupViewModel vm(queries);
    const auto shape = vm.scheduleShape(101);
    QCOMPARE(shape.front(), 0.0F);
    QVERIFY(*std::max_element(shape.begin(), shape.end()) > 0.99F);
    QVERIFY(shape.back() < 0.01F);
  }
};

LORIKEET_UI_TEST_MAIN(SetupViewModelTest)
#include "setup_view_model_test.moc"
