/// Few rows of activations times a weight in every format, straight from its stored form or through decoding, against
/// f64; and the promise that a row's result does not depend on the rows beside it.
#include "core/base/error.h"
#include "core/ops/adapted_linear.h"
#include "core/ops/cpu_kernels.h"
#include "core/ops/few_rows.h"
#include "tests/core/quant/every_weight.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

// x W^T of decoded values in f64.
Tensor reference(const FrozenWeight& weight, const Tensor& x) {
  const auto w = decoded(weight);
  Tensor y = Tensor::zeros({x.rows(), weight.rows()}, DType::f64);
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t r = 0; r < weight.rows(); ++r)
      for (int64_t c = 0; c < weight.columns(); ++c)
        y.row<double>(t)[r] += static_cast<double>(x.row<float>(t)[c]) * static_cast<double>(w[static_cast<size_t>(r * weight.columns() + c)]);
  return y;
}

// Rows with gaps of NaN between them.
Tensor with_gaps(const Tensor& t) {
  Tensor wide = Tensor::empty({t.dim(0), t.dim(1) + 3});
  wide.fill(std::nan(""));
  Tensor inside = wide.columns(1, 1 + t.dim(1));
  inside.copy_from(t);
  return inside;
}

Tensor product(Context& cx, const FrozenWeight& w, const Tensor& x) {
  Tensor y = with_gaps(Tensor::zeros({x.rows(), w.rows()}));
  adapted_linear(cx, {.x = x, .w = w, .bias = nullptr, .y = y, .a = nullptr, .b = nullptr, .scale = 1, .h = nullptr, .dropout = 0, .dropout_seed = 0});
  return y.clone();
}

bool equal_rows(const Tensor& a, int64_t row_a, const Tensor& b, int64_t row_b) {
  return std::memcmp(a.row<float>(row_a), b.row<float>(row_b), static_cast<size_t>(a.width()) * sizeof(float)) == 0;
}

const std::pair<int64_t, int64_t> kShapes[] = {{1, 32}, {5, 64}, {18, 96}, {9, 33}, {3, 7}, {13, 256}, {37, 512}, {2, 1}};

}  // namespace

class MultiplyFewTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void everyFormatMatchesFloat64_data() {
    QTest::addColumn<int>("level");
    for (CpuLevel l : cpu_probe().available) QTest::newRow(std::string(cpu_level_name(l)).c_str()) << static_cast<int>(l);
  }
  void everyFormatMatchesFloat64() {
    QFETCH(int, level);
    const WithLevel forced(static_cast<CpuLevel>(level));
    Context cx(2);
    for (const auto& [rows, columns] : kShapes)
      for (const Named& n : all_weights(cx, rows, columns))
        for (int64_t tokens = 1; tokens <= 9; ++tokens) {
          const Tensor x = with_gaps(random_tensor({tokens, columns}, static_cast<uint64_t>(tokens + columns)));
          const Tensor y = product(cx, *n.weight, x), wanted = reference(*n.weight, x);
          const double error = relative_l2(y, wanted);
          QVERIFY2(error < 2e-6, (n.name + " [" + std::to_string(rows) + ", " + std::to_string(columns) + "] x " + std::to_string(tokens) + ": " + std::to_string(error * 1e9) + "e-9").c_str());
        }
  }
  void kernelsServeEveryFormatInWholeSegments() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx(1);
      const Tensor x = random_tensor({2, 256}, 1), odd = random_tensor({2, 33}, 1);
      Tensor y = Tensor::zeros({2, 5});
      for (const Named& n : all_weights(cx, 5, 256))
        QVERIFY2(n.weight->multiply_few(level, 0, 5, {x.data<float>(), 256, 2, y.data<float>(), 5}) == (level != CpuLevel::scalar), n.name.c_str());
      for (const Named& n : all_weights(cx, 5, 33)) QVERIFY2(!n.weight->multiply_few(level, 0, 5, {odd.data<float>(), 33, 2, y.data<float>(), 5}), n.name.c_str());
    }
  }
  // With a single one among the activations a product is one weight.
  void kernelsMultiplyWhatDecodingGives() {
    constexpr int64_t kRows = 6, kColumns = 256;
    Tensor x = Tensor::zeros({kColumns, kColumns});
    for (int64_t c = 0; c < kColumns; ++c) x.row<float>(c)[c] = 1;
    for (CpuLevel level : cpu_probe().available) {
      Context cx(1);
      for (const Named& n : all_weights(cx, kRows, kColumns)) {
        Tensor y = Tensor::zeros({kColumns, kRows});
        if (!n.weight->multiply_few(level, 0, kRows, {x.data<float>(), kColumns, kColumns, y.data<float>(), kRows})) continue;
        const auto w = decoded(*n.weight);
        for (int64_t r = 0; r < kRows; ++r)
          for (int64_t c = 0; c < kColumns; ++c) QVERIFY2(y.row<float>(c)[r] == w[static_cast<size_t>(r * kColumns + c)], n.name.c_str());
      }
    }
  }
  // Decoding many texts at once gives what one by one gives.
  void aRowHasTheSameBitsWhateverStandsBesideIt() {
    for (CpuLevel level : cpu_probe().available) {
      const WithLevel forced(level);
      Context cx(2), alone(1), three(3);
      for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{37, 96}, {21, 33}, {130, 512}})
        for (const Named& n : all_weights(cx, rows, columns)) {
          const Tensor x = random_tensor({ops::kMostFewRows, columns}, 7);
          const Tensor all = product(cx, *n.weight, x);
          for (int64_t count : {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{7}, ops::kMostFewRows})
            for (int64_t first = 0; first + count <= x.rows(); first += count) {
              const Tensor part = product(first % 2 ? alone : three, *n.weight, x.slice(first, first + count));
              for (int64_t t = 0; t < count; ++t) QVERIFY2(equal_rows(all, first + t, part, t), n.name.c_str());
            }
        }
    }
  }
  void theAdapterAndBiasDoNotDependOnTheOtherRowsEither() {
    for (CpuLevel level : cpu_probe().available) {
      const WithLevel forced(level);
      Context cx(2);
      const auto w = encoded(cx, "nf4", normal_values(67 * 96, 3), 67);
      const Tensor x = random_tensor({9, 96}, 1), a = random_tensor({5, 96}, 2), b = random_tensor({67, 5}, 3), bias = random_tensor({67}, 4);
      const auto run = [&](const Tensor& rows) {
        Tensor y = Tensor::empty({rows.rows(), 67}), h = Tensor::empty({rows.rows(), 5});
        adapted_linear(cx, {.x = rows, .w = *w, .bias = &bias, .y = y, .a = &a, .b = &b, .scale = 1.5, .h = &h, .dropout = 0, .dropout_seed = 0});
        return y;
      };
      const Tensor all = run(x);
      for (int64_t t = 0; t < 9; ++t) QVERIFY(equal_rows(all, t, run(x.slice(t, t + 1)), 0));
    }
  }
  // The last of the few and the first of the many agree.
  void fewAndManyAgree() {
    Context cx(2);
    const auto w = encoded(cx, "int4", normal_values(130 * 192, 5), 130);
    const Tensor x = random_tensor({ops::kMostFewRows + 1, 192}, 6);
    const Tensor many = product(cx, *w, x), few = product(cx, *w, x.slice(0, ops::kMostFewRows));
    QVERIFY(relative_l2(few, many.slice(0, ops::kMostFewRows).clone()) < 1e-6);
  }
};

LORIKEET_TEST_MAIN(MultiplyFewTest)
#include "multiply_few_test.moc"
