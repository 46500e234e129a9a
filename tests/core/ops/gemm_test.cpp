#include "core/ops/gemm.h"

#include <cmath>

#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

/// What the unit multiplies: the numbers times `scale`, and to bf16 and back (nearest even) where it computes in bf16.
Tensor operand(const Tensor& given, double scale, CpuUnit unit) {
  Tensor t = given.clone();
  for (int64_t r = 0; r < t.rows(); ++r)
    for (int64_t i = 0; i < t.width() && t.dtype() == DType::f32; ++i) t.row<float>(r)[i] *= static_cast<float>(scale);
  if (unit.compute == ComputeType::bf16) t = t.to(DType::bf16).to(DType::f32);
  if (t.dtype() == DType::f64)
    for (int64_t i = 0; i < t.size(); ++i) t.data<double>()[i] *= scale;
  return t;
}

template <class T>
void check(CpuUnit level, bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, double beta) {
  const DType type = dtype_of<T>();
  const Tensor a = random_tensor({ta ? k : m, (ta ? m : k) + 3}, 1, type), b = random_tensor({tb ? n : k, (tb ? k : n) + 2}, 2, type);
  Tensor c = random_tensor({m, n + 4}, 3, type);
  const Tensor before = c.clone();
  if (beta == 0) c.columns(0, n).fill(std::nan(""));  // must not be read
  gemm<T>(level, ta, tb, m, n, k, static_cast<T>(alpha), a.data<T>(), a.row_stride(), b.data<T>(), b.row_stride(), static_cast<T>(beta), c.data<T>(), c.row_stride());
  const double unit = type == DType::f64 ? 0x1p-53 : 0x1p-24;
  const Tensor left = operand(a, alpha, level), right = operand(b, 1, level);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n + 4; ++j) {
      const double old = static_cast<double>(before.row<T>(i)[j]), found = static_cast<double>(c.row<T>(i)[j]);
      if (j >= n) {
        QCOMPARE(found, old);  // behind the row
        continue;
      }
      double wanted = 0, size = 0;
      for (int64_t p = 0; p < k; ++p) {
        const double term = static_cast<double>(ta ? left.row<T>(p)[i] : left.row<T>(i)[p]) * static_cast<double>(tb ? right.row<T>(j)[p] : right.row<T>(p)[j]);
        wanted += term;
        size += std::abs(term);
      }
      wanted += beta == 0 ? 0 : beta * old;
      size += std::abs(beta * old);
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
  // Sizes across the borders of blocks, tiles and panels; operands rounded to bf16 by every level.
  void everyUnitOnLargeSizes() {
    const int64_t sizes[][3] = {{71, 205, 410}, {15, 40, 801}, {29, 17, 97}, {130, 193, 33}};
    for (CpuLevel l : cpu_probe().available)
      for (ComputeType c : {ComputeType::f32, ComputeType::bf16})
        for (const auto& s : sizes)
          for (int transposes = 0; transposes < 4; ++transposes) {
            check<float>({l, c}, transposes & 1, transposes & 2, s[0], s[1], s[2], transposes == 2 ? 0.5 : 1, transposes & 1);
            if (QTest::currentTestFailed()) return;
          }
  }
  void bf16OperandsKeepInfinitiesAndNaN() {
    for (CpuLevel l : cpu_probe().available) {
      const float a[] = {INFINITY, 1, 1, NAN, 3e38f, 0}, b[] = {1, 1};
      float c[3];
      gemm<float>({l, ComputeType::bf16}, false, true, 3, 1, 2, 1, a, 2, b, 2, 0, c, 1);
      QVERIFY(std::isinf(c[0]) && std::isnan(c[1]) && std::isfinite(c[2]));
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
