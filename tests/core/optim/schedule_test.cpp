#include "core/optim/schedule.h"

#include <cmath>

#include "core/base/error.h"
#include "core/base/json.h"
#include "tests/support/support.h"

using namespace lorikeet;

class ScheduleTest : public QObject {
  Q_OBJECT
 private slots:
  // Every step of every schedule against the table tests/tools/make_schedule_fixtures.py made with transformers.
  void matchesTransformers() {
    const Json table = read_json_file(test::data_path("optim/schedules.json"));
    QCOMPARE(table.size(), schedule_names().size() * 4);
    for (const Json& row : table) {
      const ScheduleSpec spec{row["name"], row["peak"], row["steps"], row["warmup"]};
      int64_t k = 0;
      for (const Json& rate : row["rates"]) {
        const double wanted = rate, got = learning_rate(spec, k++);
        QVERIFY2(
            std::abs(got - wanted) <= 1e-12 * spec.peak,
            qPrintable(QString("%1 step %2: %3, wanted %4").arg(spec.name.c_str()).arg(k - 1).arg(got).arg(wanted)));
      }
      QCOMPARE(k, spec.total_steps);
    }
  }
  void warmupRisesFromZero() {
    const ScheduleSpec spec{"cosine", 1e-3, 100, 10};
    QCOMPARE(learning_rate(spec, 0), 0.0);
    QCOMPARE(learning_rate(spec, 5), 5e-4);
    QCOMPARE(learning_rate(spec, 10), 1e-3);
  }
  void warmupLengthIsGivenOrAShareRoundedUp() {
    QCOMPARE(warmup_length(7, 0.5, 100), int64_t{7});
    QCOMPARE(warmup_length(0, 0.03, 100), int64_t{3});
    QCOMPARE(warmup_length(0, 0.03, 101), int64_t{4});
    QCOMPARE(warmup_length(0, 0, 100), int64_t{0});
  }
  void endsAreFinite() {
    for (const std::string& name : schedule_names())
      for (int64_t warmup : {0, 1, 5}) {
        const ScheduleSpec spec{name, 5e-8, 5, warmup};
        for (int64_t k = 0; k <= 8; ++k) {
          const double rate = learning_rate(spec, k);
          QVERIFY(std::isfinite(rate) && rate >= 0 && rate <= 5e-8);
        }
      }
  }
  void namesTheKnownOnes() {
    QVERIFY((schedule_names() ==
             std::vector<std::string>{"constant", "linear", "cosine", "cosine_with_restarts", "polynomial"}));
    VERIFY_THROWS(learning_rate({"step", 1, 1, 0}, 0), UnsupportedError, "cosine_with_restarts");
  }
};

LORIKEET_TEST_MAIN(ScheduleTest)
#include "schedule_test.moc"
