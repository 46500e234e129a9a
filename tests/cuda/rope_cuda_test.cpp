// The CUDA twin of rope against the CPU op.
#include <cmath>

#include "core/ops/rope.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class RopeCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  static constexpr int kPositions = 50;

  static Tensor positions(int tokens) {
    std::vector<int32_t> p;
    for (int t = 0; t < tokens; ++t) p.push_back(t * 7 % kPositions);
    return Tensor::from(p, {tokens});
  }
  static Tensor table(int head_dim, DType type) {
    std::vector<double> v;
    for (int p = 0; p < kPositions; ++p)
      for (int j = 0; j < head_dim; ++j) {
        const double angle = p * std::pow(10000.0, -2.0 * (j % (head_dim / 2)) / head_dim);
        v.push_back(j < head_dim / 2 ? std::cos(angle) : std::sin(angle));
      }
    return Tensor::from(v, {kPositions, head_dim}).to(type);
  }
  /// The largest distance of two elements in units of the last place of their pair's length, which a rotation keeps. Fused or
  /// not (that is the CPU level's and the type's matter), it is at most one and a half.
  static double units_apart(const Tensor& got, const Tensor& wanted, int head_dim) {
    const auto a = got.to_vector<double>(), b = wanted.to_vector<double>();
    const size_t half = static_cast<size_t>(head_dim) / 2;
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      const size_t other = i % (2 * half) < half ? i + half : i - half;
      const double unit = std::ldexp(std::hypot(b[i], b[other]), got.dtype() == DType::f64 ? -52 : -23);
      if (!std::isfinite(a[i])) return HUGE_VAL;
      if (a[i] != b[i]) worst = std::max(worst, std::abs(a[i] - b[i]) / unit);
    }
    return worst;
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void equalsTheCpuOp_data() {
    QTest::addColumn<int>("tokens");
    QTest::addColumn<int>("heads");
    QTest::addColumn<int>("head_dim");
    QTest::addColumn<bool>("twice_as_precise");
    QTest::addColumn<bool>("inverse");
    for (bool f64 : {false, true})
      for (bool inverse : {false, true})
        for (const auto& [tokens, heads, dim] : {std::tuple{1, 1, 2}, {33, 3, 6}, {5, 2, 64}, {33, 5, 128}, {7, 1, 40}, {300, 9, 8}, {3, 40, 256}})
          QTest::addRow("%d tokens %dx%d %s%s", tokens, heads, dim, f64 ? "f64" : "f32", inverse ? " inverse" : "") << tokens << heads << dim << f64 << inverse;
  }
  void equalsTheCpuOp() {
    QFETCH(int, tokens);
    QFETCH(int, heads);
    QFETCH(int, head_dim);
    QFETCH(bool, twice_as_precise);
    QFETCH(bool, inverse);
    const DType type = twice_as_precise ? DType::f64 : DType::f32;
    const Tensor x = random_tensor({tokens, heads * head_dim}, 1, type, 3), angles = table(head_dim, type), at = positions(tokens);
    Tensor wanted = x.clone();
    rope(cpu_, {wanted, at, angles, head_dim, inverse});
    const Tensor device_angles = on_gpu(angles);
    // Whole rows, rows with gaps of whole packs, and rows that begin anywhere.
    for (Tensor got : {on_gpu(x.clone()), gpu_strided(x), gpu_strided(x, 3, 2)}) {
      rope(gpu_, {got, at, device_angles, head_dim, inverse});
      const double apart = units_apart(on_cpu(got), wanted, head_dim);
      QVERIFY2(apart <= 1.5, qPrintable(QString::number(apart)));
    }
  }

  void takesPositionsThatLieOnTheDevice() {
    const Tensor x = random_tensor({33, 64}, 1), angles = table(32, DType::f32), at = positions(33);
    Tensor a = on_gpu(x.clone()), b = on_gpu(x.clone());
    rope(gpu_, {a, at, on_gpu(angles), 32, false});
    rope_slot().get(DeviceType::cuda)(gpu_, {b, on_gpu(at), on_gpu(angles), 32, false});
    QCOMPARE(max_abs_difference(on_cpu(a), on_cpu(b)), 0.0);
  }

  void readsTheTableWithGaps() {
    const Tensor x = random_tensor({9, 96}, 1), angles = table(32, DType::f32), at = positions(9);
    Tensor a = on_gpu(x.clone()), b = on_gpu(x.clone());
    rope(gpu_, {a, at, on_gpu(angles), 32, false});
    rope(gpu_, {b, at, gpu_strided(angles, 5, 6), 32, false});
    QCOMPARE(max_abs_difference(on_cpu(a), on_cpu(b)), 0.0);
  }

  void roundsOnceBesideAnXThatStays_data() {
    QTest::addColumn<int>("head_dim");
    for (int dim : {2, 6, 64, 128}) QTest::addRow("%d", dim) << dim;
  }
  void roundsOnceBesideAnXThatStays() {
    QFETCH(int, head_dim);
    for (bool inverse : {false, true}) {
      const Tensor x = random_tensor({33, 3 * head_dim}, 1), angles = table(head_dim, DType::f32), at = positions(33), on_device = on_gpu(angles);
      Tensor exact = x.clone();
      rope(cpu_, {exact, at, angles, head_dim, inverse});
      for (Tensor source : {on_gpu(x.clone()), gpu_strided(x, 1, 1)})
        for (const DType type : kHalfRows)
          for (Tensor y : {gpu_empty(x.shape(), type), gpu_strided(exact.to(type)), gpu_strided(exact.to(type), 3, 3)}) {
            y.fill(std::nan(""));
            rope(gpu_, {source, at, on_device, head_dim, inverse, &y});
            QCOMPARE(max_abs_difference(on_cpu(source), x), 0.0);
            // Half a unit, and what an f32 unit more or less may tip over.
            const auto got = on_cpu(y).to_vector<double>(), wanted = exact.to_vector<double>();
            for (size_t i = 0; i < got.size(); ++i) QVERIFY(std::abs(got[i] - wanted[i]) <= std::abs(wanted[i]) * half_unit(type) + 1e-6);
          }
    }
  }

  void inverseTakesItBack() {
    const Tensor x = random_tensor({33, 192}, 1), angles = on_gpu(table(64, DType::f32)), at = positions(33);
    Tensor y = on_gpu(x.clone());
    rope(gpu_, {y, at, angles, 64, false});
    QVERIFY(relative_l2(on_cpu(y), x) > 0.5);
    rope(gpu_, {y, at, angles, 64, true});
    QVERIFY(relative_l2(on_cpu(y), x) < 1e-6);
  }

  void anEmptyTensorIsNoWork() {
    Tensor none = gpu_empty({0, 64});
    rope(gpu_, {none, Tensor::empty({0}, DType::i32), on_gpu(table(64, DType::f32)), 64, false});
  }

  void givesTheSameBitsEveryTime() {
    const Tensor x = random_tensor({65, 256}, 1), angles = on_gpu(table(128, DType::f32)), at = positions(65);
    Tensor a = on_gpu(x.clone()), b = on_gpu(x.clone());
    rope(gpu_, {a, at, angles, 128, false});
    rope(gpu_, {b, at, angles, 128, false});
    QCOMPARE(max_abs_difference(on_cpu(a), on_cpu(b)), 0.0);
  }
};

LORIKEET_TEST_MAIN(RopeCudaTest)
#include "rope_cuda_test.moc"
