#include "core/ops/adapted_linear.h"

#include "core/base/error.h"
#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

struct Sizes { int64_t tokens, in, out, rank; };

// All operands of one adapted linear of a type, with every result.
struct Case {
  Sizes n;
  DType t;
  PlainWeight w;
  Tensor x, bias, a, b, dy, y, h, dx, da, db;
  double scale = 1.5, dropout;
  uint64_t seed = 77;
  bool adapter;
  Case(Sizes s, DType type, double p = 0, bool decodes = true, bool with_adapter = true)
      : n(s), t(type), w(random_tensor({s.out, s.in}, 1), decodes), x(strided(random_tensor({s.tokens, s.in}, 2, type))), bias(random_tensor({s.out}, 3, type)),
        a(random_tensor({s.rank, s.in}, 4, type)), b(random_tensor({s.out, s.rank}, 5, type)), dy(strided(random_tensor({s.tokens, s.out}, 6, type))),
        y(strided_output(s.tokens, s.out, type)), h(Tensor::empty({s.tokens, s.rank}, type)), dx(strided_output(s.tokens, s.in, type)), da(Tensor::zeros({s.rank, s.in}, type)),
        db(Tensor::zeros({s.out, s.rank}, type)), dropout(p), adapter(with_adapter) {}
  void forward(Context& cx) {
    adapted_linear(cx, {x, w, &bias, y, adapter ? &a : nullptr, adapter ? &b : nullptr, scale, adapter ? &h : nullptr, dropout, seed});
  }
  void backward(Context& cx, bool accumulate = false) {
    adapted_linear_backward(cx, {dy, x, w, adapter ? &a : nullptr, adapter ? &b : nullptr, adapter ? &h : nullptr, scale, dropout, seed, &dx, accumulate,
                                 adapter ? &da : nullptr, adapter ? &db : nullptr});
  }
};

double at(const Tensor& t, int64_t r, int64_t c) {
  return t.dtype() == DType::f64 ? t.row<double>(r)[c] : static_cast<double>(t.row<float>(r)[c]);
}

// The formulas in f64; mask[t, i] is 0 or 1 / (1 - p).
struct Reference {
  Tensor y, h, dx, da, db;
  Reference(const Case& c, const Tensor& mask)
      : y(Tensor::zeros({c.n.tokens, c.n.out}, DType::f64)), h(Tensor::zeros({c.n.tokens, c.n.rank}, DType::f64)), dx(Tensor::zeros({c.n.tokens, c.n.in}, DType::f64)),
        da(Tensor::zeros({c.n.rank, c.n.in}, DType::f64)), db(Tensor::zeros({c.n.out, c.n.rank}, DType::f64)) {
    for (int64_t t = 0; t < c.n.tokens; ++t) {
      std::vector<double> u(static_cast<size_t>(c.n.rank));
      for (int64_t r = 0; c.adapter && r < c.n.rank; ++r) {
        for (int64_t i = 0; i < c.n.in; ++i) h.row<double>(t)[r] += at(c.x, t, i) * at(mask, t, i) * at(c.a, r, i);
        for (int64_t o = 0; o < c.n.out; ++o) {
          u[static_cast<size_t>(r)] += c.scale * at(c.dy, t, o) * at(c.b, o, r);
          db.row<double>(o)[r] += c.scale * at(c.dy, t, o) * h.row<double>(t)[r];
        }
        for (int64_t i = 0; i < c.n.in; ++i) {
          da.row<double>(r)[i] += u[static_cast<size_t>(r)] * at(c.x, t, i) * at(mask, t, i);
          dx.row<double>(t)[i] += u[static_cast<size_t>(r)] * at(c.a, r, i) * at(mask, t, i);
        }
      }
      for (int64_t o = 0; o < c.n.out; ++o) {
        double sum = at(c.bias, 0, o);
        for (int64_t i = 0; i < c.n.in; ++i) {
          sum += at(c.x, t, i) * at(c.w.values(), o, i);
          dx.row<double>(t)[i] += at(c.dy, t, o) * at(c.w.values(), o, i);
        }
        for (int64_t r = 0; c.adapter && r < c.n.rank; ++r) sum += c.scale * h.row<double>(t)[r] * at(c.b, o, r);
        y.row<double>(t)[o] = sum;
      }
    }
  }
};

