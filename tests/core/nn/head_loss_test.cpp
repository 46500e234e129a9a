#include "core/nn/head_loss.h"

#include <cmath>

#include "core/ops/cpu_kernels.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class HeadLossTest : public QObject {
  Q_OBJECT
  Context cx_{2};
  static constexpr int64_t kTokens = 9, kWidth = 6, kVocabulary = 11;
  MapSource source_{{{"head", random_tensor({kVocabulary, kWidth}, 1)}}};
  FrozenWeightPtr head_ = source_.matrix("head", kVocabulary, kWidth, false);
  Targets targets_{{0, 3, 7, 8}, {10, 0, 4, 4}};

  /// Straight from the formula, in f64.
  std::vector<double> reference(const Tensor& hidden) const {
    std::vector<double> losses;
    for (size_t i = 0; i < targets_.rows.size(); ++i) {
      std::vector<double> logits(kVocabulary);
      double total = 0;
      for (int64_t v = 0; v < kVocabulary; ++v) {
        for (int64_t c = 0; c < kWidth; ++c)
          logits[static_cast<size_t>(v)] +=
              hidden.row<double>(targets_.rows[i])[c] * static_cast<double>(head_->plain_f32()[v * kWidth + c]);
        total += std::exp(logits[static_cast<size_t>(v)]);
      }
      losses.push_back(std::log(total) - logits[static_cast<size_t>(targets_.targets[i])]);
    }
    return losses;
  }

 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void matchesTheFormulaAndItsDifferences() {
    const Tensor hidden = random_tensor({kTokens, kWidth}, 2, DType::f64, 2.0);
    const HeadLoss got = head_loss(cx_, *head_, hidden, targets_, true, 0.25, true);
    const std::vector<double> wanted = reference(hidden);
    double sum = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      sum += wanted[i];
      QVERIFY(std::abs(got.losses.data<double>()[i] - wanted[i]) < 1e-12);
    }
    QVERIFY(std::abs(got.loss_sum - sum) < 1e-11);
    for (int64_t i = 0; i < hidden.size(); ++i) {
      Tensor up = hidden.clone(), down = hidden.clone();
      up.data<double>()[i] += 1e-6;
      down.data<double>()[i] -= 1e-6;
      double numeric = 0;
      const auto a = reference(up), b = reference(down);
      for (size_t k = 0; k < a.size(); ++k) numeric += 0.25 * (a[k] - b[k]) / 2e-6;
      QVERIFY(std::abs(numeric - got.d_hidden.data<double>()[i]) < 1e-8);
    }
  }
  void rowsWithoutTargetGetZero() {
    const HeadLoss got = head_loss(cx_, *head_, random_tensor({kTokens, kWidth}, 2), targets_, true, 1);
    for (int64_t row : {1, 2, 4, 5, 6})
      for (int64_t c = 0; c < kWidth; ++c) QCOMPARE(got.d_hidden.row<float>(row)[c], 0.0f);
    QVERIFY(!got.losses.defined());
  }
  void noTargetAtAllIsNoLoss() {
    const HeadLoss got = head_loss(cx_, *head_, random_tensor({kTokens, kWidth}, 2), {}, true, 1);
    QCOMPARE(got.loss_sum, 0.0);
    QCOMPARE(max_abs_difference(got.d_hidden, Tensor::zeros({kTokens, kWidth})), 0.0);
  }
  void withoutGradientThereIsNone() {
    const Tensor hidden = random_tensor({kTokens, kWidth}, 2);
    const HeadLoss with = head_loss(cx_, *head_, hidden, targets_, true, 1),
                   without = head_loss(cx_, *head_, hidden, targets_, false, 1);
    QVERIFY(!without.d_hidden.defined());
    QCOMPARE(without.loss_sum, with.loss_sum);
  }
};

LORIKEET_TEST_MAIN(HeadLossTest)
#include "head_loss_test.moc"
