#include "core/ops/row_kernels.h"

#include <cmath>
#include <limits>

#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class RowKernelsTest : public QObject {
  Q_OBJECT
 private slots:
  void theExponentialIsExactToAFewUlp() {
    for (CpuLevel level : cpu_probe().available) {
      const RowKernels& k = row_kernels(level);
      for (double x = -86.5; x < 87; x += 0.00917) {
        float v = static_cast<float>(x);
        const double wanted = std::exp(static_cast<double>(v));
        const float sum = k.exp_sum(&v, 1, 0, 1);
        VERIFY_SMALL(std::abs(static_cast<double>(v) - wanted) / wanted, 4e-7);
        QCOMPARE(sum, v);
      }
    }
  }
  void aNanStaysVisible() {
    for (CpuLevel level : cpu_probe().available) {
      const RowKernels& k = row_kernels(level);
      for (int64_t n : {1, 5, 40}) {
        std::vector<float> x(static_cast<size_t>(n), 0.25f);
        x[static_cast<size_t>(n / 2)] = std::numeric_limits<float>::quiet_NaN();
        QVERIFY(std::isnan(k.exp_sum(x.data(), 1, 0, n)));
      }
    }
  }
  void farBelowTheMaximumCountsAsNothing() {
    for (CpuLevel level : cpu_probe().available) {
      std::vector<float> x(33, -std::numeric_limits<float>::infinity());
      x[7] = 0;
      const float sum = row_kernels(level).exp_sum(x.data(), 1, 0, 33);
      QCOMPARE(sum, 1.0f);
      for (size_t i = 0; i < x.size(); ++i) QVERIFY(i == 7 ? x[i] == 1.0f : x[i] < 1e-37f);
    }
  }
  void reductionsOfEveryLengthMatch() {
    for (CpuLevel level : cpu_probe().available) {
      const RowKernels& k = row_kernels(level);
      for (int64_t n = 1; n < 140; ++n) {
        const Tensor a = random_tensor({n}, static_cast<uint64_t>(n)), b = random_tensor({n}, static_cast<uint64_t>(n) + 500), c = random_tensor({n}, static_cast<uint64_t>(n) + 900);
        const auto x = values(a), y = values(b), z = values(c);
        double squares = 0, product = 0, triple = 0, size = 0, top = x[0];
        for (size_t i = 0; i < x.size(); ++i) {
          squares += x[i] * x[i];
          product += x[i] * y[i];
          triple += x[i] * y[i] * z[i];
          size += std::abs(x[i] * y[i]);
          top = std::max(top, x[i]);
        }
        const double bound = 1e-6 * (1 + size);
        VERIFY_SMALL(std::abs(static_cast<double>(k.sum_of_squares(a.data<float>(), n)) - squares), 1e-6 * (1 + squares));
        VERIFY_SMALL(std::abs(static_cast<double>(k.dot(a.data<float>(), b.data<float>(), n)) - product), bound);
        VERIFY_SMALL(std::abs(static_cast<double>(k.dot3(a.data<float>(), b.data<float>(), c.data<float>(), n)) - triple), bound);
        QCOMPARE(static_cast<double>(k.max(a.data<float>(), n)), top);
      }
    }
  }
};

LORIKEET_TEST_MAIN(RowKernelsTest)
#include "row_kernels_test.moc"
