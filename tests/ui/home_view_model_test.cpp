/// What Home and the status bar say of the machine.
#include "ui/viewmodels/home_view_model.h"

#include "tests/support/support.h"
#include "tests/ui/ui_support.h"

using namespace lorikeet;
using namespace lorikeet::ui;

class HomeViewModelTest : public QObject {
  Q_OBJECT

  static QString shortFor(const Json& gpus, QStringList* lines = nullptr) {
    QueryRunner queries("q");
    HomeViewModel vm(queries);
    vm.setDeviceQuery([gpus] { return Json{{"cpu", {{"level", "avx2"}, {"threads", 4}}}, {"gpus", gpus}}; });
    QSignalSpy told(&vm, &HomeViewModel::deviceChanged);
    vm.refresh();
    if (told.isEmpty() && !told.wait(10000)) return QStringLiteral("nothing");
    if (lines)
      for (const auto& line : vm.deviceLines()) *lines << line.name + '=' + line.text;
    return vm.deviceShort();
  }

 private slots:
  void theStatusBarNamesWhatComputes() {
    const Json old = {{"name", "GTX 980"}, {"usable", false}}, one = {{"name", "RTX 4090"}, {"bytes", 25757220864}, {"usable", true}}, two = {{"name", "H200"}, {"usable", true}};
    QCOMPARE(shortFor(Json::array()), QStringLiteral("CPU · avx2"));
    QCOMPARE(shortFor(Json::array({old})), QStringLiteral("CPU · avx2"));
    QStringList lines;
    QCOMPARE(shortFor(Json::array({old, one, two}), &lines), QStringLiteral("GPU · RTX 4090"));
    QVERIFY2(lines.contains(QStringLiteral("GPU=RTX 4090 · 26 GB")) && lines.contains(QStringLiteral("GPU=GTX 980")), qPrintable(lines.join('|')));
  }
};

LORIKEET_UI_TEST_MAIN(HomeViewModelTest)
#include "home_view_model_test.moc"
