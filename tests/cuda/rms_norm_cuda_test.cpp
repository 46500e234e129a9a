// The CUDA twin of rms_norm against the CPU op.
#include <cmath>

#include "core/ops/rms_norm.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class RmsNormCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  struct Result { Tensor y, rstd, dx; };

  Result on_host(const Tensor& x, const Tensor& weight, const Tensor& dy) {
    Result r{Tensor::empty(x.shape(), x.dtype()), Tensor::empty({x.rows()}, x.dtype()), Tensor::empty(x.shape(), x.dtype())};
    rms_norm(cpu_, {x, weight, r.y, &r.rstd, 1e-5});
    rms_norm_backward(cpu_, {dy, x, weight, r.rstd, r.dx});
    return r;
  }

  Result on_device(const Tensor& x, const Tensor& weight, const Tensor& dy, bool in_place) {
    const Tensor source = on_gpu(x), w = on_gpu(weight), ddy = on_gpu(dy);
    Tensor rstd = gpu_empty({x.rows()}, x.dtype());
    Tensor y = in_place ? on_gpu(x) : gpu_empty(x.shape(), x.dtype());
    Tensor dx = in_place ? ddy : gpu_empty(x.shape(), x.dtype());
    rms_norm(gpu_, {in_place ? y : source, w, y, &rstd, 1e-5});
    rms_norm_backward(gpu_, {ddy, source, w, rstd, dx});
    return {on_cpu(y), on_cpu(rstd), on_cpu(dx)};
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void equalsTheCpuOp_data() {
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("width");
    QTest::addColumn<bool>("twice_as_precise");
    QTest::addColumn<bool>("in_place");
    for (bool f64 : {false, true})
      for (bool in_place : {false, true})
        for (const auto& [rows, width] : {std::pair{1, 1}, {3, 31}, {7, 256}, {5, 257}, {64, 576}, {2, 16384}, {700, 8}})
          QTest::addRow("%dx%d %s%s", rows, width, f64 ? "f64" : "f32", in_place ? " in place" : "") << rows << width << f64 << in_place;
  }
  void equalsTheCpuOp() {
    QFETCH(int, rows);
    QFETCH(int, width);
    QFETCH(bool, twice_as_precise);
    QFETCH(bool, in_place);
    const DType type = twice_as_precise ? DType::f64 : DType::f32;
    const double tolerance = twice_as_precise ? 1e-13 : 2e-6;
    const Tensor x = random_tensor({rows, width}, 1, type, 3), weight = random_tensor({width}, 2, type), dy = random_tensor({rows, width}, 3, type);
    const Result wanted = on_host(x, weight, dy), got = on_device(x, weight, dy, in_place);
    QVERIFY(relative_l2(got.y, wanted.y) < tolerance);
    QVERIFY(relative_l2(got.rstd, wanted.rstd) < tolerance);
    QVERIFY(width == 1 ? max_abs_difference(got.dx, wanted.dx) < 1e-4 : relative_l2(got.dx, wanted.dx) < tolerance * 4);
  }

  void roundsOnceTo16Bits() {
    const Tensor x = random_tensor({9, 130}, 1), weight = random_tensor({130}, 2);
    Tensor exact = Tensor::empty(x.shape());
    rms_norm(cpu_, {x, weight, exact, nullptr, 1e-5});
    for (const DType type : kHalfRows) {
      Tensor y = gpu_empty(x.shape(), type);
      rms_norm(gpu_, {on_gpu(x), on_gpu(weight), y, nullptr, 1e-5});
      QVERIFY(relative_l2(on_cpu(y), exact) < 0.75 * half_unit(type));
    }
    Tensor here = Tensor::empty(x.shape(), DType::f16);
    VERIFY_THROWS(rms_norm(cpu_, {x, weight, here, nullptr, 1e-5}), UnsupportedError, "rows of f16 are computed on a GPU only");
  }

  void addsToTheGradientThatIsThere() {
    const Tensor x = random_tensor({5, 70}, 1), weight = random_tensor({70}, 2), dy = random_tensor({5, 70}, 3), before = random_tensor({5, 70}, 4);
    const Result plain = on_device(x, weight, dy, false);
    Tensor dx = on_gpu(before);
    rms_norm_backward(gpu_, {on_gpu(dy), on_gpu(x), on_gpu(weight), on_gpu(plain.rstd), dx, true});
    const auto sum = on_cpu(dx).to_vector<double>(), first = before.to_vector<double>(), second = plain.dx.to_vector<double>();
    for (size_t i = 0; i < sum.size(); ++i) QVERIFY(std::abs(sum[i] - first[i] - second[i]) < 1e-6);
  }

  void givesTheSameBitsEveryTime() {
    const Tensor x = random_tensor({64, 576}, 1), weight = random_tensor({576}, 2), dy = random_tensor({64, 576}, 3);
    const Result a = on_device(x, weight, dy, false), b = on_device(x, weight, dy, false);
    QCOMPARE(max_abs_difference(a.y, b.y), 0.0);
    QCOMPARE(max_abs_difference(a.dx, b.dx), 0.0);
  }
};

LORIKEET_TEST_MAIN(RmsNormCudaTest)
#include "rms_norm_cuda_test.moc"
