// The CUDA twin of linear_cross_entropy against the CPU op.
#include <cmath>

#include "core/ops/linear_cross_entropy.h"
#include "core/ops/weight_on.h"
#include "cuda/ops/linear_parts.h"
#include "tests/core/quant/quant_support.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

struct Result {
  double sum = -1;
  Tensor losses, dx;
};

/// Rows of a head that have much in common, as token embeddings do.
struct Case {
  int64_t rows, width, vocabulary;
  FrozenWeightPtr head;
  Tensor x, targets;
  Case(Context& cx, int64_t n, int64_t c, int64_t v, const char* format = "f32", double size = 1) : rows(n), width(c), vocabulary(v) {
    auto w = normal_values(v * c, 1);
    for (size_t i = 0; i < w.size(); ++i) w[i] = 0.3f * (w[i] + static_cast<float>(static_cast<int64_t>(i) % c % 3));
    head = encoded(cx, format, w, v);
    x = random_tensor({n, c}, 2, DType::f32, size).to(DType::bf16).to(DType::f32);
    std::vector<int32_t> ids(static_cast<size_t>(n));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(splitmix64(3, i) % static_cast<uint64_t>(v));
    ids.front() = static_cast<int32_t>(v - 1);
    targets = Tensor::from(ids, {n});
  }
  Result on_host(Context& cx, DType type) const {
    Result r{-1, Tensor::empty({rows}, type), Tensor::empty({rows, width}, type)};
    linear_cross_entropy(cx, {x.to(type), *head, targets, &r.sum, &r.losses, &r.dx, 0.125});
    return r;
  }
  Result on_device(Context& cx, DType type, bool strided = false) const {
    const Tensor rows_x = x.to(type), there = strided ? gpu_strided(rows_x) : on_gpu(rows_x), ids = on_gpu(targets);
    Tensor losses = gpu_empty({rows}), dx = strided ? gpu_strided(Tensor::zeros({rows, width}), 5, 4) : gpu_empty({rows, width});
    Result r;
    linear_cross_entropy_slot().run(cx, LinearCrossEntropyArgs{there, *weight_on(DeviceType::cuda, head), ids, &r.sum, &losses, &dx, 0.125});
    r.losses = on_cpu(losses);
    r.dx = on_cpu(dx);
    return r;
  }
};

}  // namespace

class LinearCrossEntropyCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  static bool close(const Result& got, const Result& wanted, double loss, double gradient) {
    const double s = std::abs(got.sum - wanted.sum) / std::abs(wanted.sum), l = relative_l2(got.losses.to(DType::f64), wanted.losses.to(DType::f64)),
                 d = relative_l2(got.dx.to(DType::f64), wanted.dx.to(DType::f64));
    const bool ok = s < loss && l < loss && d < gradient;
    if (!ok) qWarning("sum %g, losses %g of %g, dx %g of %g", s, l, loss, d, gradient);
    return ok;
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }
  void cleanup() { cuda::set_work_bytes(0); }

  void theTotalIsAddedTo() {
    const Case c(cpu_, 21, 33, 70);
    Tensor total = on_gpu(Tensor::from<double>({3.5}, {1}));
    double sum = 0;
    linear_cross_entropy(gpu_, {on_gpu(c.x), *weight_on(DeviceType::cuda, c.head), on_gpu(c.targets), &sum, nullptr, nullptr, 1, &total});
    QCOMPARE(total.to_vector<double>()[0], 3.5 + sum);
  }

  void equalsTheCpuOp_data() {
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("width");
    QTest::addColumn<int>("vocabulary");
    for (int n : {1, 37})
      for (int c : {33, 96})
        for (int v : {257, 1000}) QTest::addRow("%d rows, %d x %d", n, v, c) << n << c << v;
    QTest::addRow("a vocabulary of several steps") << 3 << 16 << 5003;
    QTest::addRow("a vocabulary of 3") << 5 << 8 << 3;
  }
  void equalsTheCpuOp() {
    QFETCH(int, rows);
    QFETCH(int, width);
    QFETCH(int, vocabulary);
    for (const char* format : {"f32", "nf4", "bf16"})
      for (bool strided : {false, true}) {
        const Case c(cpu_, rows, width, vocabulary, format);
        const Result exact = c.on_host(cpu_, DType::f64);
        QVERIFY(close(c.on_device(gpu_, DType::f32, strided), exact, 1e-6, 1e-5));
        for (const DType type : kHalfRows) QVERIFY(close(c.on_device(gpu_, type, strided), exact, half_tolerance(type), half_gradient_tolerance(type)));
      }
  }

  /// The target's term comes from the loss where the others are next to nothing.
  void wellPredictedTargets() {
    for (const char* format : {"f32", "bf16"}) {
      Case c(cpu_, 20, 24, 300, format);
      std::vector<float> w(300 * 24), x(20 * 24);
      std::vector<int32_t> ids(20);
      c.head->decode_rows(0, 300, w.data(), 24);
      for (size_t t = 0; t < 20; ++t) {
        ids[t] = static_cast<int32_t>(t * 13);
        for (size_t i = 0; i < 24; ++i) x[t * 24 + i] = 3 * (w[t * 13 * 24 + i] - 0.3f * static_cast<float>(i % 3));
      }
      c.x = Tensor::from(x, {20, 24}).to(DType::bf16).to(DType::f32);
      c.targets = Tensor::from(ids, {20});
      const Result exact = c.on_host(cpu_, DType::f64);
      QVERIFY(exact.sum < 20);
      QVERIFY(close(c.on_device(gpu_, DType::f32), exact, 1e-5, 2e-5));
      if (std::string(format) == "bf16")
        for (const DType type : kHalfRows) QVERIFY(close(c.on_device(gpu_, type), exact, half_tolerance(type), half_gradient_tolerance(type)));
    }
  }

  void largeLogits() {
    const Case c(cpu_, 9, 33, 257, "f32", 300);
    const Result exact = c.on_host(cpu_, DType::f64);
    QVERIFY(close(c.on_device(gpu_, DType::f32), exact, 1e-5, 1e-4));
  }

  /// Chunks of 16 rows, and the head in panels.
  void chunksAndPanels() {
    const Case c(cpu_, 70, 33, 257, "nf4");
    const Result whole = c.on_device(gpu_, DType::f32), half = c.on_device(gpu_, DType::bf16), other = c.on_device(gpu_, DType::f16);
    for (int64_t bytes : {int64_t{264 * 4 * 40}, int64_t{33 * 4 * 50}}) {
      cuda::set_work_bytes(bytes);
      QVERIFY(close(c.on_device(gpu_, DType::f32), whole, 1e-7, 1e-5));
      QVERIFY(close(c.on_device(gpu_, DType::bf16), half, 1e-7, 1e-5));
      QVERIFY(close(c.on_device(gpu_, DType::f16), other, 1e-7, 1e-5));
    }
    QVERIFY(cuda::panel_rows(cuda::device_weight("test", *weight_on(DeviceType::cuda, c.head)), DType::f32) < 257 / 2);
  }

  void lossesOnly() {
    const Case c(cpu_, 37, 33, 257);
    const Result both = c.on_device(gpu_, DType::f32);
    const Tensor x = on_gpu(c.x), ids = on_gpu(c.targets);
    const FrozenWeightPtr head = weight_on(DeviceType::cuda, c.head);
    double sum = 0;
    linear_cross_entropy_slot().run(gpu_, LinearCrossEntropyArgs{x, *head, ids, &sum, nullptr, nullptr, 1});
    QCOMPARE(sum, both.sum);
    const Tensor none = gpu_empty({0, 33}), no_ids = gpu_empty({0}, DType::i32);
    linear_cross_entropy_slot().run(gpu_, LinearCrossEntropyArgs{none, *head, no_ids, &sum, nullptr, nullptr, 1});
    QCOMPARE(sum, 0.0);
  }

  void givesTheSameBitsEveryTime() {
    const Case c(cpu_, 37, 96, 1000, "nf4");
    for (DType type : {DType::f32, DType::bf16, DType::f16}) {
      const Result a = c.on_device(gpu_, type), b = c.on_device(gpu_, type);
      QCOMPARE(a.sum, b.sum);
      QCOMPARE(max_abs_difference(a.dx, b.dx), 0.0);
    }
  }

  void refusesF64() {
    const Case c(cpu_, 3, 8, 20);
    VERIFY_THROWS(c.on_device(gpu_, DType::f64), UnsupportedError, "f64");
  }
};

LORIKEET_TEST_MAIN(LinearCrossEntropyCudaTest)
#include "linear_cross_entropy_cuda_test.moc"
