#include "core/ops/linear_cross_entropy.h"

#include "core/base/error.h"
#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

Tensor targets_of(int64_t n, int64_t vocabulary) {
  std::vector<int32_t> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(static_cast<int32_t>(i * 7919 % vocabulary));
  return Tensor::from(v, {n});
}

struct Case {
  PlainWeight head;
  Tensor x, targets, losses, dx;
  double sum = 0, scale = 0.25;
  Case(int64_t n, int64_t width, int64_t vocabulary, DType t, double size = 1, bool decodes = true)
      : head(random_tensor({vocabulary, width}, 1, DType::f32, size), decodes), x(strided(random_tensor({n, width}, 2, t, size))), targets(targets_of(n, vocabulary)),
        losses(Tensor::empty({n}, t)), dx(strided_output(n, width, t)) {}
  void run(Context& cx) { linear_cross_entropy(cx, {x, head, targets, &sum, &losses, &dx, scale}); }
};

struct Reference {
  double sum = 0;
  Tensor losses, dx;
  explicit Reference(const Case& c) : losses(Tensor::zeros({c.x.dim(0)}, DType::f64)), dx(Tensor::zeros(c.x.shape(), DType::f64)) {
    const Tensor x = c.x.to(DType::f64), w = c.head.values().to(DType::f64);
    const int64_t vocabulary = w.dim(0), width = w.dim(1);
    for (int64_t t = 0; t < x.dim(0); ++t) {
      std::vector<double> z(static_cast<size_t>(vocabulary));
      for (int64_t v = 0; v < vocabulary; ++v)
        for (int64_t i = 0; i < width; ++i) z[static_cast<size_t>(v)] += x.row<double>(t)[i] * w.row<double>(v)[i];
      double top = z[0], total = 0;
      for (const double e : z) top = std::max(top, e);
      for (const double e : z) total += std::exp(e - top);
      const double lse = top + std::log(total);
      const auto target = static_cast<size_t>(c.targets.data<int32_t>()[t]);
      losses.data<double>()[t] = lse - z[target];
      sum += lse - z[target];
      for (int64_t v = 0; v < vocabulary; ++v) {
        const double d = c.scale * (std::exp(z[static_cast<size_t>(v)] - lse) - (static_cast<size_t>(v) == target ? 1 : 0));
        for (int64_t i = 0; i < width; ++i) dx.row<double>(t)[i] += d * w.row<double>(v)[i];
      }
    }
  }
};

}  // namespace

class LinearCrossEntropyTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void matchesFloat64Reference_data() { level_rows(); }
  void matchesFloat64Reference() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    const int64_t sizes[][3] = {{1, 1, 2}, {1, 33, 65}, {3, 7, 33}, {33, 65, 300}, {70, 3, 1000}, {7, 16, 1}};
    for (const auto& s : sizes)
      for (bool decodes : {true, false}) {
        Case c(s[0], s[1], s[2], t, 1, decodes);
        c.run(cx);
        const Reference wanted(c);
        VERIFY_SMALL(std::abs(c.sum - wanted.sum), tolerance(t) * (1 + wanted.sum));
        VERIFY_SMALL(max_abs_difference(c.losses, wanted.losses), 10 * tolerance(t));
        VERIFY_SMALL(max_abs_difference(c.dx, wanted.dx), tolerance(t));
        if (s[2] > 1) VERIFY_SMALL(relative_l2(c.dx, wanted.dx), tolerance(t));
      }
  }
  void manyChunksMatch() {  // more rows than one chunk of logits holds
    for (CpuLevel level : cpu_probe().available) {
      if (level == CpuLevel::scalar) continue;
      Context cx = context(level);
      Case c(700, 5, 3000, DType::f32);
      c.run(cx);
      const Reference wanted(c);
      VERIFY_SMALL(std::abs(c.sum - wanted.sum) / wanted.sum, 1e-5);
      VERIFY_SMALL(relative_l2(c.dx, wanted.dx), 1e-5);
    }
  }
  void largeLogitsDoNotOverflow() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Case c(9, 40, 200, DType::f32, 30);
      c.run(cx);
      const Reference wanted(c);
      QVERIFY(std::isfinite(c.sum));
      VERIFY_SMALL(std::abs(c.sum - wanted.sum) / wanted.sum, 1e-5);
    }
  }
  void gradientMatchesCentralDifferences() {
    Context cx = context(CpuLevel::scalar);
    Case c(4, 5, 9, DType::f64);
    c.run(cx);
    VERIFY_SMALL(gradient_error(c.x, c.dx, [&] {
      double sum = 0;
      linear_cross_entropy(cx, {c.x, c.head, c.targets, &sum, nullptr, nullptr, 1});
      return sum * c.scale;
    }), 1e-6);
  }
  void withoutAGradientTheLossIsTheSame() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Case c(40, 33, 500, DType::f32);
      c.run(cx);
      double sum = 0;
      linear_cross_entropy(cx, {c.x, c.head, c.targets, &sum, nullptr, nullptr, 1});
      QCOMPARE(sum, c.sum);
    }
  }
  void theTotalIsAddedTo() {
    Context cx = context(cpu_probe().best);
    for (DType t : {DType::f32, DType::bf16}) {
      Case c(21, 33, 70, DType::f32);
      const Tensor x = c.x.to(t);
      Tensor total = Tensor::from<double>({3.5}, {1}), wrong = Tensor::zeros({2}, DType::f64);
      double sum = 0;
      linear_cross_entropy(cx, {x, c.head, c.targets, &sum, nullptr, nullptr, 1, &total});
      QCOMPARE(total.data<double>()[0], 3.5 + sum);
      VERIFY_THROWS((linear_cross_entropy(cx, {x, c.head, c.targets, &sum, nullptr, nullptr, 1, &wrong}), 0), ShapeError, "loss_total");
    }
  }
  void noRowsIsNoLoss() {
    Context cx = context(cpu_probe().best);
    Case c(0, 4, 6, DType::f32);
    c.sum = 5;
    c.run(cx);
    QCOMPARE(c.sum, 0.0);
  }
  void threadsChangeNoBit() {
    for (CpuLevel level : cpu_probe().available) {
      std::vector<Case> all;
      for (int threads : {1, 2, 3, 2}) {
        Context cx = context(level, threads);
        Case& c = all.emplace_back(65, 33, 1111, DType::f32);
        c.run(cx);
        QVERIFY(same_bits(all.front().dx, c.dx) && same_bits(all.front().losses, c.losses));
        QCOMPARE(all.front().sum, c.sum);
      }
    }
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    Case c(3, 4, 5, DType::f32);
    double sum = 0;
    Tensor narrow = random_tensor({3, 3}, 1), wide = random_tensor({3, 4}, 1, DType::f64), half = narrow.to(DType::f16);
    const Tensor over = Tensor::from(std::vector<int32_t>{0, 1, 5}, {3}), under = Tensor::from(std::vector<int32_t>{0, -100, 1}, {3}), few = targets_of(2, 5);
    VERIFY_THROWS(linear_cross_entropy(cx, {narrow, c.head, c.targets, &sum, nullptr, nullptr, 1}), ShapeError, "x [3, 3]");
    VERIFY_THROWS(linear_cross_entropy(cx, {half, c.head, c.targets, &sum, nullptr, nullptr, 1}), UnsupportedError, "x is f16; rows of f16 are computed on a GPU only");
    VERIFY_THROWS(linear_cross_entropy(cx, {c.x, c.head, over, &sum, nullptr, nullptr, 1}), ShapeError, "target 5");
    VERIFY_THROWS(linear_cross_entropy(cx, {c.x, c.head, under, &sum, nullptr, nullptr, 1}), ShapeError, "target -100");
    VERIFY_THROWS(linear_cross_entropy(cx, {c.x, c.head, few, &sum, nullptr, nullptr, 1}), ShapeError, "targets");
    VERIFY_THROWS(linear_cross_entropy(cx, {c.x, c.head, narrow, &sum, nullptr, nullptr, 1}), DTypeError, "targets");
    VERIFY_THROWS(linear_cross_entropy(cx, {c.x, c.head, c.targets, &sum, &narrow, nullptr, 1}), ShapeError, "losses");
    VERIFY_THROWS(linear_cross_entropy(cx, {c.x, c.head, c.targets, &sum, nullptr, &wide, 1}), DTypeError, "dx");
  }
};

LORIKEET_TEST_MAIN(LinearCrossEntropyTest)
#include "linear_cross_entropy_test.moc"
