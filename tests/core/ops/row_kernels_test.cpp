#include "core/ops/row_kernels.h"

#include <cmath>
#include <limits>

#include "tests/core/ops/bf16_support.h"

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
  void theSameHoldsOnBf16Rows() {
    for (CpuLevel level : cpu_probe().available) {
      const RowKernels& k = row_kernels(level);
      for (int64_t n : {1, 5, 16, 40}) {
        const float inf = std::numeric_limits<float>::infinity();
        std::vector<float> x(static_cast<size_t>(n), -inf);
        Tensor p = nan_filled({n}, DType::bf16);
        x[static_cast<size_t>(n / 2)] = 0;
        QCOMPARE(k.exp_sum_bf16(x.data(), 1, 0, p.bits16(), n).exact, 1.0f);
        for (int64_t i = 0; i < n; ++i) QVERIFY(values(p)[static_cast<size_t>(i)] == (i == n / 2 ? 1.0 : 0.0));
        x[static_cast<size_t>(n / 2)] = std::numeric_limits<float>::quiet_NaN();
        QVERIFY(std::isnan(k.exp_sum_bf16(x.data(), 1, 0, p.bits16(), n).exact));
        QVERIFY(std::isnan(values(p)[static_cast<size_t>(n / 2)]));
        Tensor g = Tensor::empty({n}, DType::bf16), u = Tensor::empty({n}, DType::bf16);
        u.fill(1);
        for (const double v : {-300.0, 300.0}) {
          g.fill(v);
          k.silu_mul_bf16(g.bits16(), u.bits16(), p.bits16(), n);
          for (const double y : values(p)) QVERIFY(v < 0 ? std::abs(y) < 1e-30 : std::abs(y / v - 1) < 4e-3);
        }
      }
    }
  }
  void reductionsOfEveryLengthMatch() {
    for (CpuLevel level : cpu_probe().available) {
      const RowKernels& k = row_kernels(level);
      for (int64_t n = 1; n < 140; ++n) {
        const Tensor a = random_tensor({n}, static_cast<uint64_t>(n)), b = random_tensor({n}, static_cast<uint64_t>(n) + 500), c = random_tensor({n}, static_cast<uint64_t>(n) + 900);
        const auto x = values(a), y = values(b), z = values(c);
        double squares = 0, product = 0, triple = 0, size = 0, top = x[0], sum = 0, about = 0, along = 0;
        for (size_t i = 0; i < x.size(); ++i) {
          squares += x[i] * x[i];
          product += x[i] * y[i];
          triple += x[i] * y[i] * z[i];
          size += std::abs(x[i] * y[i]);
          sum += x[i] - 0.5;
          about += (x[i] - 0.5) * (x[i] - 0.5);
          along += x[i] * y[i] * (z[i] - 0.5);
          top = std::max(top, x[i]);
        }
        const double bound = 1e-6 * (1 + size);
        VERIFY_SMALL(std::abs(static_cast<double>(k.sum_of_squares(a.data<float>(), n)) - squares), 1e-6 * (1 + squares));
        VERIFY_SMALL(std::abs(static_cast<double>(k.dot(a.data<float>(), b.data<float>(), n)) - product), bound);
        VERIFY_SMALL(std::abs(static_cast<double>(k.dot3(a.data<float>(), b.data<float>(), c.data<float>(), n)) - triple), bound);
        VERIFY_SMALL(std::abs(static_cast<double>(k.sum_about(a.data<float>(), 0.5f, n)) - sum), 1e-6 * (1 + about + 0.25 * static_cast<double>(n)));
        VERIFY_SMALL(std::abs(static_cast<double>(k.squares_about(a.data<float>(), 0.5f, n)) - about), 1e-6 * (1 + about));
        VERIFY_SMALL(std::abs(static_cast<double>(k.dot3_about(a.data<float>(), b.data<float>(), c.data<float>(), 0.5f, n)) - along), 2 * bound);
        QCOMPARE(static_cast<double>(k.max(a.data<float>(), n)), top);
      }
    }
  }
  void roundingToBf16IsToNearestEven() {
    const float inf = std::numeric_limits<float>::infinity();
    // 1 + 2^-8 and 1 + 3 2^-8 lie halfway: to the even neighbour. The largest f32 rounds to infinity, the smallest to 0.
    const std::vector<float> special = {0.0f, -0.0f, inf, -inf, 1.00390625f, 1.01171875f, -1.00390625f, 3.4028234e38f, 1e-45f, 1.0039063692f};
    const std::vector<double> wanted = {0, 0, HUGE_VAL, -HUGE_VAL, 1, 1.015625, -1, HUGE_VAL, 0, 1.0078125};
    for (CpuLevel level : cpu_probe().available) {
      const RowKernels& k = row_kernels(level);
      std::vector<uint16_t> bits(special.size());
      std::vector<float> back(special.size());
      k.to_bf16(special.data(), bits.data(), static_cast<int64_t>(special.size()));
      k.from_bf16(bits.data(), back.data(), static_cast<int64_t>(special.size()));
      for (size_t i = 0; i < special.size(); ++i) QCOMPARE(static_cast<double>(back[i]), wanted[i]);
      QVERIFY(std::signbit(back[1]));
      for (int64_t n = 1; n < 70; ++n) {
        Tensor x = random_tensor({n}, static_cast<uint64_t>(n), DType::f32, 1e3), found = Tensor::empty({n}, DType::bf16);
        x.data<float>()[n / 2] = std::numeric_limits<float>::quiet_NaN();
        k.to_bf16(x.data<float>(), found.bits16(), n);
        const auto f = values(found), w = values(x.to(DType::bf16));
        for (size_t i = 0; i < f.size(); ++i) QVERIFY(f[i] == w[i] || (std::isnan(f[i]) && std::isnan(w[i])));
      }
    }
  }
  void kernelsOnBf16RowsRoundOnce() {  // of every length, against the formula in f64
    for (CpuLevel level : cpu_probe().available) {
      const RowKernels& k = row_kernels(level);
      for (int64_t n = 1; n < 100; ++n) {
        const auto seed = static_cast<uint64_t>(n);
        const Tensor x = random_tensor({n}, seed, DType::f32, 3), dp = random_tensor({n}, seed + 1), lse = random_tensor({n}, seed + 2), delta = random_tensor({n}, seed + 3), half = x.to(DType::bf16),
                     other = dp.to(DType::bf16);
        Tensor p = nan_filled({n}, DType::bf16), ds = nan_filled({n}, DType::bf16);
        const auto xs = values(x), ds_in = values(dp), ls = values(lse), deltas = values(delta), hs = values(half), os = values(other);
        // Half an ulp of bf16 and the error of an f32 exponential; differences are bounded against their terms.
        const auto near = [](double found, double wanted, double size) { return std::abs(found - wanted) <= std::abs(wanted) / 256 + 1e-6 * size; };

        const ExpSums sums = k.exp_sum_bf16(x.data<float>(), 0.5f, 1.5f, p.bits16(), n);
        double total = 0, rounded = 0;
        for (size_t i = 0; i < xs.size(); ++i) {
          const double e = std::exp(0.5 * xs[i] - 1.5);
          total += e;
          rounded += values(p)[i];
          QVERIFY(near(values(p)[i], e, e));
        }
        VERIFY_SMALL(std::abs(static_cast<double>(sums.exact) - total), 1e-6 * total);
        VERIFY_SMALL(std::abs(static_cast<double>(sums.rounded) - rounded), 1e-6 * rounded);

        double product = 0, size = 0;
        for (size_t i = 0; i < hs.size(); ++i) {
          product += hs[i] * os[i];
          size += std::abs(hs[i] * os[i]);
        }
        VERIFY_SMALL(std::abs(static_cast<double>(k.dot_bf16(half.bits16(), other.bits16(), n)) - product), 1e-6 * (1 + size));

        k.scale_mul_bf16(x.data<float>(), dp.data<float>(), 1.7f, ds.bits16(), n);
        for (size_t i = 0; i < xs.size(); ++i) QVERIFY(near(values(ds)[i], xs[i] * ds_in[i] * static_cast<double>(1.7f), std::abs(xs[i])));

        for (int64_t step : {0, 1}) {
          k.score_gradient(x.data<float>(), dp.data<float>(), 0.5f, lse.data<float>(), delta.data<float>(), step, p.bits16(), ds.bits16(), n);
          const auto found_p = values(p), found_ds = values(ds);
          for (size_t i = 0; i < xs.size(); ++i) {
            const size_t at = step ? i : 0;
            const double e = std::exp(0.5 * xs[i] - ls[at]);
            QVERIFY(near(found_p[i], e, e));
            QVERIFY(near(found_ds[i], e * (ds_in[i] - deltas[at]), 2 * e));
          }
        }
      }
    }
  }
};

LORIKEET_TEST_MAIN(RowKernelsTest)
#include "row_kernels_test.moc"
