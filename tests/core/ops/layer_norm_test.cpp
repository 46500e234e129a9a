#include "core/ops/layer_norm.h"

#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "tests/core/ops/bf16_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr double kEps = 1e-5;

// y = (x - mean) / sqrt(variance + eps) * weight + bias; dx of sum(dy * y) through the mean and the variance.
struct Reference {
  Tensor y, mean, rstd, dx;
  Reference(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& dy)
      : y(Tensor::empty(x.shape(), DType::f64)), mean(Tensor::empty({x.dim(0)}, DType::f64)), rstd(mean.clone()), dx(y.clone()) {
    const auto xs = values(x), ws = values(w), ds = values(dy), bs = b.defined() ? values(b) : std::vector<double>(ws.size());
    const auto n = static_cast<size_t>(x.width());
    const auto count = static_cast<double>(n);
    for (size_t r = 0; r < static_cast<size_t>(x.rows()); ++r) {
      const double *in = &xs[r * n], *d = &ds[r * n];
      double sum = 0, variance = 0, level = 0, along = 0;
      for (size_t i = 0; i < n; ++i) sum += in[i];
      const double m = sum / count;
      for (size_t i = 0; i < n; ++i) variance += (in[i] - m) * (in[i] - m) / count;
      const double s = 1 / std::sqrt(variance + kEps);
      for (size_t i = 0; i < n; ++i) level += d[i] * ws[i] / count;
      for (size_t i = 0; i < n; ++i) along += d[i] * ws[i] * (in[i] - m) / count;
      mean.data<double>()[r] = m;
      rstd.data<double>()[r] = s;
      for (size_t i = 0; i < n; ++i) {
        y.data<double>()[r * n + i] = (in[i] - m) * s * ws[i] + bs[i];
        dx.data<double>()[r * n + i] = s * (d[i] * ws[i] - level) - s * s * s * (in[i] - m) * along;
      }
    }
  }
};

Tensor shifted(Tensor x, double by) {
  for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] += static_cast<float>(by);
  return x;
}

}  // namespace

