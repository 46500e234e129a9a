#include "core/base/error.h"
#include "core/config/run_config.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

RunConfig set(const std::string& assignment) {
  RunConfig c;
  apply_set(c, assignment);
  return c;
}

}  // namespace

class RunConfigSetTest : public QObject {
  Q_OBJECT
 private slots:
  void takes_data() {
    QTest::addColumn<QString>("assignment");
    QTest::addColumn<QString>("value");
    const auto row = [](const char* assignment, const char* value) { QTest::newRow(assignment) << assignment << value; };
    row("adapter.rank=8", "8");
    row("adapter.rank=8.0", "8");
    row("optimizer.learning_rate=1e-3", "0.001");
    row("data.packing=false", "false");
    row("run.name=first run", "\"first run\"");
    row("run.name=12", "\"12\"");
    row("run.name=true", "\"true\"");
    row("run.name=\"quoted\"", "\"quoted\"");
    row("run.name=a=b", "\"a=b\"");
    row("run.name=", "\"\"");
    row("data.train=a.jsonl", R"(["a.jsonl"])");
    row("data.train=a.jsonl,b.jsonl", R"(["a.jsonl","b.jsonl"])");
    row(R"(data.train=["a,b.jsonl"])", R"(["a,b.jsonl"])");
    row(R"(data.train="a,b.jsonl")", R"(["a,b.jsonl"])");
    row("data.train=12", R"(["12"])");
    row("data.train=", "[]");
    row("adapter.target_modules=q_proj,v_proj", R"(["q_proj","v_proj"])");
    row("adapter.target_modules=.*[qv]_proj", R"([".*[qv]_proj"])");
    row(R"(adapter.rank_pattern={"q_proj":4})", R"({"q_proj":4.0})");
    row("training.eval_every=auto", "0");
    row("data.template=chatml", "\"chatml\"");
  }
  void takes() {
    QFETCH(QString, assignment);
    QFETCH(QString, value);
    const std::string text = assignment.toStdString(), key = text.substr(0, text.find('='));
    QCOMPARE(dump_json(field_value(set(text), key)), value.toStdString());
  }
  void refuses_data() {
    QTest::addColumn<QString>("assignment");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* assignment, const char* part) { QTest::newRow(assignment) << assignment << part; };
    row("adapter.rank", "key=value");
    row("adapter.rank=", "whole number is expected, found \"\"");
    row("adapter.rank=eight", "found \"eight\"");
    row("adapter.rank=\"8\"", "found \"8\"");
    row("adapter.rank=0", "allowed: 1 to 4096");
    row("adapter.rankk=8", "\"adapter.rank\"");
    row("adapter=8", "is a section; name one of its settings, such as adapter.method");
    row("optimizer.learning_rate=NaN", "found \"NaN\"");
    row("data.train=a,,b", "empty text");
    row("adapter.target_modules=", "names no module");
    row("run.name=\xff", "UTF-8");
  }
  void refuses() {
    QFETCH(QString, assignment);
    QFETCH(QString, part);
    const QByteArray bytes = assignment.startsWith("run.name=") ? QByteArray("run.name=\xff") : assignment.toUtf8();
    VERIFY_THROWS(set(bytes.toStdString()), ConfigError, part.toStdString());
  }
  void collectsWhatWasGiven() {
    RunConfig c;
    std::vector<std::string> given;
    apply_set(c, "adapter.rank=8", &given);
    apply_set(c, " run.name = x", &given);
    QCOMPARE(given, (std::vector<std::string>{"adapter.rank", "run.name"}));
    QCOMPARE(c.run.name, std::string(" x"));
  }
  void commandSaysOnlyWhatDiffers() {
    QCOMPARE(command_line_of(RunConfig{}), std::string("lorikeet train"));
    RunConfig c;
    c.adapter.rank = 8;
    c.data.train = {"a.jsonl", "b.jsonl"};
    c.run.name = "it's mine";
    QCOMPARE(command_line_of(c),
             std::string(R"(lorikeet train --set data.train=a.jsonl,b.jsonl --set adapter.rank=8 --set 'run.name=it'\''s mine')"));
  }
  void shellRunsTheCommandBack() {
    RunConfig c;
    c.data.train = {"a,b", "blank in it", "$HOME", "[x]"};
    c.data.system_prompt = "Say \"yes\" or 'no'\n`rm`; \\ grün!";
    c.adapter.target_modules = {R"(.*\.(q|v)_proj)"};
    c.adapter.rank_pattern = {{"q_proj", 4}};
    c.run.name = "\"12\"";
    c.optimizer.learning_rate = 0.1 + 0.2;
    // The shell hands each word back on a line of its own, ended by a NUL-free mark.
    const std::string script = "lorikeet() { for word; do printf '%s\\036' \"$word\"; done; }\n" + command_line_of(c);
    const auto result = test::run_program({"/bin/sh", "-c", script});
    QCOMPARE(result.code, 0);
    RunConfig back;
    const QStringList words = QString::fromStdString(result.out).split(QChar(036), Qt::SkipEmptyParts);
    QCOMPARE(words.value(0), QString("train"));
    for (qsizetype i = 1; i + 1 < words.size(); i += 2) {
      QCOMPARE(words[i], QString("--set"));
      apply_set(back, words[i + 1].toStdString());
    }
    QVERIFY2(back == c, result.out.c_str());
  }
};

LORIKEET_TEST_MAIN(RunConfigSetTest)
#include "run_config_set_test.moc"
