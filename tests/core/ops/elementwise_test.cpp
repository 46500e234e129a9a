#include "core/ops/elementwise.h"

#include "core/base/error.h"
#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {
Tensor ids(std::vector<int32_t> v) { const auto n = static_cast<int64_t>(v.size()); return Tensor::from(v, {n}); }
}  // namespace

class ElementwiseTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void addsAndScales_data() { level_rows(); }
  void addsAndScales() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    for (int64_t width : {1, 3, 33, 65, 20000})
      for (int64_t rows : {1, 35}) {
        if (rows * width > 100000) continue;
        const Tensor a = strided(random_tensor({rows, width}, 1, t)), b = strided(random_tensor({rows, width}, 2, t));
        Tensor y = strided_output(rows, width, t);
        add(cx, a, b, y);
        auto wanted = values(a);
        const auto bs = values(b);
        for (size_t i = 0; i < bs.size(); ++i) wanted[i] += bs[i];
        VERIFY_SMALL(relative_l2(y, f64(wanted, y.shape())), tolerance(t));
        Tensor over = strided(a);
        add(cx, over, b, over);
        QVERIFY(same_bits(over, y));
        Tensor over_b = strided(b);
        add(cx, a, over_b, over_b);
        QVERIFY(same_bits(over_b, y));
        add_scaled(cx, y, b, -0.75);
        for (size_t i = 0; i < bs.size(); ++i) wanted[i] -= 0.75 * bs[i];
        VERIFY_SMALL(relative_l2(y, f64(wanted, y.shape())), tolerance(t));
      }
  }
  void vectorsAreTakenToo() {
    Context cx = context(CpuLevel::scalar);
    Tensor y = Tensor::from(std::vector<float>{1, 2, 3}, {3});
    add_scaled(cx, y, y.clone(), 2);
    QVERIFY(y.to_vector<float>() == (std::vector<float>{3, 6, 9}));
  }
  void gathersAndScattersRows() {
    for (DType t : {DType::f32, DType::f64, DType::bf16}) {
      Context cx = context(CpuLevel::scalar, 3);
      const Tensor x = strided(random_tensor({70, 9}, 1, t));
      std::vector<int32_t> rows;
      for (int32_t i = 0; i < 45; ++i) rows.push_back(i * 31 % 70);
      Tensor some = strided_output(45, 9, t), all = strided_output(70, 9, t);
      gather_rows(cx, x, ids(rows), some);
      for (size_t i = 0; i < rows.size(); ++i) QVERIFY(same_bits(some.slice(static_cast<int64_t>(i), static_cast<int64_t>(i) + 1), x.slice(rows[i], rows[i] + 1)));
      scatter_rows(cx, some, ids(rows), all);
      std::vector<bool> named(70);
      for (const int32_t r : rows) named[static_cast<size_t>(r)] = true;
      for (int64_t r = 0; r < 70; ++r) {
        if (named[static_cast<size_t>(r)]) QVERIFY(same_bits(all.slice(r, r + 1), x.slice(r, r + 1)));
        else for (const double v : values(all.slice(r, r + 1))) QCOMPARE(v, 0.0);
      }
    }
  }
  void gatherMayRepeatAndMayBeEmpty() {
    Context cx = context(CpuLevel::scalar);
    const Tensor x = random_tensor({3, 2}, 1);
    Tensor y = Tensor::empty({2, 2}), none = Tensor::empty({0, 2});
    gather_rows(cx, x, ids({2, 2}), y);
    QVERIFY(same_bits(y.slice(0, 1), x.slice(2, 3)) && same_bits(y.slice(1, 2), x.slice(2, 3)));
    gather_rows(cx, x, ids({}), none);
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    Tensor a = random_tensor({2, 4}, 1), b = random_tensor({4, 2}, 1), wide = random_tensor({2, 4}, 1, DType::f64), y = Tensor::empty({2, 4}), half = a.to(DType::f16);
    VERIFY_THROWS(add(cx, a, b, y), ShapeError, "b is [4, 2]");
    VERIFY_THROWS(add(cx, a, a, b), ShapeError, "y is [4, 2]");
    VERIFY_THROWS(add(cx, a, wide, y), DTypeError, "b is f64");
    VERIFY_THROWS(add(cx, half, half, half), DTypeError, "f16");
    VERIFY_THROWS(add_scaled(cx, y, b, 1), ShapeError, "[4, 2]");
    VERIFY_THROWS(gather_rows(cx, a, ids({0, 2}), y), ShapeError, "row 2");
    VERIFY_THROWS(gather_rows(cx, a, ids({-1, 0}), y), ShapeError, "row -1");
    VERIFY_THROWS(gather_rows(cx, a, ids({0}), y), ShapeError, "[2, 4]");
    VERIFY_THROWS(scatter_rows(cx, a, ids({0, 9}), y), ShapeError, "row 9");
    VERIFY_THROWS(scatter_rows(cx, a, ids({1, 1}), y), ShapeError, "twice");
    VERIFY_THROWS(gather_rows(cx, a, random_tensor({2}, 1), y), DTypeError, "rows");
  }
};

LORIKEET_TEST_MAIN(ElementwiseTest)
#include "elementwise_test.moc"
