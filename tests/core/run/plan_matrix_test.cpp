// The plan's memory against the peak of real runs on the default model: rank 8 and 64, rows of 256 and 1024 tokens,
// activations kept and recomputed, NF4 and bf16. Each case is a process of its own, so that its peak is its own.
#include <cmath>

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/random.h"
#include "core/config/run_config.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class PlanMatrixTest : public QObject {
  Q_OBJECT
  ScratchFolder scratch_;

  /// Four rows of exactly `length` tokens, every one a target.
  std::string rows_of(int64_t length) {
    RandomStream random(3, static_cast<uint64_t>(length));
    std::string text;
    for (int row = 0; row < 4; ++row) {
      Json ids = Json::array();
      for (int64_t t = 0; t < length; ++t) ids.push_back(random.below(49152));
      text += dump_json({{"input_ids", ids}, {"labels", ids}}) + "\n";
    }
    return scratch_.write("rows" + std::to_string(length) + ".jsonl", text);
  }

 private slots:
  void initTestCase() {
    if (default_model().empty()) QSKIP("the default model is not there; ./studio model fetches it");
  }

  void isWithinFifteenPercent_data() {
    QTest::addColumn<int>("rank");
    QTest::addColumn<int>("length");
    QTest::addColumn<QString>("checkpointing");
    QTest::addColumn<QString>("format");
    for (const int rank : {8, 64})
      for (const int length : {256, 1024})
        for (const char* checkpointing : {"none", "full"})
          for (const char* format : {"nf4", "bf16"})
            QTest::addRow("rank %d, %d tokens, %s, %s", rank, length, checkpointing, format) << rank << length << checkpointing << format;
  }
  void isWithinFifteenPercent() {
    QFETCH(int, rank);
    QFETCH(int, length);
    QFETCH(QString, checkpointing);
    QFETCH(QString, format);
    RunConfig c;
    c.model.path = default_model();
    c.data.train = {rows_of(length)};
    c.data.validation_fraction = 0;
    c.data.max_length = length;
    c.quantization.format = format.toStdString();
    c.adapter.rank = rank;
    c.training.max_steps = 2;  // the second step finds the memory as the first left it
    c.training.gradient_accumulation = 1;
    c.training.checkpointing = checkpointing.toStdString();
    c.training.save_every = 100;
    const std::string config = scratch_.write("config.json", dump_json(config_to_json(c))), run = scratch_.path("run");
    fs::remove_all(run);
    const ProgramResult r = run_program({LORIKEET_TRAIN_WORKER, "train", config, run}, 280000);
    QVERIFY2(r.code == 0, r.err.c_str());
    const Json plan = read_json_file(run + "/plan.json");
    const double planned = plan["estimate"]["bytes"]["total"].get<double>(), measured = plan["measured"]["peak_bytes"].get<double>();
    qInfo("planned %.0f MB, measured %.0f MB, ratio %.3f", planned / 1e6, measured / 1e6, planned / measured);
    QVERIFY(std::abs(planned / measured - 1) < 0.15);
  }
};

LORIKEET_TEST_MAIN(PlanMatrixTest)
#include "plan_matrix_test.moc"
