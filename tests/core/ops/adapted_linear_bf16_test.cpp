// The linear layer on rows of bf16. Weights and adapters hold numbers that bf16 holds exactly and the scale is a power of
// two, so that only roundings the op is allowed to make are left; one test has ordinary numbers.
#include "core/base/error.h"
#include "core/ops/adapted_linear.h"
#include "tests/core/ops/bf16_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

struct Sizes { int64_t tokens, in, out, rank; };
enum class Dx { f32, bf16, added };

// All operands of one layer and its results in bf16; rank 0: no adapter.
struct Case {
  Sizes n;
  PlainWeight w;
  Tensor x, bias, a, b, dy, y, h, dx, da, db;
  double scale = 2, dropout = 0;
  bool with_bias = true;
  Dx way;
  Case(Sizes s, bool decodes = true, DType y_type = DType::bf16, Dx dx_way = Dx::f32, int64_t gap = 5, bool exact = true)
      : n(s), w(exact ? representable({s.out, s.in}, 1) : random_tensor({s.out, s.in}, 1), decodes), x(apart(random_tensor({s.tokens, s.in}, 2, DType::bf16), gap)),
        bias(random_tensor({s.out}, 3)), a(exact ? representable({s.rank, s.in}, 4) : random_tensor({s.rank, s.in}, 4)),
        b(exact ? representable({s.out, s.rank}, 5) : random_tensor({s.out, s.rank}, 5)), dy(apart(random_tensor({s.tokens, s.out}, 6, DType::bf16), gap)),
        y(apart(nan_filled({s.tokens, s.out}, y_type), gap)), h(nan_filled({s.tokens, s.rank}, DType::bf16)),
        dx(apart(nan_filled({s.tokens, s.in}, dx_way == Dx::bf16 ? DType::bf16 : DType::f32), gap)), da(Tensor::zeros({s.rank, s.in})), db(Tensor::zeros({s.out, s.rank})), way(dx_way) {
    if (way == Dx::added) dx.copy_from(random_tensor(dx.shape(), 7));
  }
  bool adapter() const { return n.rank > 0; }
  void forward(Context& cx) {
    adapted_linear(cx, {x, w, with_bias ? &bias : nullptr, y, adapter() ? &a : nullptr, adapter() ? &b : nullptr, scale, adapter() ? &h : nullptr, dropout, 77});
  }
  void backward(Context& cx) {
    adapted_linear_backward(cx, {dy, x, w, adapter() ? &a : nullptr, adapter() ? &b : nullptr, adapter() ? &h : nullptr, scale, dropout, 77, &dx, way == Dx::added,
                                 adapter() ? &da : nullptr, adapter() ? &db : nullptr});
  }
};

// The op in f64 on the same numbers.
struct Reference {
  Tensor y, h, dx, da, db;
  explicit Reference(const Case& c)
      : y(Tensor::empty({c.n.tokens, c.n.out}, DType::f64)), h(Tensor::zeros({c.n.tokens, c.n.rank}, DType::f64)), dx(Tensor::empty({c.n.tokens, c.n.in}, DType::f64)),
        da(Tensor::zeros({c.n.rank, c.n.in}, DType::f64)), db(Tensor::zeros({c.n.out, c.n.rank}, DType::f64)) {
    Context cx = context(CpuLevel::scalar);
    const Tensor x = c.x.to(DType::f64), bias = c.bias.to(DType::f64), dy = c.dy.to(DType::f64);
    Tensor a, b;
    const bool adapter = c.adapter(), adds = c.way == Dx::added;
    if (adapter) a = c.a.to(DType::f64), b = c.b.to(DType::f64);
    if (adds) dx.copy_from(random_tensor(dx.shape(), 7).to(DType::f64));
    adapted_linear(cx, {x, c.w, c.with_bias ? &bias : nullptr, y, adapter ? &a : nullptr, adapter ? &b : nullptr, c.scale, adapter ? &h : nullptr, c.dropout, 77});
    adapted_linear_backward(cx, {dy, x, c.w, adapter ? &a : nullptr, adapter ? &b : nullptr, adapter ? &h : nullptr, c.scale, c.dropout, 77, &dx, adds, adapter ? &da : nullptr,
                                 adapter ? &db : nullptr});
  }
};

