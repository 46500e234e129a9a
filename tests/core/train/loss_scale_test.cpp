#include "core/train/loss_scale.h"

#include "tests/support/support.h"

using lorikeet::LossScale;

class LossScaleTest : public QObject {
  Q_OBJECT
 private slots:
  void offItIsOne() {
    LossScale s;
    for (int64_t i = 0; i <= LossScale::kGoodSteps; ++i) s.good_step();
    QCOMPARE(s.value(), 1.0);
    QVERIFY(!s.lower());
    s.restore(64, 1);
    QCOMPARE(s.value(), 1.0);
  }

  void itFallsAtOnceAndRisesSlowly() {
    LossScale s(true);
    const double first = s.value();
    for (int64_t i = 0; i < LossScale::kGoodSteps - 1; ++i) s.good_step();
    QCOMPARE(s.value(), first);
    QVERIFY(s.lower());
    QCOMPARE(s.value(), first / 2);
    QCOMPARE(s.good_steps(), int64_t{0});
    for (int64_t i = 0; i < LossScale::kGoodSteps; ++i) s.good_step();
    QCOMPARE(s.value(), first);
  }

  void itHasEnds() {
    LossScale s(true);
    while (s.lower()) QVERIFY(s.value() >= LossScale::kLeast);
    QCOMPARE(s.value(), LossScale::kLeast);
    for (int64_t i = 0; i < 40 * LossScale::kGoodSteps; ++i) s.good_step();
    QCOMPARE(s.value(), LossScale::kMost);
  }

  void whatACheckpointCannotHoldIsLeftAlone() {
    LossScale s(true);
    for (const double bad : {0.0, -1.0, 1e30, std::numeric_limits<double>::quiet_NaN()}) s.restore(bad, 3);
    QCOMPARE(s.value(), LossScale::kFirst);
    s.restore(32, 3);
    QCOMPARE(s.value(), 32.0);
    QCOMPARE(s.good_steps(), int64_t{3});
  }
};

LORIKEET_TEST_MAIN(LossScaleTest)
#include "loss_scale_test.moc"
