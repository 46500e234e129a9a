#include "core/ops/rope.h"

#include "core/base/error.h"
#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

Tensor table(int64_t positions, int64_t d, DType type) {
  std::vector<double> v;
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t j = 0; j < d / 2; ++j) {
        const double angle = static_cast<double>(p) * std::pow(10000.0, -2.0 * static_cast<double>(j) / static_cast<double>(d));
        v.push_back(half == 0 ? std::cos(angle) : std::sin(angle));
      }
  }
  return f64(v, {positions, d}).to(type);
}
Tensor ids(std::vector<int32_t> v) { const auto n = static_cast<int64_t>(v.size()); return Tensor::from(v, {n}); }

}  // namespace

class RopeTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void matchesFloat64Reference_data() { level_rows(); }
  void matchesFloat64Reference() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    for (int64_t d : {2, 6, 34, 64, 66})
      for (int64_t heads : {1, 3}) {
        const Tensor positions = ids({0, 1, 2, 0, 1, 40});  // documents start again at 0
        const Tensor cos_sin = table(41, d, t), input = strided(random_tensor({6, heads * d}, 1, t));
        Tensor x = strided(input);
        rope(cx, {x, positions, cos_sin, d, false});
        auto wanted = values(input);
        const auto xs = wanted, cs = values(cos_sin);
        for (int64_t r = 0; r < 6; ++r)
          for (int64_t h = 0; h < heads; ++h)
            for (int64_t j = 0; j < d / 2; ++j) {
              const auto at = static_cast<size_t>(r * heads * d + h * d + j), half = static_cast<size_t>(d / 2);
              const auto c = static_cast<size_t>(positions.data<int32_t>()[r] * d + j);
              wanted[at] = xs[at] * cs[c] - xs[at + half] * cs[c + half];
              wanted[at + half] = xs[at + half] * cs[c] + xs[at] * cs[c + half];
            }
        VERIFY_SMALL(relative_l2(x, f64(wanted, x.shape())), tolerance(t));
        rope(cx, {x, positions, cos_sin, d, true});
        VERIFY_SMALL(relative_l2(x, input), tolerance(t));
      }
  }
  void inverseIsTheGradient() {
    Context cx = context(CpuLevel::scalar);
    const Tensor positions = ids({3, 0, 7}), cos_sin = table(8, 4, DType::f64);
    Tensor x = random_tensor({3, 8}, 1, DType::f64), dy = random_tensor({3, 8}, 2, DType::f64), dx = dy.clone();
    rope(cx, {dx, positions, cos_sin, 4, true});
    VERIFY_SMALL(gradient_error(x, dx, [&] {
      Tensor y = x.clone();
      rope(cx, {y, positions, cos_sin, 4, false});
      return weighted_sum(y, dy);
    }), 1e-6);
  }
  void threadsChangeNoBit() {
    const Tensor input = random_tensor({100, 66}, 1), cos_sin = table(100, 22, DType::f32);
    std::vector<int32_t> p(100);
    for (size_t i = 0; i < p.size(); ++i) p[i] = static_cast<int32_t>(i);
    for (CpuLevel level : cpu_probe().available) {
      Tensor first;
      for (int threads : {1, 2, 3}) {
        Context cx = context(level, threads);
        Tensor x = input.clone();
        rope(cx, {x, ids(p), cos_sin, 22, false});
        if (!first.defined()) first = x;
        QVERIFY(same_bits(first, x));
      }
    }
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    Tensor x = random_tensor({2, 12}, 1);
    const Tensor cos_sin = table(4, 6, DType::f32), positions = ids({0, 1});
    VERIFY_THROWS(rope(cx, {x, ids({0, 4}), cos_sin, 6, false}), ShapeError, "position 4");
    VERIFY_THROWS(rope(cx, {x, ids({-1, 0}), cos_sin, 6, false}), ShapeError, "position -1");
    VERIFY_THROWS(rope(cx, {x, ids({0}), cos_sin, 6, false}), ShapeError, "positions");
    VERIFY_THROWS(rope(cx, {x, positions, cos_sin, 3, false}), ShapeError, "head_dim 3");
    VERIFY_THROWS(rope(cx, {x, positions, cos_sin, 8, false}), ShapeError, "head_dim 8");
    VERIFY_THROWS(rope(cx, {x, positions, cos_sin, 4, false}), ShapeError, "cos_sin");
    VERIFY_THROWS(rope(cx, {x, positions, table(4, 6, DType::f64), 6, false}), DTypeError, "cos_sin is f64");
    const Tensor floats = random_tensor({2}, 1);
    VERIFY_THROWS(rope(cx, {x, floats, cos_sin, 6, false}), DTypeError, "positions");
  }
  void theRoundedResultIsTheOneInPlaceRoundedOnce() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      for (int64_t d : {2, 6, 34, 66})
        for (int64_t heads : {1, 3}) {
          const Tensor positions = ids({0, 1, 2, 0, 1, 40}), cos_sin = table(41, d, DType::f32), input = random_tensor({6, heads * d}, 1);
          Tensor x = strided(input), plain = strided(input), rounded = strided_output(6, heads * d, DType::bf16);
          rope(cx, {x, positions, cos_sin, d, false, &rounded});
          rope(cx, {plain, positions, cos_sin, d, false});
          QVERIFY(same_bits(rounded, plain.to(DType::bf16)));
          QVERIFY(same_bits(x, input));
        }
    }
    Context cx = context(CpuLevel::scalar);
    const Tensor positions = ids({0, 1}), cos_sin = table(3, 4, DType::f32);
    Tensor x = random_tensor({2, 4}, 1), narrow = Tensor::empty({2, 2}, DType::bf16), wide = Tensor::empty({2, 4}), exact = random_tensor({2, 4}, 1, DType::f64), rounded = Tensor::empty({2, 4}, DType::bf16);
    const Tensor exact_table = table(3, 4, DType::f64);
    VERIFY_THROWS(rope(cx, {x, positions, cos_sin, 4, false, &narrow}), ShapeError, "rounded is [2, 2]");
    VERIFY_THROWS(rope(cx, {x, positions, cos_sin, 4, false, &wide}), DTypeError, "rounded is f32");
    VERIFY_THROWS(rope(cx, {exact, positions, exact_table, 4, false, &rounded}), DTypeError, "x that is rounded is f64");
  }
};

LORIKEET_TEST_MAIN(RopeTest)
#include "rope_test.moc"
