#include "core/ops/gemm.h"

#include <cmath>

#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

template <class T>
void check(CpuLevel level, bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, double beta) {
  const DType type = dtype_of<T>();
  const Tensor a = random_tensor({ta ? k : m, (ta ? m : k) + 3}, 1, type), b = random_tensor({tb ? n : k, (tb ? k : n) + 2}, 2, type);
  Tensor c = random_tensor({m, n + 4}, 3, type);
  const Tensor before = c.clone();
  if (beta == 0) c.columns(0, n).fill(std::nan(""));  // must not be read
  gemm<T>(level, ta, tb, m, n, k, static_cast<T>(alpha), a.data<T>(), a.row_stride(), b.data<T>(), b.row_stride(), static_cast<T>(beta), c.data<T>(), c.row_stride());
  const double unit = type == DType::f64 ? 0x1p-53 : 0x1p-24;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n + 4; ++j) {
      const double old = static_cast<double>(before.row<T>(i)[j]), found = static_cast<double>(c.row<T>(i)[j]);
      if (j >= n) {
        QCOMPARE(found, old);  // behind the row
        continue;
      }
      double wanted = 0, size = 0;
      for (int64_t p = 0; p < k; ++p) {
        const double term = static_cast<double>(ta ? a.row<T>(p)[i] : a.row<T>(i)[p]) * static_cast<double>(tb ? b.row<T>(j)[p] : b.row<T>(p)[j]);
        wanted += term;
        size += std::abs(term);
      }
      wanted = alpha * wanted + (beta == 0 ? 0 : beta * old);
      size = std::abs(alpha) * size + std::abs(beta * old);
      VERIFY_SMALL(std::abs(found - wanted), 4 * std::sqrt(static_cast<double>(k) + 1) * unit * (size + 1e-3));
    }
}

}  // namespace

class GemmTest : public QObject {
  Q_OBJECT
 private slots:
  void matchesFloat64Reference_data() { level_rows(); }
  void matchesFloat64Reference() {
    QFETCH(int, level);
    QFETCH(int, type);
    const int64_t sizes[][3] = {{1, 1, 1}, {1, 33, 7}, {3, 7, 33}, {7, 1, 65}, {33, 65, 3}, {65, 33, 129}, {16, 16, 16}, {70, 130, 66}, {5, 4, 0}};
    for (const auto& s : sizes)
      for (int transposes = 0; transposes < 4; ++transposes)
        for (const double beta : {0.0, 1.0, -0.5}) {
          const auto l = static_cast<CpuLevel>(level);
          const bool ta = transposes & 1, tb = transposes & 2;
          if (static_cast<DType>(type) == DType::f64) check<double>(l, ta, tb, s[0], s[1], s[2], 0.75, beta);
          else check<float>(l, ta, tb, s[0], s[1], s[2], 0.75, beta);
          if (QTest::currentTestFailed()) return;
        }
  }
  void anEmptyResultIsLeftAlone() {
    float c = 5;
    for (CpuLevel l : cpu_probe().available) {
      gemm<float>(l, false, false, 0, 1, 3, 1, nullptr, 3, nullptr, 1, 0, &c, 1);
      gemm<float>(l, false, false, 1, 0, 3, 1, nullptr, 3, nullptr, 1, 0, &c, 1);
      QCOMPARE(c, 5.0f);
    }
  }
  void aRowDoesNotDependOnTheOthers() {  // what causality rests on
    for (CpuLevel l : cpu_probe().available) {
      const Tensor b = random_tensor({64, 96}, 5);
      Tensor a = random_tensor({33, 64}, 4), first = Tensor::empty({33, 96}), second = Tensor::empty({33, 96});
      gemm<float>(l, false, false, 33, 96, 64, 1, a.data<float>(), 64, b.data<float>(), 96, 0, first.data<float>(), 96);
      a.slice(20, 33).fill(1e30);
      gemm<float>(l, false, false, 33, 96, 64, 1, a.data<float>(), 64, b.data<float>(), 96, 0, second.data<float>(), 96);
      QVERIFY(same_bits(first.slice(0, 20), second.slice(0, 20)));
    }
  }
};

LORIKEET_TEST_MAIN(GemmTest)
#include "gemm_test.moc"