class LayerNormTest : public QObject {
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
      for (int64_t rows : {1, 3, 37})
        for (bool with_bias : {true, false}) {
          const Tensor x = strided(random_tensor({rows, width}, 1, t, 3)), w = random_tensor({width}, 2, t), dy = strided(random_tensor({rows, width}, 3, t));
          const Tensor b = with_bias ? random_tensor({width}, 4, t) : Tensor();
          const Reference wanted(x, w, b, dy);
          Tensor y = strided_output(rows, width, t), mean = Tensor::empty({rows}, t), rstd = Tensor::empty({rows}, t), dx = strided_output(rows, width, t);
          layer_norm(cx, {x, w, with_bias ? &b : nullptr, y, &mean, &rstd, kEps});
          layer_norm_backward(cx, {dy, x, w, mean, rstd, dx});
          // A row of one element is its mean: nothing but the bias is left.
          VERIFY_SMALL(max_abs_difference(y, wanted.y), tolerance(t) * 10);
          if (width > 1) VERIFY_SMALL(relative_l2(y, wanted.y), tolerance(t));
          VERIFY_SMALL(max_abs_difference(mean, wanted.mean), tolerance(t) * 3);  // of deviations of about 3: a mean may be next to nothing
          VERIFY_SMALL(relative_l2(rstd, wanted.rstd), tolerance(t));
          if (width > 7) VERIFY_SMALL(relative_l2(dx, wanted.dx), tolerance(t));
          else VERIFY_SMALL(max_abs_difference(dx, wanted.dx), tolerance(t) * 100);
        }
  }
  // Deviations of about 1 on a mean of 1000: the mean of squares less the square of the mean would have one digit left.
  void aLargeMeanCancelsNothing() {
    for (CpuLevel level : cpu_probe().available)
      for (int64_t width : {31, 4096, 50001}) {
        Context cx = context(level);
        const Tensor x = shifted(random_tensor({3, width}, 1), 1000), w = random_tensor({width}, 2), b = random_tensor({width}, 3), dy = random_tensor({3, width}, 4);
        const Reference wanted(x, w, b, dy);
        Tensor y = Tensor::empty({3, width}), mean = Tensor::empty({3}), rstd = Tensor::empty({3}), dx = Tensor::empty({3, width});
        layer_norm(cx, {x, w, &b, y, &mean, &rstd, kEps});
        layer_norm_backward(cx, {dy, x, w, mean, rstd, dx});
        VERIFY_SMALL(max_abs_difference(mean, wanted.mean), 6.2e-5);  // the last bit of a number near 1000
        VERIFY_SMALL(relative_l2(rstd, wanted.rstd), 1e-5);
        VERIFY_SMALL(relative_l2(y, wanted.y), 1e-4);
        VERIFY_SMALL(relative_l2(dx, wanted.dx), 1e-4);
      }
  }
  void mayWriteOverItsInput() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Tensor x = random_tensor({9, 70}, 1), w = random_tensor({70}, 2), b = random_tensor({70}, 4), dy = random_tensor({9, 70}, 3);
      const Tensor input = x.clone();
      Tensor y = Tensor::empty({9, 70}), mean = Tensor::empty({9}), rstd = Tensor::empty({9}), dx = Tensor::empty({9, 70});
      layer_norm(cx, {input, w, &b, y, &mean, &rstd, kEps});
      layer_norm(cx, {x, w, &b, x, nullptr, nullptr, kEps});
      QVERIFY(same_bits(x, y));
      layer_norm_backward(cx, {dy, input, w, mean, rstd, dx});
      layer_norm_backward(cx, {dy, input, w, mean, rstd, dy});
      QVERIFY(same_bits(dx, dy));
    }
  }
  void theGradientIsAddedToWhatIsThere() {
    for (CpuLevel level : cpu_probe().available)
      for (DType type : {DType::f32, DType::f64}) {
        Context cx = context(level);
        const Tensor x = random_tensor({19, 70}, 1, type), w = random_tensor({70}, 2, type), dy = random_tensor({19, 70}, 3, type);
        Tensor y = Tensor::empty({19, 70}, type), mean = Tensor::empty({19}, type), rstd = Tensor::empty({19}, type), part = Tensor::empty({19, 70}, type);
        Tensor sum = random_tensor({19, 70}, 4, type);
        layer_norm(cx, {x, w, nullptr, y, &mean, &rstd, kEps});
        layer_norm_backward(cx, {dy, x, w, mean, rstd, part});
        Tensor wanted = sum.clone();
        add(cx, wanted, part, wanted);
        layer_norm_backward(cx, {dy, x, w, mean, rstd, sum, true});
        if (type == DType::f32) QVERIFY(same_bits(sum, wanted));
        else VERIFY_SMALL(max_abs_difference(sum, wanted), 1e-15);
      }
  }
  void gradientMatchesCentralDifferences() {
    Context cx = context(CpuLevel::scalar);
    Tensor x = random_tensor({3, 7}, 1, DType::f64), w = random_tensor({7}, 2, DType::f64), b = random_tensor({7}, 4, DType::f64), dy = random_tensor({3, 7}, 3, DType::f64);
    Tensor y = Tensor::empty({3, 7}, DType::f64), mean = Tensor::empty({3}, DType::f64), rstd = Tensor::empty({3}, DType::f64), dx = Tensor::empty({3, 7}, DType::f64);
    layer_norm(cx, {x, w, &b, y, &mean, &rstd, kEps});
    layer_norm_backward(cx, {dy, x, w, mean, rstd, dx});
    VERIFY_SMALL(gradient_error(x, dx, [&] {
      layer_norm(cx, {x, w, &b, y, nullptr, nullptr, kEps});
      return weighted_sum(y, dy);
    }), 1e-6);
  }
  void threadsChangeNoBit() {
    const Tensor x = random_tensor({130, 65}, 1), w = random_tensor({65}, 2), b = random_tensor({65}, 4), dy = random_tensor({130, 65}, 3);
    for (CpuLevel level : cpu_probe().available) {
      Tensor first, first_dx;
      for (int threads : {1, 2, 3, 2}) {
        Context cx = context(level, threads);
        Tensor y = Tensor::empty({130, 65}), mean = Tensor::empty({130}), rstd = Tensor::empty({130}), dx = Tensor::empty({130, 65});
        layer_norm(cx, {x, w, &b, y, &mean, &rstd, kEps});
        layer_norm_backward(cx, {dy, x, w, mean, rstd, dx});
        if (!first.defined()) { first = y; first_dx = dx; }
        QVERIFY(same_bits(first, y) && same_bits(first_dx, dx));
      }
    }
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    Tensor x = random_tensor({4, 8}, 1), w = random_tensor({8}, 2), y = Tensor::empty({4, 8}), mean = Tensor::empty({4}), rstd = Tensor::empty({4});
    Tensor narrow = random_tensor({7}, 2), few = Tensor::empty({3}), wide = random_tensor({8}, 2, DType::f64), half = x.to(DType::f16), y64 = Tensor::empty({4, 8}, DType::f64);
    VERIFY_THROWS(layer_norm(cx, {x, narrow, nullptr, y, nullptr, nullptr, kEps}), ShapeError, "weight [7]");
    VERIFY_THROWS(layer_norm(cx, {x, w, &narrow, y, nullptr, nullptr, kEps}), ShapeError, "bias is [7]");
    VERIFY_THROWS(layer_norm(cx, {x, w, &wide, y, nullptr, nullptr, kEps}), DTypeError, "bias is f64");
    VERIFY_THROWS(layer_norm(cx, {x, w, nullptr, y, &few, &rstd, kEps}), ShapeError, "mean");
    VERIFY_THROWS(layer_norm(cx, {x, w, nullptr, y, &mean, &few, kEps}), ShapeError, "rstd");
    VERIFY_THROWS(layer_norm(cx, {x, w, nullptr, y, &mean, nullptr, kEps}), ShapeError, "together");
    VERIFY_THROWS(layer_norm(cx, {x, wide, nullptr, y, nullptr, nullptr, kEps}), DTypeError, "weight is f64");
    VERIFY_THROWS(layer_norm(cx, {x, w, nullptr, y64, nullptr, nullptr, kEps}), DTypeError, "y is f64");
    VERIFY_THROWS(layer_norm(cx, {half, w, nullptr, y, nullptr, nullptr, kEps}), DTypeError, "f16");
    VERIFY_THROWS(layer_norm_backward(cx, {x, x, narrow, mean, rstd, y}), ShapeError, "weight");
    VERIFY_THROWS(layer_norm_backward(cx, {x, x, w, few, rstd, y}), ShapeError, "mean");
    VERIFY_THROWS(layer_norm_backward(cx, {x, x, w, mean, few, y}), ShapeError, "rstd");
    VERIFY_THROWS(layer_norm_backward(cx, {x, x, w, mean, rstd, y64}), DTypeError, "f64");
  }
  void roundsOnceToBf16() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      for (int64_t width : {1, 3, 7, 33, 65, 576}) {
        const Tensor x = strided(random_tensor({37, width}, 1, DType::f32, 3)), w = random_tensor({width}, 2), b = random_tensor({width}, 3);
        Tensor y = strided_output(37, width, DType::f32), rounded = strided_output(37, width, DType::bf16);
        layer_norm(cx, {x, w, &b, y, nullptr, nullptr, kEps});
        layer_norm(cx, {x, w, &b, rounded, nullptr, nullptr, kEps});
        QVERIFY(same_bits(rounded, y.to(DType::bf16)));
      }
      Tensor x = random_tensor({3, 4}, 1, DType::f64), w = random_tensor({4}, 2, DType::f64), rounded = Tensor::empty({3, 4}, DType::bf16);
      VERIFY_THROWS(layer_norm(cx, {x, w, nullptr, rounded, nullptr, nullptr, kEps}), DTypeError, "y is bf16");
    }
  }
};

LORIKEET_TEST_MAIN(LayerNormTest)
#include "layer_norm_test.moc"
