// The CUDA twin of square_sum against the CPU op.
#include <bit>
#include <cmath>

#include "core/ops/square_sum.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class SquareSumCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  static double sum_on(Context& cx, const std::vector<Tensor>& tensors) {
    std::vector<const Tensor*> p;
    for (const Tensor& t : tensors) p.push_back(&t);
    double sum = -1;
    square_sum(cx, {p, &sum});
    return sum;
  }
  static std::vector<Tensor> sent(const std::vector<Tensor>& tensors) {
    std::vector<Tensor> there;
    for (const Tensor& t : tensors) there.push_back(on_gpu(t));
    return there;
  }
  /// Sizes around packs, blocks and pieces, of both types.
  static std::vector<Tensor> some_tensors() {
    std::vector<Tensor> all;
    uint64_t seed = 0;
    for (const int64_t n : {1, 3, 0, 4, 5, 255, 1024, 5000, 65536, 65537, 140001})
      for (DType type : {DType::f32, DType::f64}) all.push_back(random_tensor({n}, ++seed, type, 3));
    return all;
  }
  static double relative(double got, double wanted) { return std::abs(got / wanted - 1); }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void equalsTheCpuOp() {
    const auto tensors = some_tensors();
    const double wanted = sum_on(cpu_, tensors), got = sum_on(gpu_, sent(tensors));
    QVERIFY2(relative(got, wanted) < 1e-13, qPrintable(QString::number(relative(got, wanted))));
    for (const Tensor& t : tensors) {
      const double alone = sum_on(cpu_, {t});
      QVERIFY(t.size() == 0 ? sum_on(gpu_, sent({t})) == 0 : relative(sum_on(gpu_, sent({t})), alone) < 1e-13);
    }
  }

  void everyElementCounts() {
    Tensor t = Tensor::zeros({65536 + 300});
    for (const int64_t at : {int64_t{0}, int64_t{1}, int64_t{1027}, int64_t{65535}, int64_t{65536}, t.size() - 1}) {
      t.fill(0);
      t.data<float>()[at] = 3;
      QCOMPARE(sum_on(gpu_, sent({t})), 9.0);
    }
  }

  void tensorsMayBeginAnywhere() {
    const Tensor t = random_tensor({70001}, 1);
    Tensor room = gpu_empty({t.size() + 3});
    Tensor inside = room.slice(3, t.size() + 3);
    inside.copy_from(t);
    QVERIFY(relative(sum_on(gpu_, {inside}), sum_on(cpu_, {t})) < 1e-13);
  }

  void nothingSumsToZero() {
    QCOMPARE(sum_on(gpu_, {}), 0.0);
    QCOMPARE(sum_on(gpu_, {gpu_empty({0, 7})}), 0.0);
  }

  void numbersBeyondF32AndNaNStay() {
    Tensor t = random_tensor({300}, 1);
    t.data<float>()[299] = 1e30f;
    QVERIFY(relative(sum_on(gpu_, sent({t})), 1e60) < 1e-6);
    t.data<float>()[299] = std::nanf("");
    QVERIFY(std::isnan(sum_on(gpu_, sent({t}))));
  }

  void givesTheSameBitsEveryTime() {
    const auto tensors = sent(some_tensors());
    QCOMPARE(std::bit_cast<uint64_t>(sum_on(gpu_, tensors)), std::bit_cast<uint64_t>(sum_on(gpu_, tensors)));
  }
};

LORIKEET_TEST_MAIN(SquareSumCudaTest)
#include "square_sum_cuda_test.moc"
