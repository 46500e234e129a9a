// The CUDA twins of the small dense helpers against the CPU ops.
#include <cmath>
#include <numeric>

#include "core/ops/elementwise.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class ElementwiseCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  static constexpr std::pair<int64_t, int64_t> kSizes[] = {{1, 1}, {33, 31}, {3, 96}, {5, 257}, {9, 1100}, {70, 4}};

  /// Whole, with gaps so that every row begins with a pack, and beginning anywhere.
  static std::vector<Tensor> placed(const Tensor& t) { return {on_gpu(t.clone()), gpu_strided(t, 8, 16 - t.width() % 8), gpu_strided(t, 3, 2)}; }
  /// Which of those two operands take: alike, and each with the others.
  static constexpr std::pair<size_t, size_t> kPlaces[] = {{0, 0}, {1, 1}, {0, 2}, {2, 1}};
  static Tensor indices(const std::vector<int32_t>& v) { return Tensor::from(v, {static_cast<int64_t>(v.size())}); }
  static void type_rows(bool halves) {
    QTest::addColumn<int>("type");
    for (DType type : {DType::f32, DType::f64, DType::bf16})
      if (halves || type != DType::bf16) QTest::addRow("%s", std::string(dtype_name(type)).c_str()) << static_cast<int>(type);
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void addEqualsTheCpuOp_data() { type_rows(false); }
  void addEqualsTheCpuOp() {
    QFETCH(int, type);
    for (const auto& [rows, width] : kSizes) {
      const Tensor a = random_tensor({rows, width}, 1, static_cast<DType>(type)), b = random_tensor({rows, width}, 2, static_cast<DType>(type));
      Tensor wanted = Tensor::empty(a.shape(), a.dtype());
      add(cpu_, a, b, wanted);
      const auto lefts = placed(a), rights = placed(b);
      auto outputs = placed(a);
      for (const auto& [first, second] : kPlaces) {
        Tensor& y = outputs[second];
        add(gpu_, lefts[first], rights[second], y);
        QCOMPARE(max_abs_difference(on_cpu(y), wanted), 0.0);
        Tensor over = on_gpu(a.clone());
        add(gpu_, over, rights[second], over);
        QCOMPARE(max_abs_difference(on_cpu(over), wanted), 0.0);
        over.copy_from(b);
        add(gpu_, lefts[first], over, over);
        QCOMPARE(max_abs_difference(on_cpu(over), wanted), 0.0);
      }
    }
  }

  void addScaledEqualsTheCpuOp_data() { type_rows(false); }
  void addScaledEqualsTheCpuOp() {
    QFETCH(int, type);
    const double tolerance = static_cast<DType>(type) == DType::f64 ? 1e-15 : 1e-7;
    for (const auto& [rows, width] : kSizes)
      for (double s : {1.0, -0.37, 0.0}) {
        const Tensor x = random_tensor({rows, width}, 1, static_cast<DType>(type)), before = random_tensor({rows, width}, 2, static_cast<DType>(type));
        Tensor wanted = before.clone();
        add_scaled(cpu_, wanted, x, s);
        auto outputs = placed(before), more = placed(x);
        for (const auto& [first, second] : kPlaces) {
          Tensor& y = outputs[first];
          y.copy_from(before);
          add_scaled(gpu_, y, more[second], s);
          QVERIFY(relative_l2(on_cpu(y), wanted) <= tolerance);
        }
      }
  }

  void gatherEqualsTheCpuOp_data() { type_rows(true); }
  void gatherEqualsTheCpuOp() {
    QFETCH(int, type);
    for (const auto& [rows, width] : kSizes) {
      const Tensor x = random_tensor({rows, width}, 1, static_cast<DType>(type));
      for (int64_t count : {1, 7, 40}) {
        std::vector<int32_t> v;
        for (int64_t i = 0; i < count; ++i) v.push_back(static_cast<int32_t>(i * 17 % rows));
        const Tensor named = indices(v);
        Tensor wanted = Tensor::empty({count, width}, x.dtype());
        gather_rows(cpu_, x, named, wanted);
        auto sources = placed(x), outputs = placed(wanted);
        for (const auto& [first, second] : kPlaces) {
          Tensor& y = outputs[second];
          y.fill(7);
          gather_rows(gpu_, sources[first], named, y);
          QCOMPARE(max_abs_difference(on_cpu(y), wanted), 0.0);
        }
        outputs[0].fill(7);
        elementwise_slot().get(DeviceType::cuda)->gather_rows(gpu_, sources[0], on_gpu(named), outputs[0]);
        QCOMPARE(max_abs_difference(on_cpu(outputs[0]), wanted), 0.0);
      }
    }
  }

  void scatterEqualsTheCpuOp_data() { type_rows(true); }
  void scatterEqualsTheCpuOp() {
    QFETCH(int, type);
    for (const auto& [rows, width] : kSizes)
      for (int64_t count : {int64_t{0}, int64_t{1}, rows / 2, rows}) {
        std::vector<int32_t> v(static_cast<size_t>(rows));
        std::iota(v.begin(), v.end(), 0);
        std::reverse(v.begin(), v.end());
        v.resize(static_cast<size_t>(count));
        const Tensor named = indices(v), x = random_tensor({count, width}, 1, static_cast<DType>(type));
        Tensor wanted = Tensor::empty({rows, width}, x.dtype());
        scatter_rows(cpu_, x, named, wanted);
        auto sources = placed(x), outputs = placed(wanted);
        for (const auto& [first, second] : kPlaces) {
          Tensor& y = outputs[second];
          y.fill(std::nan(""));
          scatter_rows(gpu_, sources[first], named, y);
          QCOMPARE(max_abs_difference(on_cpu(y), wanted), 0.0);
        }
        outputs[0].fill(std::nan(""));
        elementwise_slot().get(DeviceType::cuda)->scatter_rows(gpu_, sources[0], on_gpu(named), outputs[0]);
        QCOMPARE(max_abs_difference(on_cpu(outputs[0]), wanted), 0.0);
      }
  }

  void rowsOfF16MoveAsTheyAre() {
    const Tensor x = random_tensor({9, 96}, 1, DType::f16), named = indices({8, 1, 3, 5});
    Tensor some = gpu_empty({4, 96}, DType::f16), all = gpu_empty({9, 96}, DType::f16);
    gather_rows(gpu_, on_gpu(x), named, some);
    scatter_rows(gpu_, some, named, all);
    for (int64_t row = 0; row < 9; ++row) {
      const bool there = row == 8 || row == 1 || row == 3 || row == 5;
      const Tensor wanted = x.slice(row, row + 1);
      QCOMPARE(max_abs_difference(on_cpu(all.slice(row, row + 1)), there ? wanted : Tensor::zeros({1, 96})), 0.0);
    }
  }

  void gapsBetweenRowsStayAsTheyAre() {
    Tensor wide = gpu_empty({9, 50});
    wide.fill(3);
    Tensor inside = wide.columns(8, 40);
    const Tensor x = random_tensor({4, 32}, 1);
    scatter_rows(gpu_, on_gpu(x), indices({8, 1, 3, 5}), inside);
    add_scaled(gpu_, inside, on_gpu(random_tensor({9, 32}, 2)), 2);
    for (const Tensor& gap : {on_cpu(wide).columns(0, 8), on_cpu(wide).columns(40, 50)})
      for (const double v : gap.to_vector<double>()) QCOMPARE(v, 3.0);
  }

  void emptyTensorsAreNoWork() {
    Tensor none = gpu_empty({0, 5}), some = on_gpu(random_tensor({3, 5}, 1).clone());
    add(gpu_, none, none, none);
    add_scaled(gpu_, none, none, 1);
    gather_rows(gpu_, some, Tensor::empty({0}, DType::i32), none);
    scatter_rows(gpu_, none, Tensor::empty({0}, DType::i32), some);
    for (const double v : on_cpu(some).to_vector<double>()) QCOMPARE(v, 0.0);
  }

  void valuesAreRounded() {
    for (const int64_t n : {1, 7, 1000, 4099}) {
      const Tensor x = random_tensor({n}, 3);
      for (const DType type : {DType::bf16, DType::f16}) {
        Tensor y = gpu_empty({n}, type);
        round_values(gpu_, on_gpu(x), y);
        QCOMPARE(max_abs_difference(on_cpu(y), x.to(type)), 0.0);
      }
      Tensor y = Tensor::empty({n}, DType::bf16);
      round_values(cpu_, x, y);
      QCOMPARE(max_abs_difference(y, x.to(DType::bf16)), 0.0);
    }
    Tensor y = Tensor::empty({3}, DType::f16);
    VERIFY_THROWS((round_values(cpu_, random_tensor({3}, 1), y), 0), UnsupportedError, "on a GPU only");
  }
};

LORIKEET_TEST_MAIN(ElementwiseCudaTest)
#include "elementwise_cuda_test.moc"
