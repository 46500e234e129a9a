// The CUDA twin of layer_norm against the CPU op.
#include <cmath>

#include "core/ops/layer_norm.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class LayerNormCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  struct Result { Tensor y, mean, rstd, dx; };
  struct Inputs { Tensor x, weight, bias, dy; };

  static Inputs inputs(int64_t rows, int64_t width, DType type = DType::f32) {
    return {random_tensor({rows, width}, 1, type, 3), random_tensor({width}, 2, type), random_tensor({width}, 4, type), random_tensor({rows, width}, 3, type)};
  }
  Result on_host(const Inputs& i) {
    const DType type = i.x.dtype();
    Result r{Tensor::empty(i.x.shape(), type), Tensor::empty({i.x.rows()}, type), Tensor::empty({i.x.rows()}, type), Tensor::empty(i.x.shape(), type)};
    layer_norm(cpu_, {i.x, i.weight, i.bias.defined() ? &i.bias : nullptr, r.y, &r.mean, &r.rstd, 1e-5});
    layer_norm_backward(cpu_, {i.dy, i.x, i.weight, r.mean, r.rstd, r.dx});
    return r;
  }
  Result on_device(const Inputs& i, bool in_place) {
    const DType type = i.x.dtype();
    const Tensor source = in_place ? on_gpu(i.x) : gpu_strided(i.x, 3, 5), w = on_gpu(i.weight), b = i.bias.defined() ? on_gpu(i.bias) : Tensor();
    const Tensor ddy = in_place ? on_gpu(i.dy) : gpu_strided(i.dy, 1, 2);
    Tensor mean = gpu_empty({i.x.rows()}, type), rstd = gpu_empty({i.x.rows()}, type);
    Tensor y = in_place ? on_gpu(i.x) : gpu_strided(i.dy, 2, 2), dx = in_place ? ddy : gpu_strided(i.x, 0, 3);
    layer_norm(gpu_, {in_place ? y : source, w, b.defined() ? &b : nullptr, y, &mean, &rstd, 1e-5});
    layer_norm_backward(gpu_, {ddy, source, w, mean, rstd, dx});
    return {on_cpu(y), on_cpu(mean), on_cpu(rstd), on_cpu(dx)};
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
    const double tolerance = twice_as_precise ? 1e-13 : 2e-6;
    Inputs i = inputs(rows, width, twice_as_precise ? DType::f64 : DType::f32);
    for (bool with_bias : {true, false}) {
      if (!with_bias) i.bias = Tensor();
      const auto exact = [](const Tensor& t) { return t.defined() ? t.to(DType::f64) : t; };
      const Result wanted = on_host({exact(i.x), exact(i.weight), exact(i.bias), exact(i.dy)}), got = on_device(i, in_place);
      QVERIFY(width == 1 ? max_abs_difference(got.y, wanted.y) < 1e-6 : relative_l2(got.y, wanted.y) < tolerance);
      QVERIFY(max_abs_difference(got.mean, wanted.mean) < tolerance * 3);  // of deviations of about 3
      QVERIFY(relative_l2(got.rstd, wanted.rstd) < tolerance);
      QVERIFY(width == 1 ? max_abs_difference(got.dx, wanted.dx) < 1e-4 : relative_l2(got.dx, wanted.dx) < tolerance * 4);
    }
  }

  // Deviations of about 1 on a mean of 1000, against f64 of the same numbers.
  void aLargeMeanCancelsNothing() {
    for (int64_t width : {31, 4096, 20001}) {
      Inputs i = inputs(2, width);
      for (int64_t k = 0; k < i.x.size(); ++k) i.x.data<float>()[k] += 1000;
      const Result wanted = on_host({i.x.to(DType::f64), i.weight.to(DType::f64), i.bias.to(DType::f64), i.dy.to(DType::f64)}), got = on_device(i, false);
      QVERIFY(max_abs_difference(got.mean, wanted.mean) < 6.2e-5);  // the last bit of a number near 1000
      QVERIFY(relative_l2(got.rstd, wanted.rstd) < 1e-5);
      QVERIFY(relative_l2(got.y, wanted.y) < 1e-4);
      QVERIFY(relative_l2(got.dx, wanted.dx) < 1e-4);
    }
  }

  void roundsOnce() {
    const Inputs i = inputs(9, 130);
    const Tensor b = on_gpu(i.bias), x = on_gpu(i.x), w = on_gpu(i.weight);
    Tensor exact = gpu_empty(i.x.shape());
    layer_norm(gpu_, {x, w, &b, exact, nullptr, nullptr, 1e-5});
    for (const DType type : {DType::bf16, DType::f16}) {
      Tensor y = gpu_empty(i.x.shape(), type);
      layer_norm(gpu_, {x, w, &b, y, nullptr, nullptr, 1e-5});
      QCOMPARE(max_abs_difference(on_cpu(y), on_cpu(exact).to(type)), 0.0);
    }
  }

  void addsToTheGradientThatIsThere() {
    const Inputs i = inputs(5, 70);
    const Tensor before = random_tensor({5, 70}, 5);
    const Result plain = on_device(i, false);
    Tensor dx = on_gpu(before);
    layer_norm_backward(gpu_, {on_gpu(i.dy), on_gpu(i.x), on_gpu(i.weight), on_gpu(plain.mean), on_gpu(plain.rstd), dx, true});
    const auto sum = on_cpu(dx).to_vector<double>(), first = before.to_vector<double>(), second = plain.dx.to_vector<double>();
    for (size_t k = 0; k < sum.size(); ++k) QVERIFY(std::abs(sum[k] - first[k] - second[k]) < 1e-6);
  }

  void nothingIsDoneForNoRows() {
    const Tensor x = gpu_empty({0, 7}), w = on_gpu(random_tensor({7}, 2));
    Tensor y = gpu_empty({0, 7});
    layer_norm(gpu_, {x, w, nullptr, y, nullptr, nullptr, 1e-5});
  }

  void givesTheSameBitsEveryTime() {
    const Inputs i = inputs(64, 576);
    const Result a = on_device(i, false), b = on_device(i, false);
    QCOMPARE(max_abs_difference(a.y, b.y), 0.0);
    QCOMPARE(max_abs_difference(a.dx, b.dx), 0.0);
  }
};

LORIKEET_TEST_MAIN(LayerNormCudaTest)
#include "layer_norm_cuda_test.moc"