const Sizes kSizes[] = {{1, 1, 1, 1}, {1, 33, 65, 3}, {63, 7, 33, 3}, {64, 65, 130, 16}, {65, 64, 96, 32}, {130, 193, 97, 33}, {65, 33, 40, 512}, {130, 3, 300, 1}, {64, 128, 64, 64}};

}  // namespace

class AdaptedLinearBf16Test : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }

  // Without an adapter nothing but y in bf16 is rounded, save by products in f32 compute, which round nothing either.
  void theBaseIsExactButForTheLastRounding_data() { unit_rows(); }
  void theBaseIsExactButForTheLastRounding() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    for (Sizes n : kSizes) {
      n.rank = 0;
      for (bool decodes : {true, false})
        for (DType y : {DType::bf16, DType::f32})
          for (Dx dx : {Dx::f32, Dx::bf16, Dx::added})
            for (int64_t gap : {0, 5, 6}) {
              Case c(n, decodes, y, dx, gap);
              c.with_bias = decodes;
              c.forward(cx);
              c.backward(cx);
              const Reference wanted(c);
              VERIFY_SMALL(relative_l2(c.y, wanted.y), y == DType::f32 ? kExactSums : kRoundedOnce);
              VERIFY_SMALL(relative_l2(c.dx, wanted.dx), dx == Dx::bf16 ? kRoundedOnce : kExactSums);
            }
    }
  }
  void adaptersMatchFloat64_data() { unit_rows(); }
  void adaptersMatchFloat64() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    for (const Sizes& n : kSizes)
      for (Dx dx : {Dx::f32, Dx::bf16, Dx::added})
        for (double p : {0.0, 0.5}) {  // kept numbers are doubled: no rounding of their own
          Case c(n, dx != Dx::bf16, dx == Dx::bf16 ? DType::bf16 : DType::f32, dx, dx == Dx::added ? 6 : 5);
          c.dropout = p;
          c.forward(cx);
          c.backward(cx);
          const Reference wanted(c);
          VERIFY_SMALL(relative_l2(c.h, wanted.h), kRoundedOnce);
          VERIFY_SMALL(relative_l2(c.y, wanted.y), c.y.dtype() == DType::f32 ? kRoundedOnce : 2 * kRoundedOnce);
          VERIFY_SMALL(relative_l2(c.dx, wanted.dx), kGradient);
          VERIFY_SMALL(relative_l2(c.da, wanted.da), kGradient);
          VERIFY_SMALL(relative_l2(c.db, wanted.db), kGradient);
        }
  }
  // Weights, adapters, scale and dropout as they come: each rounded once more.
  void ordinaryNumbersMatchFloat64_data() { unit_rows(); }
  void ordinaryNumbersMatchFloat64() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    for (double p : {0.0, 0.3}) {
      Case c({130, 193, 97, 17}, true, DType::bf16, Dx::bf16, 5, false);
      c.dropout = p;
      c.scale = 1.3;
      c.dy = apart(random_tensor({130, 97}, 6), 5);  // a gradient in f32 is rounded on the way in
      c.forward(cx);
      c.backward(cx);
      const Reference wanted(c);
      for (const auto& [found, right] : {std::pair{&c.y, &wanted.y}, {&c.h, &wanted.h}, {&c.dx, &wanted.dx}, {&c.da, &wanted.da}, {&c.db, &wanted.db}})
        VERIFY_SMALL(relative_l2(*found, *right), kGradient);
    }
  }
  // Rows of 2048 numbers lie 4096 bytes apart: products read a copy of them.
  void rowsThatShareACacheSetMatch_data() { unit_rows(); }
  void rowsThatShareACacheSetMatch() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    for (const Sizes& n : {Sizes{66, 2048, 64, 3}, {66, 40, 2048, 3}, {31, 2048, 64, 0}, {40, 2048, 2048, 1}})
      for (double p : {0.0, 0.5}) {
        Case c(n, true, DType::bf16, Dx::bf16, 0);
        c.dropout = n.rank > 0 ? p : 0;
        c.forward(cx);
        c.backward(cx);
        const Reference wanted(c);
        VERIFY_SMALL(relative_l2(c.y, wanted.y), 2 * kRoundedOnce);
        VERIFY_SMALL(relative_l2(c.dx, wanted.dx), kGradient);
        if (n.rank == 0) continue;
        VERIFY_SMALL(relative_l2(c.da, wanted.da), kGradient);
        VERIFY_SMALL(relative_l2(c.db, wanted.db), kGradient);
      }
  }
  // 8 MiB of bf16 are 1600 rows of 2600: the gradient comes in two stretches.
  void aWeightOfSeveralStretchesMatches() {
    for (Dx dx : {Dx::f32, Dx::bf16, Dx::added}) {
      Context cx = unit_context(static_cast<int>(cpu_probe().best), static_cast<int>(ComputeType::bf16));
      Case c({5, 2600, 1701, 3}, true, DType::bf16, dx);
      c.forward(cx);
      c.backward(cx);
      const Reference wanted(c);
      VERIFY_SMALL(relative_l2(c.y, wanted.y), 2 * kRoundedOnce);
      VERIFY_SMALL(relative_l2(c.dx, wanted.dx), kGradient);
      Case base({5, 2600, 1701, 0}, false, DType::f32, dx);
      base.backward(cx);
      VERIFY_SMALL(relative_l2(base.dx, Reference(base).dx), dx == Dx::bf16 ? kRoundedOnce : kExactSums);
    }
  }
  void gradientsOfAdaptersAreAdded() {
    Context cx = unit_context(static_cast<int>(cpu_probe().best), static_cast<int>(ComputeType::bf16));
    Case c({65, 33, 50, 3}), sum({65, 33, 50, 3});
    c.forward(cx);
    c.backward(cx);
    sum.forward(cx);
    sum.backward(cx);
    sum.backward(cx);
    const auto doubled = [](const Tensor& t) {
      auto v = values(t);
      for (double& e : v) e *= 2;
      return f64(v, t.shape());
    };
    VERIFY_SMALL(relative_l2(sum.da, doubled(c.da)), 1e-6);
    VERIFY_SMALL(relative_l2(sum.db, doubled(c.db)), 1e-6);
  }
  void staleScratchIsNotRead_data() { unit_rows(); }
  void staleScratchIsNotRead() {
    QFETCH(int, level);
    QFETCH(int, compute);
    for (const Sizes& n : {Sizes{1, 33, 65, 3}, Sizes{63, 35, 49, 7}, Sizes{65, 65, 130, 33}})
      for (DType type : {DType::bf16, DType::f32}) {
        const Dx way = type == DType::bf16 ? Dx::bf16 : Dx::f32;
        Context cx = unit_context(level, compute), fresh = unit_context(level, compute);
        Case poison({150, 200, 310, 70}, true, type, way), c(n, true, type, way), wanted(n, true, type, way);
        for (Tensor* t : {&poison.x, &poison.dy, &poison.a, &poison.b}) t->fill(std::nan(""));
        Tensor(poison.w.values()).fill(std::nan(""));
        poison.forward(cx);
        poison.backward(cx);
        for (auto& [one, in] : {std::pair<Case*, Context*>{&c, &cx}, {&wanted, &fresh}}) {
          one->forward(*in);
          one->backward(*in);
        }
        QVERIFY(same_bits(c.y, wanted.y) && same_bits(c.h, wanted.h) && same_bits(c.dx, wanted.dx) && same_bits(c.da, wanted.da) && same_bits(c.db, wanted.db));
        for (const Tensor* t : {&c.y, &c.dx, &c.da, &c.db})
          for (double v : values(*t)) QVERIFY(std::isfinite(v));
      }
  }
  void threadsChangeNoBit_data() { unit_rows(); }
  void threadsChangeNoBit() {
    QFETCH(int, level);
    QFETCH(int, compute);
    for (const Sizes& n : {Sizes{1, 65, 200, 4}, Sizes{64, 40, 31, 16}, Sizes{300, 193, 210, 33}})
      for (double p : {0.0, 0.2}) {
        std::vector<Case> all;
        for (int threads : {1, 2, 3, 5}) {
          Context cx = unit_context(level, compute, threads);
          Case& c = all.emplace_back(n, true, DType::bf16, p > 0 ? Dx::bf16 : Dx::added);
          c.dropout = p;
          c.forward(cx);
          c.backward(cx);
          const Case& f = all.front();
          QVERIFY(same_bits(f.y, c.y) && same_bits(f.dx, c.dx) && same_bits(f.da, c.da) && same_bits(f.db, c.db) && same_bits(f.h, c.h));
        }
      }
  }
  void aTokenDoesNotSeeTheOthers_data() { unit_rows(); }
  void aTokenDoesNotSeeTheOthers() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    Case c({90, 65, 70, 4}), alone({50, 65, 70, 4}), changed({90, 65, 70, 4});
    c.forward(cx);
    changed.x.slice(50, 90).fill(1e6);
    changed.forward(cx);
    alone.x.copy_from(c.x.slice(0, 50));
    alone.forward(cx);
    QVERIFY(same_bits(c.y.slice(0, 50), changed.y.slice(0, 50)));
    QVERIFY(same_bits(c.y.slice(0, 50), alone.y));
  }
  void refusesTypesThatDoNotGoTogether() {
    Context cx = context(CpuLevel::scalar);
    Case c({3, 4, 5, 2});
    Tensor bias = c.bias.to(DType::bf16), a = c.a.to(DType::bf16), b = c.b.to(DType::bf16), h = Tensor::empty({3, 2}), y = Tensor::empty({3, 5}, DType::f64), dx = Tensor::empty({3, 4}, DType::f16);
    Tensor rounded = Tensor::empty({3, 4}, DType::bf16), dy = c.dy.to(DType::f64), da = Tensor::zeros({2, 4}, DType::bf16), db = Tensor::zeros({5, 2}, DType::bf16), narrow = Tensor::empty({3, 6}, DType::bf16);
    VERIFY_THROWS(adapted_linear(cx, {narrow, c.w, nullptr, c.y, nullptr, nullptr, 1, nullptr, 0, 0}), ShapeError, "x [3, 6]");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, nullptr, y, nullptr, nullptr, 1, nullptr, 0, 0}), DTypeError, "y is f64");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, &bias, c.y, nullptr, nullptr, 1, nullptr, 0, 0}), DTypeError, "bias is bf16");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, nullptr, c.y, &a, &c.b, 1, &c.h, 0, 0}), DTypeError, "a is bf16");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, nullptr, c.y, &c.a, &b, 1, &c.h, 0, 0}), DTypeError, "b is bf16");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, nullptr, c.y, &c.a, &c.b, 1, &h, 0, 0}), DTypeError, "h is f32");
    VERIFY_THROWS(adapted_linear_backward(cx, {dy, c.x, c.w, nullptr, nullptr, nullptr, 1, 0, 0, &c.dx, false, nullptr, nullptr}), DTypeError, "dy is f64");
    VERIFY_THROWS(adapted_linear_backward(cx, {c.dy, c.x, c.w, nullptr, nullptr, nullptr, 1, 0, 0, &dx, false, nullptr, nullptr}), DTypeError, "dx is f16");
    VERIFY_THROWS(adapted_linear_backward(cx, {c.dy, c.x, c.w, nullptr, nullptr, nullptr, 1, 0, 0, &rounded, true, nullptr, nullptr}), DTypeError, "added to");
    VERIFY_THROWS(adapted_linear_backward(cx, {c.dy, c.x, c.w, &c.a, &c.b, &c.h, 1, 0, 0, &c.dx, false, &da, &c.db}), DTypeError, "da is bf16");
    VERIFY_THROWS(adapted_linear_backward(cx, {c.dy, c.x, c.w, &c.a, &c.b, &c.h, 1, 0, 0, &c.dx, false, &c.da, &db}), DTypeError, "db is bf16");
  }
};

LORIKEET_TEST_MAIN(AdaptedLinearBf16Test)
#include "adapted_linear_bf16_test.moc"
