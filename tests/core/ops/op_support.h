/// What the tests of ops share: contexts per CPU level, bit comparison, central differences.
#pragma once
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/ops/cpu_kernels.h"
#include "core/tensor/context.h"
#include "tests/support/plain_weight.h"
#include "tests/support/support.h"

namespace lorikeet::test {

/// A context of `threads` at a level.
inline Context context(CpuLevel level, int threads = 2) {
  Context cx(threads);
  cx.set_level(level);
  return cx;
}

/// One data row a CPU level of this machine (and dtype), for QFETCH(int, level) and QFETCH(int, type).
inline void level_rows() {
  QTest::addColumn<int>("level");
  QTest::addColumn<int>("type");
  for (CpuLevel l : cpu_probe().available)
    for (DType t : {DType::f32, DType::f64})
      QTest::newRow((std::string(cpu_level_name(l)) + " " + std::string(dtype_name(t))).c_str()) << static_cast<int>(l) << static_cast<int>(t);
}

/// Largest relative L2 error allowed against the f64 reference (kernels.md 13.2: 1e-5 in f32).
inline double tolerance(DType t) { return t == DType::f64 ? 1e-13 : 1e-5; }

inline bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  const size_t bytes = static_cast<size_t>(a.width()) * dtype_bytes(a.dtype());
  for (int64_t r = 0; r < a.rows(); ++r) {
    const size_t element = dtype_bytes(a.dtype());
    if (std::memcmp(static_cast<const char*>(a.raw()) + static_cast<size_t>(r * a.row_stride()) * element,
                    static_cast<const char*>(b.raw()) + static_cast<size_t>(r * b.row_stride()) * element, bytes) != 0)
      return false;
  }
  return true;
}

/// A tensor inside a wider one, so that its rows have gaps; the gaps hold NaN.
inline Tensor strided(const Tensor& t) {
  Tensor wide = Tensor::empty({t.dim(0), t.dim(1) + 5}, t.dtype());
  wide.fill(std::nan(""));
  Tensor inside = wide.columns(2, 2 + t.dim(1));
  inside.copy_from(t);
  return inside;
}
inline Tensor strided_output(int64_t rows, int64_t columns, DType dtype) {
  Tensor t = Tensor::empty({rows, columns}, dtype);
  t.fill(std::nan(""));
  return strided(t);
}

/// Values of any float tensor in f64, row-major without gaps.
inline std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }
inline Tensor f64(const std::vector<double>& v, Shape shape) { return Tensor::from(v, std::move(shape)); }

/// || central differences - gradient || / || gradient || over every element of x (f64).
inline double gradient_error(Tensor x, const Tensor& gradient, const std::function<double()>& loss) {
  double difference = 0, norm = 0;
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t c = 0; c < x.width(); ++c) {
      double& at = x.row<double>(r)[c];
      const double saved = at, h = 1e-5 * std::max(1.0, std::abs(saved));
      at = saved + h;
      const double up = loss();
      at = saved - h;
      const double down = loss();
      at = saved;
      const double numeric = (up - down) / (2 * h), analytic = gradient.row<double>(r)[c];
      difference += (numeric - analytic) * (numeric - analytic);
      norm += analytic * analytic;
    }
  return norm > 0 ? std::sqrt(difference / norm) : 1;  // a gradient of zeros proves nothing
}

/// Sum of w * t: a loss whose gradient with respect to t is w.
inline double weighted_sum(const Tensor& t, const Tensor& w) {
  double s = 0;
  for (int64_t r = 0; r < t.rows(); ++r)
    for (int64_t c = 0; c < t.width(); ++c) s += t.row<double>(r)[c] * w.row<double>(r)[c];
  return s;
}

inline std::string text(double v) { return std::to_string(v * 1e9) + "e-9"; }

}  // namespace lorikeet::test

#define VERIFY_SMALL(value, bound)                                                                    \
  do {                                                                                                \
    const double small_ = (value);                                                                    \
    QVERIFY2(small_ <= (bound), (lorikeet::test::text(small_) + " over " + lorikeet::test::text(bound)).c_str()); \
  } while (false)
