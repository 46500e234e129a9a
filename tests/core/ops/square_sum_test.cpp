// Sums of squares against a sum in long double, the same bits for any number of threads, and errors.
#include "core/ops/square_sum.h"

#include "core/base/error.h"
#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

double sum_on(Context& cx, const std::vector<const Tensor*>& tensors) {
  double sum = -1;
  square_sum(cx, {tensors, &sum});
  return sum;
}

/// Sizes around the lanes of a sum, of both types, and a tensor much larger than the others.
std::vector<Tensor> some_tensors() {
  std::vector<Tensor> all;
  uint64_t seed = 0;
  for (const Shape& shape : {Shape{1}, Shape{7}, Shape{8}, Shape{9}, Shape{3, 5, 7}, Shape{0, 4}, Shape{100, 1001}}) {
    all.push_back(random_tensor(shape, ++seed));
    all.push_back(random_tensor(shape, ++seed, DType::f64, 3));
  }
  return all;
}
std::vector<const Tensor*> pointers(const std::vector<Tensor>& tensors) {
  std::vector<const Tensor*> p;
  for (const Tensor& t : tensors) p.push_back(&t);
  return p;
}

}  // namespace

class SquareSumTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void equalsTheSumInHigherPrecision() {
    Context cx(2);
    const auto tensors = some_tensors();
    long double wanted = 0;
    for (const Tensor& t : tensors)
      for (const double v : values(t)) wanted += static_cast<long double>(v) * v;
    VERIFY_SMALL(std::abs(sum_on(cx, pointers(tensors)) / static_cast<double>(wanted) - 1), 1e-14);
  }
  void nothingSumsToZero() {
    Context cx(1);
    QCOMPARE(sum_on(cx, {}), 0.0);
    const Tensor empty = Tensor::empty({0, 3});
    QCOMPARE(sum_on(cx, {&empty}), 0.0);
  }
  void aNumberThatIsNotFiniteStays() {
    Context cx(2);
    Tensor t = random_tensor({30}, 1);
    t.data<float>()[17] = std::nanf("");
    QVERIFY(std::isnan(sum_on(cx, {&t})));
    t.data<float>()[17] = HUGE_VALF;
    QVERIFY(std::isinf(sum_on(cx, {&t})));
    t.data<float>()[17] = 1e30f;  // whose square is beyond f32
    QVERIFY(std::abs(sum_on(cx, {&t}) / 1e60 - 1) < 1e-6);
  }
  void threadsChangeNoBit() {
    const auto tensors = some_tensors();
    Context one(1);
    const double wanted = sum_on(one, pointers(tensors));
    for (int threads : {2, 3}) {
      Context cx(threads);
      QCOMPARE(std::bit_cast<uint64_t>(sum_on(cx, pointers(tensors))), std::bit_cast<uint64_t>(wanted));
    }
  }
  void refusesWhatDoesNotFit() {
    Context cx(1);
    const Tensor good = random_tensor({2, 3}, 1), gaps = strided(good), half = good.to(DType::bf16);
    VERIFY_THROWS(sum_on(cx, {&good, &gaps}), ShapeError, "tensor 1, [2, 3], has gaps");
    VERIFY_THROWS(sum_on(cx, {&half}), DTypeError, "tensor 0 is bf16");
  }
};

LORIKEET_TEST_MAIN(SquareSumTest)
#include "square_sum_test.moc"
