// Few rows against a weight in its stored form: every format, every count of tokens.
#include "core/ops/weight_on.h"
#include "cuda/ops/few_rows.h"
#include "tests/core/quant/every_weight.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class FewRowsCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};

  static Tensor exact(const FrozenWeight& w, const Tensor& x) {
    std::vector<float> rows(static_cast<size_t>(w.rows() * w.columns()));
    w.decode_rows(0, w.rows(), rows.data(), w.columns());
    const auto in = x.to_vector<double>();
    std::vector<double> y(static_cast<size_t>(x.dim(0) * w.rows()));
    const auto n = static_cast<size_t>(w.columns()), out = static_cast<size_t>(w.rows());
    for (size_t t = 0; t < static_cast<size_t>(x.dim(0)); ++t)
      for (size_t r = 0; r < out; ++r)
        for (size_t i = 0; i < n; ++i) y[t * out + r] += in[t * n + i] * static_cast<double>(rows[r * n + i]);
    return Tensor::from(y, {x.dim(0), w.rows()});
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void equalsTheSumsInF64_data() {
    QTest::addColumn<int>("tokens");
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("columns");
    for (const auto& [t, r, c] : {std::tuple{1, 5, 256}, {1, 17, 1288}, {8, 3, 40}, {3, 33, 96}, {5, 16, 2048}}) QTest::addRow("%d x %d x %d", t, r, c) << t << r << c;
  }
  void equalsTheSumsInF64() {
    QFETCH(int, tokens);
    QFETCH(int, rows);
    QFETCH(int, columns);
    const Tensor x = random_tensor({tokens, columns}, 3, DType::bf16), there = gpu_strided(x), before = random_tensor({tokens, rows}, 4);
    int done = 0;
    for (const Named& n : all_weights(cpu_, rows, columns)) {
      const FrozenWeightPtr uploaded = weight_on(DeviceType::cuda, n.weight);
      const cuda::DeviceWeight& w = cuda::device_weight("test", *uploaded);
      Tensor y = gpu_strided(before), sum = gpu_strided(before), half = gpu_empty({tokens, rows}, DType::bf16);
      const bool offered = cuda::multiply_few(w, there, y, false);
      QCOMPARE(offered, w.plain(DType::bf16) == nullptr);
      if (!offered) continue;
      ++done;
      const Tensor wanted = exact(*n.weight, x);
      QVERIFY2(relative_l2(on_cpu(y).to(DType::f64), wanted) < 1e-5, n.name.c_str());
      QVERIFY(cuda::multiply_few(w, there, half, false));
      QVERIFY2(relative_l2(on_cpu(half).to(DType::f64), wanted) < 4e-3, n.name.c_str());
      QVERIFY(cuda::multiply_few(w, there, sum, true));
      const auto got = on_cpu(sum).to_vector<double>(), first = before.to_vector<double>(), second = on_cpu(y).to_vector<double>();
      for (size_t i = 0; i < got.size(); ++i) QVERIFY2(std::abs(got[i] - first[i] - second[i]) < 1e-5 * (1 + std::abs(second[i])), n.name.c_str());
    }
    QVERIFY(done > 14);
  }

  void aTokenDoesNotSeeTheOthers() {
    const Tensor x = random_tensor({6, 1032}, 3, DType::bf16), there = on_gpu(x);
    const FrozenWeightPtr w = weight_on(DeviceType::cuda, encoded(cpu_, "nf4", normal_values(19 * 1032, 1), 19));
    Tensor all = gpu_empty({6, 19}), one = gpu_empty({1, 19});
    QVERIFY(cuda::multiply_few(cuda::device_weight("test", *w), there, all, false));
    for (int64_t t = 0; t < 6; ++t) {
      QVERIFY(cuda::multiply_few(cuda::device_weight("test", *w), there.slice(t, t + 1), one, false));
      QCOMPARE(max_abs_difference(on_cpu(one), on_cpu(all.slice(t, t + 1))), 0.0);
    }
  }

  void leavesTheRestToProducts() {
    const FrozenWeightPtr w = weight_on(DeviceType::cuda, encoded(cpu_, "nf4", normal_values(4 * 40, 1), 4)), odd = weight_on(DeviceType::cuda, encoded(cpu_, "nf4", normal_values(4 * 36, 1), 4));
    const auto offered = [](const FrozenWeightPtr& of, const Tensor& x) {
      Tensor y = gpu_empty({x.dim(0), 4});
      return cuda::multiply_few(cuda::device_weight("test", *of), x, y, false);
    };
    QVERIFY(offered(w, gpu_empty({8, 40}, DType::bf16)));
    QVERIFY(!offered(w, gpu_empty({9, 40}, DType::bf16)));
    QVERIFY(!offered(w, gpu_empty({8, 40})));
    QVERIFY(!offered(w, gpu_empty({8, 40}, DType::f16)));
    QVERIFY(!offered(w, gpu_empty({8, 44}, DType::bf16).columns(4, 44)));
    QVERIFY(!offered(w, gpu_empty({8, 44}, DType::bf16).columns(0, 40)));
    QVERIFY(!offered(odd, gpu_empty({8, 36}, DType::bf16)));
  }
};

LORIKEET_TEST_MAIN(FewRowsCudaTest)
#include "few_rows_cuda_test.moc"
