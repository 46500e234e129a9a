// Real data sets handed to developers: extra checks that skip where they are not at hand.
#include "core/base/error.h"
#include "core/data/dataset.h"
#include "tests/support/support.h"

using namespace lorikeet;

class SharedDataSetsTest : public QObject {
  Q_OBJECT
 private slots:
  void reads_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("format");
    QTest::addColumn<int>("samples");
    const auto row = [](const char* name, const char* format, int samples) { QTest::newRow(name) << name << format << samples; };
    row("instruct/dolly_sample_alpaca.json", "alpaca", 103);
    row("instruct/identity.json", "alpaca", 91);
    row("instruct/llms_from_scratch_alpaca.json", "alpaca", 873);
    row("instruct/self_instruct_seed_tasks.jsonl", "alpaca", 175);
    row("instruct/wwdc25_prompt_completion.jsonl", "prompt_completion", 144);
    row("chat/fastchat_dummy_sharegpt.json", "sharegpt", 500);
    row("chat/glaive_toolcall_en_demo.json", "sharegpt", 300);
    row("chat/oasst1_messages.jsonl", "messages", 463);
    row("chat/oasst_tree_en_50.jsonl", "message_tree", -1);
    row("text/c4_demo.jsonl", "text", 300);
    row("text/the_verdict.txt", "text", 1);
    row("text/tinyshakespeare.txt", "text", 1);
    row("text/wiki_demo.txt", "text", 1);
    row("text/wikisql_text", "text", 1100);
    row("text/wikitext-2/train_part.raw.txt", "text", 1);
    row("finance/aws_financial_toolcalls.jsonl", "prompt_completion", 970);
    row("finance/finlora_fiqa_test_half.jsonl", "prompt_completion", 117);
    row("finance/finlora_formula_train.jsonl", "prompt_completion", 800);
    row("finance/finlora_ner_test_half.jsonl", "prompt_completion", 1853);
    row("finance/finlora_nwgi_test_half.jsonl", "prompt_completion", 2026);
    row("finance/finlora_tfns_test_half.jsonl", "prompt_completion", 1194);
    row("finance/finlora_xbrl_term_train.jsonl", "prompt_completion", 3000);
    row("eval/gsm8k/train_3000.jsonl", "question_answer", 3000);
  }
  void reads() {
    QFETCH(QString, name);
    QFETCH(QString, format);
    QFETCH(int, samples);
    const std::string path = test::shared_data(name.toStdString());
    if (path.empty()) QSKIP("the shared data sets are not here");
    const Dataset d = read_dataset({path}, {});
    QCOMPARE(d.format, format.toStdString());
    if (samples >= 0) QCOMPARE(d.samples.size(), static_cast<size_t>(samples));
    else QVERIFY(d.samples.size() >= 50);
    QVERIFY2(d.bad_row_count == 0, d.bad_rows.empty() ? "" : d.bad_rows[0].reason.c_str());
  }
  void refusesPreferences_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"preference/dpo_en_demo.json", "preference/kto_en_demo.json", "preference/llms_from_scratch_preference.json"})
      QTest::newRow(name) << name;
  }
  void refusesPreferences() {
    QFETCH(QString, name);
    const std::string path = test::shared_data(name.toStdString());
    if (path.empty()) QSKIP("the shared data sets are not here");
    VERIFY_THROWS(read_dataset({path}, {}), InputError, "not on preferences");
  }
};

LORIKEET_TEST_MAIN(SharedDataSetsTest)
#include "shared_data_sets_test.moc"
