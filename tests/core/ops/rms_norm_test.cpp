#include "core/ops/rms_norm.h"

#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "tests/core/ops/bf16_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr double kEps = 1e-5;

// y = x / sqrt(mean(x^2) + eps) * weight; dx of sum(dy * y) from the quotient rule.
struct Reference {
  Tensor y, rstd, dx;
  Reference(const Tensor& x, const Tensor& w, const Tensor& dy) : y(Tensor::empty(x.shape(), DType::f64)), rstd(Tensor::empty({x.dim(0)}, DType::f64)), dx(y.clone()) {
    const auto xs = values(x), ws = values(w), ds = values(dy);
    const auto n = static_cast<size_t>(x.width());
    for (size_t r = 0; r < static_cast<size_t>(x.rows()); ++r) {
      double squares = 0, along = 0;
      for (size_t i = 0; i < n; ++i) squares += xs[r * n + i] * xs[r * n + i];
      const double s = 1 / std::sqrt(squares / static_cast<double>(n) + kEps);
      for (size_t i = 0; i < n; ++i) along += ds[r * n + i] * ws[i] * xs[r * n + i];
      rstd.data<double>()[r] = s;
      for (size_t i = 0; i < n; ++i) {
        y.data<double>()[r * n + i] = xs[r * n + i] * s * ws[i];
        dx.data<double>()[r * n + i] = ds[r * n + i] * ws[i] * s - xs[r * n + i] * s * s * s * along / static_cast<double>(n);
      }
    }
  }
};

}  // namespace

class RmsNormTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void matchesFloat64Reference_data() { level_rows(); }
  void matchesFloat64Reference() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    for (int64_t width : {1, 3, 7, 33, 65, 576})
      for (int64_t rows : {1, 3, 37}) {
        const Tensor x = strided(random_tensor({rows, width}, 1, t, 3)), w = random_tensor({width}, 2, t), dy = strided(random_tensor({rows, width}, 3, t));
        const Reference wanted(x, w, dy);
        Tensor y = strided_output(rows, width, t), rstd = Tensor::empty({rows}, t), dx = strided_output(rows, width, t);
        rms_norm(cx, {x, w, y, &rstd, kEps});
        rms_norm_backward(cx, {dy, x, w, rstd, dx});
        VERIFY_SMALL(relative_l2(y, wanted.y), tolerance(t));
        VERIFY_SMALL(relative_l2(rstd, wanted.rstd), tolerance(t));
        // dx of width 1 is a difference of nearly equal numbers: bounded against its terms instead
        VERIFY_SMALL(max_abs_difference(dx, wanted.dx), tolerance(t) * 10);
      }
  }
  void mayWriteOverItsInput() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Tensor x = random_tensor({9, 70}, 1), w = random_tensor({70}, 2), dy = random_tensor({9, 70}, 3);
      const Tensor input = x.clone();
      Tensor y = Tensor::empty({9, 70}), rstd = Tensor::empty({9}), dx = Tensor::empty({9, 70});
      rms_norm(cx, {input, w, y, &rstd, kEps});
      rms_norm(cx, {x, w, x, nullptr, kEps});
      QVERIFY(same_bits(x, y));
      rms_norm_backward(cx, {dy, input, w, rstd, dx});
      rms_norm_backward(cx, {dy, input, w, rstd, dy});
      QVERIFY(same_bits(dx, dy));
    }
  }
  void theGradientIsAddedToWhatIsThere() {
    for (CpuLevel level : cpu_probe().available)
      for (DType type : {DType::f32, DType::f64}) {
        Context cx = context(level);
        const Tensor x = random_tensor({19, 70}, 1, type), w = random_tensor({70}, 2, type), dy = random_tensor({19, 70}, 3, type);
        Tensor y = Tensor::empty({19, 70}, type), rstd = Tensor::empty({19}, type), part = Tensor::empty({19, 70}, type), sum = random_tensor({19, 70}, 4, type);
        rms_norm(cx, {x, w, y, &rstd, kEps});
        rms_norm_backward(cx, {dy, x, w, rstd, part});
        Tensor wanted = sum.clone();
        add(cx, wanted, part, wanted);
        rms_norm_backward(cx, {dy, x, w, rstd, sum, true});
        if (type == DType::f32) QVERIFY(same_bits(sum, wanted));
        else VERIFY_SMALL(max_abs_difference(sum, wanted), 1e-15);
      }
  }
  void gradientMatchesCentralDifferences() {
    Context cx = context(CpuLevel::scalar);
    Tensor x = random_tensor({3, 7}, 1, DType::f64), w = random_tensor({7}, 2, DType::f64), dy = random_tensor({3, 7}, 3, DType::f64);
    Tensor y = Tensor::empty({3, 7}, DType::f64), rstd = Tensor::empty({3}, DType::f64), dx = Tensor::empty({3, 7}, DType::f64);
    rms_norm(cx, {x, w, y, &rstd, kEps});
    rms_norm_backward(cx, {dy, x, w, rstd, dx});
    VERIFY_SMALL(gradient_error(x, dx, [&] {
      rms_norm(cx, {x, w, y, nullptr, kEps});
      return weighted_sum(y, dy);
    }), 1e-6);
  }
  void threadsChangeNoBit() {
    const Tensor x = random_tensor({130, 65}, 1), w = random_tensor({65}, 2), dy = random_tensor({130, 65}, 3);
    for (CpuLevel level : cpu_probe().available) {
      Tensor first, first_dx;
      for (int threads : {1, 2, 3, 2}) {
        Context cx = context(level, threads);
        Tensor y = Tensor::empty({130, 65}), rstd = Tensor::empty({130}), dx = Tensor::empty({130, 65});
        rms_norm(cx, {x, w, y, &rstd, kEps});
        rms_norm_backward(cx, {dy, x, w, rstd, dx});
        if (!first.defined()) { first = y; first_dx = dx; }
        QVERIFY(same_bits(first, y) && same_bits(first_dx, dx));
      }
    }
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    Tensor x = random_tensor({4, 8}, 1), w = random_tensor({8}, 2), y = Tensor::empty({4, 8}), rstd = Tensor::empty({4});
    Tensor narrow = random_tensor({7}, 2), short_rstd = Tensor::empty({3}), wide = random_tensor({8}, 2, DType::f64), half = x.to(DType::f16), y64 = Tensor::empty({4, 8}, DType::f64);
    VERIFY_THROWS(rms_norm(cx, {x, narrow, y, nullptr, kEps}), ShapeError, "weight [7]");
    VERIFY_THROWS(rms_norm(cx, {x, w, y, &short_rstd, kEps}), ShapeError, "rstd");
    VERIFY_THROWS(rms_norm(cx, {x, wide, y, nullptr, kEps}), DTypeError, "weight is f64");
    VERIFY_THROWS(rms_norm(cx, {x, w, y64, nullptr, kEps}), DTypeError, "y is f64");
    VERIFY_THROWS(rms_norm(cx, {half, w, y, nullptr, kEps}), DTypeError, "f16");
    VERIFY_THROWS(rms_norm_backward(cx, {x, x, narrow, rstd, y}), ShapeError, "weight");
    VERIFY_THROWS(rms_norm_backward(cx, {x, x, w, short_rstd, y}), ShapeError, "rstd");
    VERIFY_THROWS(rms_norm_backward(cx, {x, x, w, rstd, y64}), DTypeError, "f64");
  }
  // The same number as in f32, rounded once.
  void roundsOnceToBf16() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      for (int64_t width : {1, 3, 7, 33, 65, 576}) {
        const Tensor x = strided(random_tensor({37, width}, 1, DType::f32, 3)), w = random_tensor({width}, 2);
        Tensor y = strided_output(37, width, DType::f32), rounded = strided_output(37, width, DType::bf16), rstd = Tensor::empty({37}), again = Tensor::empty({37});
        rms_norm(cx, {x, w, y, &rstd, kEps});
        rms_norm(cx, {x, w, rounded, &again, kEps});
        QVERIFY(same_bits(rstd, again));
        VERIFY_SMALL(relative_l2(rounded, y), kRoundedOnce);
        // x s w and x w s may differ in the last bit of f32, which may move a number across a tie.
        const auto found = values(rounded), wanted = values(y);
        for (size_t i = 0; i < found.size(); ++i) VERIFY_SMALL(std::abs(found[i] - wanted[i]), std::abs(wanted[i]) * (1 / 256.0 + 1e-6));
      }
      Tensor x = random_tensor({3, 4}, 1, DType::f64), w = random_tensor({4}, 2, DType::f64), rounded = Tensor::empty({3, 4}, DType::bf16);
      VERIFY_THROWS(rms_norm(cx, {x, w, rounded, nullptr, kEps}), DTypeError, "y is bf16");
    }
  }
};

LORIKEET_TEST_MAIN(RmsNormTest)
#include "rms_norm_test.moc"