Tensor ones(int64_t rows, int64_t columns) {
  Tensor t = Tensor::empty({rows, columns}, DType::f64);
  t.fill(1);
  return t;
}

// The mask that the op draws, seen through h: with x = 1 and A = identity, h is the mask.
Tensor mask_of(Context& cx, int64_t tokens, int64_t in, double p, uint64_t seed) {
  const PlainWeight w(Tensor::zeros({1, in}));
  Tensor x = ones(tokens, in).to(DType::f32), a = Tensor::zeros({in, in}), b = Tensor::zeros({1, in}), h = Tensor::empty({tokens, in}), y = Tensor::empty({tokens, 1});
  for (int64_t i = 0; i < in; ++i) a.row<float>(i)[i] = 1;
  adapted_linear(cx, {x, w, nullptr, y, &a, &b, 1, &h, p, seed});
  return h.to(DType::f64);
}

const Sizes kSizes[] = {{1, 1, 1, 1}, {1, 33, 65, 4}, {3, 7, 33, 3}, {8, 65, 130, 5}, {9, 64, 7, 1}, {65, 33, 200, 16}, {130, 193, 97, 7}, {70, 3, 300, 8}};

}  // namespace

class AdaptedLinearTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void matchesFloat64Reference_data() { level_rows(); }
  void matchesFloat64Reference() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    for (const Sizes& n : kSizes)
      for (bool decodes : {true, false})
        for (bool adapter : {true, false}) {
          Case c(n, t, 0, decodes, adapter);
          c.forward(cx);
          c.backward(cx);
          const Reference wanted(c, ones(n.tokens, n.in));
          VERIFY_SMALL(relative_l2(c.y, wanted.y), tolerance(t));
          VERIFY_SMALL(relative_l2(c.dx, wanted.dx), tolerance(t));
          if (!adapter) continue;
          VERIFY_SMALL(relative_l2(c.h, wanted.h), tolerance(t));
          VERIFY_SMALL(relative_l2(c.da, wanted.da), tolerance(t));
          VERIFY_SMALL(relative_l2(c.db, wanted.db), tolerance(t));
        }
  }
  void aWeightOfSeveralPanelsMatches() {  // wide enough that the weight is decoded in more than one stretch
    for (CpuLevel level : cpu_probe().available) {
      if (level == CpuLevel::scalar) continue;
      Context cx = context(level);
      Case c({20, 2600, 1100, 4}, DType::f32);
      c.forward(cx);
      c.backward(cx);
      const Reference wanted(c, ones(20, 2600));
      VERIFY_SMALL(relative_l2(c.y, wanted.y), 1e-5);
      VERIFY_SMALL(relative_l2(c.dx, wanted.dx), 1e-5);
    }
  }
  void dropoutIsTheSameMaskForwardAndBackward_data() { level_rows(); }
  void dropoutIsTheSameMaskForwardAndBackward() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    for (const Sizes& n : kSizes) {
      Case c(n, t, 0.3);
      c.forward(cx);
      c.backward(cx);
      const Reference wanted(c, mask_of(cx, n.tokens, n.in, 0.3, c.seed));
      const double bound = tolerance(t) == 1e-5 ? 1e-5 : 1e-6;  // the mask was read in f32
      VERIFY_SMALL(relative_l2(c.y, wanted.y), bound);
      VERIFY_SMALL(relative_l2(c.h, wanted.h), bound);
      VERIFY_SMALL(relative_l2(c.dx, wanted.dx), bound);
      VERIFY_SMALL(relative_l2(c.da, wanted.da), bound);
      VERIFY_SMALL(relative_l2(c.db, wanted.db), bound);
    }
  }
  void stretchesOfRowsDrawTheMaskOfAllRows() {
    for (DType type : {DType::f32, DType::f64, DType::bf16})
      for (const int64_t stretch : {7, 3}) {  // 3: few rows take a way of their own
        Context cx(2);
        const Sizes n{20, 33, 17, 3};
        const DType sums = type == DType::bf16 ? DType::f32 : type;
        const PlainWeight w(random_tensor({n.out, n.in}, 1));
        const Tensor x = random_tensor({n.tokens, n.in}, 2, type), dy = random_tensor({n.tokens, n.out}, 6, type);
        const Tensor a = random_tensor({n.rank, n.in}, 4, sums), b = random_tensor({n.out, n.rank}, 5, sums);
        struct { Tensor y, h, dx, da, db; } all, parts;
        for (auto* r : {&all, &parts}) {
          r->y = Tensor::empty({n.tokens, n.out}, type);
          r->h = Tensor::empty({n.tokens, n.rank}, type);
          r->dx = Tensor::empty({n.tokens, n.in}, type);
          r->da = Tensor::zeros({n.rank, n.in}, sums);
          r->db = Tensor::zeros({n.out, n.rank}, sums);
          const int64_t step = r == &all ? n.tokens : stretch;
          for (int64_t t = 0; t < n.tokens; t += step) {
            const int64_t end = std::min(n.tokens, t + step);
            Tensor y = r->y.slice(t, end), h = r->h.slice(t, end), dx = r->dx.slice(t, end), alone = Tensor::zeros(h.shape(), type), none;
            const Tensor rows = x.slice(t, end), d_rows = dy.slice(t, end);
            adapted_linear(cx, {rows, w, nullptr, y, &a, &b, 1.5, &h, 0.4, 77, {}, t});
            adapted_linear(cx, {rows, w, nullptr, none, &a, &b, 1.5, &alone, 0.4, 77, {}, t});
            QVERIFY(same_bits(alone, h.clone()));
            adapted_linear_backward(cx, {d_rows, rows, w, &a, &b, &h, 1.5, 0.4, 77, &dx, false, &r->da, &r->db, t});
          }
        }
        const double bound = type == DType::bf16 ? 1e-2 : type == DType::f32 ? 1e-6 : 1e-14;
        VERIFY_SMALL(relative_l2(parts.y, all.y), bound);
        VERIFY_SMALL(relative_l2(parts.h, all.h), bound);
        VERIFY_SMALL(relative_l2(parts.dx, all.dx), bound);
        VERIFY_SMALL(relative_l2(parts.da, all.da), bound);
        VERIFY_SMALL(relative_l2(parts.db, all.db), bound);
      }
  }
  void theMaskIsRandomEnough() {
    Context cx = context(cpu_probe().best);
    const Tensor mask = mask_of(cx, 300, 257, 0.25, 5), other = mask_of(cx, 300, 257, 0.25, 6);
    const auto m = values(mask), o = values(other);
    double dropped = 0, beside = 0, below = 0, agree = 0;
    for (size_t i = 0; i < m.size(); ++i) {
      QVERIFY(m[i] == 0 || std::abs(m[i] - 1 / 0.75) < 1e-6);
      dropped += m[i] == 0;
      if (i + 1 < m.size()) beside += m[i] == 0 && m[i + 1] == 0;
      if (i + 257 < m.size()) below += m[i] == 0 && m[i + 257] == 0;
      agree += m[i] == 0 && o[i] == 0;
    }
    const auto n = static_cast<double>(m.size());  // 77100: 5 sigma is 0.008 for 1/4, 0.0044 for 1/16
    VERIFY_SMALL(std::abs(dropped / n - 0.25), 0.008);
    for (const double pairs : {beside, below, agree}) VERIFY_SMALL(std::abs(pairs / n - 0.0625), 0.0044);
  }
  void theMaskIsTheSameOnEveryLevelAndInBothTypes() {
    const PlainWeight w(random_tensor({5, 70}, 1));
    Tensor first;
    for (CpuLevel level : cpu_probe().available)
      for (DType t : {DType::f32, DType::f64}) {
        Context cx = context(level);
        Tensor x = ones(40, 70).to(t), a = Tensor::zeros({70, 70}, t), b = Tensor::zeros({5, 70}, t), h = Tensor::empty({40, 70}, t), y = Tensor::empty({40, 5}, t);
        for (int64_t i = 0; i < 70; ++i) a.slice(i, i + 1).columns(i, i + 1).fill(1);
        adapted_linear(cx, {x, w, nullptr, y, &a, &b, 1, &h, 0.5, 9});
        const Tensor mask = h.to(DType::f32);
        if (!first.defined()) first = mask;
        QVERIFY(same_bits(first, mask));
      }
  }
  void gradientsMatchCentralDifferences() {
    Context cx = context(CpuLevel::scalar);
    for (const double p : {0.0, 0.4}) {
      Case c({5, 6, 4, 3}, DType::f64, p);
      c.forward(cx);
      c.backward(cx);
      const auto loss = [&] { c.forward(cx); return weighted_sum(c.y, c.dy); };
      VERIFY_SMALL(gradient_error(c.x, c.dx, loss), 1e-6);
      VERIFY_SMALL(gradient_error(c.a, c.da, loss), 1e-6);
      VERIFY_SMALL(gradient_error(c.b, c.db, loss), 1e-6);
    }
  }
  void gradientsAreAddedWhereAsked() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Case c({40, 33, 50, 4}, DType::f32, 0.1), sum({40, 33, 50, 4}, DType::f32, 0.1);
      c.forward(cx);
      c.backward(cx);
      sum.forward(cx);
      sum.dx.fill(2);
      sum.da.fill(3);
      sum.db.fill(4);
      sum.backward(cx, true);
      const auto less = [](const Tensor& t, double v) {
        auto out = values(t);
        for (double& x : out) x -= v;
        return f64(out, t.shape());
      };
      VERIFY_SMALL(relative_l2(less(sum.dx, 2), c.dx), 1e-5);
      VERIFY_SMALL(relative_l2(less(sum.da, 3), c.da), 1e-5);
      VERIFY_SMALL(relative_l2(less(sum.db, 4), c.db), 1e-5);
    }
  }
  void noInputGradientWhereNoneIsWanted() {
    Context cx = context(cpu_probe().best);
    Case c({12, 20, 30, 4}, DType::f32), all({12, 20, 30, 4}, DType::f32);
    c.forward(cx);
    all.forward(cx);
    all.backward(cx);
    adapted_linear_backward(cx, {c.dy, c.x, c.w, &c.a, &c.b, &c.h, c.scale, 0, c.seed, nullptr, false, &c.da, &c.db});
    QVERIFY(same_bits(c.da, all.da) && same_bits(c.db, all.db));
  }
  void threadsChangeNoBit() {
    for (CpuLevel level : cpu_probe().available)
      for (const Sizes& n : {Sizes{1, 65, 200, 4}, Sizes{7, 65, 200, 4}, Sizes{300, 193, 210, 8}}) {
        std::vector<Case> all;
        for (int threads : {1, 2, 3, 2}) {
          Context cx = context(level, threads);
          Case& c = all.emplace_back(n, DType::f32, 0.2);
          c.forward(cx);
          c.backward(cx);
          const Case& f = all.front();
          QVERIFY(same_bits(f.y, c.y) && same_bits(f.dx, c.dx) && same_bits(f.da, c.da) && same_bits(f.db, c.db) && same_bits(f.h, c.h));
        }
      }
  }
  void aTokenDoesNotSeeTheOthers() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Case c({90, 65, 70, 4}, DType::f32), changed({90, 65, 70, 4}, DType::f32);
      c.forward(cx);
      changed.x.slice(50, 90).fill(1e6);
      changed.forward(cx);
      QVERIFY(same_bits(c.y.slice(0, 50), changed.y.slice(0, 50)));
    }
  }
  void stridedAdapterGradientsAreWrittenInPlaceOrRefused() {
    Context cx = context(cpu_probe().best);
    Case c({30, 20, 40, 4}, DType::f32), plain({30, 20, 40, 4}, DType::f32);
    plain.forward(cx);
    plain.backward(cx);
    c.da = strided(c.da);
    c.db = strided(c.db);
    c.forward(cx);
    try {
      c.backward(cx);
    } catch (const ShapeError&) {
      return;
    }
    QVERIFY(same_bits(c.da, plain.da) && same_bits(c.db, plain.db));
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    Case c({3, 4, 5, 2}, DType::f32);
    Tensor wrong = random_tensor({3, 6}, 1), wide = random_tensor({3, 4}, 1, DType::f64), half = wrong.to(DType::f16), square = random_tensor({2, 2}, 1), short_bias = random_tensor({4}, 1);
    VERIFY_THROWS(adapted_linear(cx, {wrong, c.w, nullptr, c.y, nullptr, nullptr, 1, nullptr, 0, 0}), ShapeError, "x [3, 6]");
    VERIFY_THROWS(adapted_linear(cx, {half, c.w, nullptr, c.y, nullptr, nullptr, 1, nullptr, 0, 0}), UnsupportedError, "x is f16; rows of f16 are computed on a GPU only");
    VERIFY_THROWS(adapted_linear(cx, {wide, c.w, nullptr, c.y, nullptr, nullptr, 1, nullptr, 0, 0}), DTypeError, "y");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, nullptr, wrong, nullptr, nullptr, 1, nullptr, 0, 0}), ShapeError, "y");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, &short_bias, c.y, nullptr, nullptr, 1, nullptr, 0, 0}), ShapeError, "bias");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, nullptr, c.y, &c.a, nullptr, 1, nullptr, 0, 0}), ShapeError, "together");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, nullptr, c.y, &square, &c.b, 1, &c.h, 0, 0}), ShapeError, "a [2, 2]");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, nullptr, c.y, &c.a, &square, 1, &c.h, 0, 0}), ShapeError, "b");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, nullptr, c.y, &c.a, &c.b, 1, &square, 0, 0}), ShapeError, "h");
    VERIFY_THROWS(adapted_linear(cx, {c.x, c.w, nullptr, c.y, &c.a, &c.b, 1, &c.h, 1.0, 0}), ShapeError, "dropout");
    VERIFY_THROWS(adapted_linear_backward(cx, {wrong, c.x, c.w, nullptr, nullptr, nullptr, 1, 0, 0, &c.dx, false, nullptr, nullptr}), ShapeError, "dy");
    VERIFY_THROWS(adapted_linear_backward(cx, {c.dy, c.x, c.w, nullptr, nullptr, nullptr, 1, 0, 0, &wrong, false, nullptr, nullptr}), ShapeError, "dx");
    VERIFY_THROWS(adapted_linear_backward(cx, {c.dy, c.x, c.w, &c.a, &c.b, &c.h, 1, 0, 0, &c.dx, false, nullptr, nullptr}), ShapeError, "da");
    VERIFY_THROWS(adapted_linear_backward(cx, {c.dy, c.x, c.w, &c.a, &c.b, &c.h, 1, 0, 0, &c.dx, false, &square, &c.db}), ShapeError, "da");
  }
};

LORIKEET_TEST_MAIN(AdaptedLinearTest)
#include "adapted_linear_test.moc"
