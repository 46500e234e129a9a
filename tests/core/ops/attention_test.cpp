#include "core/ops/attention.h"

#include "core/base/error.h"
#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

Tensor starts_of(std::vector<int32_t> v) { const auto n = static_cast<int64_t>(v.size()); return Tensor::from(v, {n}); }

// Operands and results. `apart`: q, k, v and the results lie in tensors with row strides that all differ.
struct Case {
  AttentionShape s;
  DType t;
  Tensor starts, q, k, v, d_o, o, lse, dq, dk, dv;
  Case(std::vector<int32_t> documents, int64_t heads, int64_t kv_heads, int64_t d, DType type, bool apart = true)
      : s{heads, kv_heads, d, 1 / std::sqrt(static_cast<double>(d))}, t(type), starts(starts_of(documents)) {
    const int64_t tokens = documents.back();
    q = random_tensor({tokens, heads * d}, 1, type, 2);
    k = random_tensor({tokens, kv_heads * d}, 2, type, 2);
    v = random_tensor({tokens, kv_heads * d}, 3, type);
    d_o = random_tensor({tokens, heads * d}, 4, type);
    o = Tensor::empty({tokens, heads * d}, type);
    lse = Tensor::empty({tokens, heads}, type);
    dq = o.clone();
    dk = Tensor::empty({tokens, kv_heads * d}, type);
    dv = dk.clone();
    if (!apart) return;
    q = strided(q);
    v = strided(v);  // k keeps its own width
    o = strided(o);
    dq = strided(dq);
    dv = strided(dv);
  }
  void forward(Context& cx) { attention(cx, {q, k, v, starts, o, &lse, s}); }
  void backward(Context& cx) { attention_backward(cx, {d_o, q, k, v, o, lse, starts, dq, dk, dv, s}); }
};

// softmax(scale q k^T) v with the whole matrix, in f64, and its gradient by the chain rule.
struct Reference {
  Tensor o, lse, dq, dk, dv;
  explicit Reference(const Case& c) {
    const int64_t tokens = c.q.dim(0), d = c.s.head_dim, group = c.s.heads / c.s.kv_heads;
    const Tensor q = c.q.to(DType::f64), k = c.k.to(DType::f64), v = c.v.to(DType::f64), g = c.d_o.to(DType::f64);
    o = Tensor::zeros(q.shape(), DType::f64), dq = o.clone(), dk = Tensor::zeros(k.shape(), DType::f64), dv = dk.clone(), lse = Tensor::zeros({tokens, c.s.heads}, DType::f64);
    const auto starts = c.starts.to_vector<int32_t>();
    const auto dot = [d](const double* a, const double* b) { double s = 0; for (int64_t i = 0; i < d; ++i) s += a[i] * b[i]; return s; };
    for (size_t document = 0; document + 1 < starts.size(); ++document)
      for (int64_t h = 0; h < c.s.heads; ++h)
        for (int64_t t = starts[document]; t < starts[document + 1]; ++t) {
          const int64_t first = starts[document], kv = h / group * d;
          std::vector<double> p, slopes;
          double sum = 0, along = 0;
          for (int64_t j = first; j <= t; ++j) {
            double score = c.s.scale * dot(q.row<double>(t) + h * d, k.row<double>(j) + kv);
            const double capped = c.s.soft_cap > 0 ? std::tanh(score / c.s.soft_cap) : 0;
            if (c.s.soft_cap > 0) score = c.s.soft_cap * capped;
            slopes.push_back(1 - capped * capped);
            p.push_back(c.s.window > 0 && t - j >= c.s.window ? 0 : std::exp(score));
          }
          for (const double e : p) sum += e;
          lse.row<double>(t)[h] = std::log(sum);
          for (int64_t j = first; j <= t; ++j) {
            double& e = p[static_cast<size_t>(j - first)];
            e /= sum;
            along += e * dot(g.row<double>(t) + h * d, v.row<double>(j) + kv);
            for (int64_t i = 0; i < d; ++i) o.row<double>(t)[h * d + i] += e * v.row<double>(j)[kv + i];
          }
          for (int64_t j = first; j <= t; ++j) {
            const double e = p[static_cast<size_t>(j - first)], ds = e * (dot(g.row<double>(t) + h * d, v.row<double>(j) + kv) - along) * c.s.scale * slopes[static_cast<size_t>(j - first)];
            for (int64_t i = 0; i < d; ++i) {
              dv.row<double>(j)[kv + i] += e * g.row<double>(t)[h * d + i];
              dq.row<double>(t)[h * d + i] += ds * k.row<double>(j)[kv + i];
              dk.row<double>(j)[kv + i] += ds * q.row<double>(t)[h * d + i];
            }
          }
        }
  }
};

}  // namespace

class AttentionTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void matchesFloat64Reference_data() { level_rows(); }
  void matchesFloat64Reference() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    const std::vector<std::vector<int32_t>> packings = {{0, 1}, {0, 3}, {0, 33}, {0, 65}, {0, 7, 7, 8, 40}, {0, 130, 197}};
    for (const auto& documents : packings)
      for (bool apart : {false, true})
        for (const auto& heads : {std::pair<int64_t, int64_t>{1, 1}, {6, 2}, {3, 3}})
          for (int64_t d : {1, 6, 16}) {
            Case c(documents, heads.first, heads.second, d, t, apart);
            c.forward(cx);
            c.backward(cx);
            const Reference wanted(c);
            VERIFY_SMALL(relative_l2(c.o, wanted.o), tolerance(t));
            VERIFY_SMALL(max_abs_difference(c.lse, wanted.lse), 10 * tolerance(t));
            VERIFY_SMALL(relative_l2(c.dv, wanted.dv), tolerance(t));
            if (documents.back() == 1) continue;  // one key: the softmax is constant, dq and dk are rounding errors of 0
            VERIFY_SMALL(relative_l2(c.dq, wanted.dq), tolerance(t));
            VERIFY_SMALL(relative_l2(c.dk, wanted.dk), tolerance(t));
          }
  }
  void windowsAndSoftCapsMatch_data() { level_rows(); }
  void windowsAndSoftCapsMatch() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    for (const auto& documents : std::vector<std::vector<int32_t>>{{0, 1}, {0, 40}, {0, 7, 7, 8, 40}, {0, 130, 197}, {0, 300}})
      for (const auto& [window, cap] : {std::pair<int64_t, double>{1, 0}, {5, 0}, {64, 0}, {70, 1.5}, {1000, 0}, {0, 0.8}, {0, 30}}) {
        Case c(documents, 6, 2, 6, t);
        c.s.window = window;
        c.s.soft_cap = cap;
        c.forward(cx);
        c.backward(cx);
        const Reference wanted(c);
        VERIFY_SMALL(relative_l2(c.o, wanted.o), 2 * tolerance(t));
        VERIFY_SMALL(max_abs_difference(c.lse, wanted.lse), 10 * tolerance(t));
        VERIFY_SMALL(relative_l2(c.dv, wanted.dv), 2 * tolerance(t));
        if (documents.back() == 1 || window == 1) continue;  // one key
        VERIFY_SMALL(relative_l2(c.dq, wanted.dq), 2 * tolerance(t));
        VERIFY_SMALL(relative_l2(c.dk, wanted.dk), 2 * tolerance(t));
      }
  }
  void aWindowHidesWhatLiesBeforeIt() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Case c({0, 150}, 3, 1, 8, DType::f32), other({0, 150}, 3, 1, 8, DType::f32);
      c.s.window = other.s.window = 20;
      c.forward(cx);
      for (Tensor* t : {&other.k, &other.v}) t->slice(0, 60).fill(std::nan(""));
      other.forward(cx);
      QVERIFY(max_abs_difference(c.o.slice(79, 150), other.o.slice(79, 150)) < 1e-6);
      QVERIFY(std::isnan(other.o.row<float>(78)[0]));  // the last that sees key 59
    }
  }
  void gradientsMatchCentralDifferences() {
    Context cx = context(CpuLevel::scalar);
    for (const auto& [window, cap] : {std::pair<int64_t, double>{0, 0}, {2, 0}, {3, 0.7}}) {
      Case c({0, 4, 9}, 4, 2, 3, DType::f64);
      c.s.window = window;
      c.s.soft_cap = cap;
      c.forward(cx);
      c.backward(cx);
      const Tensor dq = c.dq.clone(), dk = c.dk.clone(), dv = c.dv.clone();
      const auto loss = [&] { c.forward(cx); return weighted_sum(c.o, c.d_o); };
      VERIFY_SMALL(gradient_error(c.q, dq, loss), 1e-6);
      VERIFY_SMALL(gradient_error(c.k, dk, loss), 1e-6);
      VERIFY_SMALL(gradient_error(c.v, dv, loss), 1e-6);
    }
  }
  void laterTokensChangeNothingBefore() {
    for (CpuLevel level : cpu_probe().available)
      for (const int64_t changed : {1, 63, 64, 100, 149}) {
        Context cx = context(level);
        Case c({0, 150}, 3, 1, 8, DType::f32), other({0, 150}, 3, 1, 8, DType::f32);
        c.forward(cx);
        for (Tensor* t : {&other.q, &other.k, &other.v}) t->slice(changed, 150).fill(3);
        other.forward(cx);
        QVERIFY(same_bits(c.o.slice(0, changed), other.o.slice(0, changed)));
        QVERIFY(same_bits(c.lse.slice(0, changed), other.lse.slice(0, changed)));
        QVERIFY(!same_bits(c.o.slice(changed, 150), other.o.slice(changed, 150)));
      }
  }
  void packedDocumentsEqualSeparateOnes() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Case packed({0, 40, 140, 141}, 6, 2, 8, DType::f32);
      packed.forward(cx);
      packed.backward(cx);
      for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 40}, {40, 140}, {140, 141}}) {
        Case one({0, static_cast<int32_t>(end - begin)}, 6, 2, 8, DType::f32, false);
        one.q = packed.q.slice(begin, end);
        one.k = packed.k.slice(begin, end);
        one.v = packed.v.slice(begin, end);
        one.d_o = packed.d_o.slice(begin, end);
        one.forward(cx);
        one.backward(cx);
        QVERIFY(same_bits(one.o, packed.o.slice(begin, end)) && same_bits(one.lse, packed.lse.slice(begin, end)));
        QVERIFY(same_bits(one.dq, packed.dq.slice(begin, end)) && same_bits(one.dk, packed.dk.slice(begin, end)) && same_bits(one.dv, packed.dv.slice(begin, end)));
      }
    }
  }
  void largeScoresDoNotOverflow() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Case c({0, 70}, 2, 1, 8, DType::f32);
      for (Tensor* t : {&c.q, &c.k})
        for (int64_t r = 0; r < 70; ++r)
          for (int64_t i = 0; i < t->width(); ++i) t->row<float>(r)[i] *= 20;
      c.forward(cx);
      c.backward(cx);
      for (const Tensor* t : {&c.o, &c.lse, &c.dq, &c.dk, &c.dv})
        for (const double v : values(*t)) QVERIFY(std::isfinite(v));
      for (const double v : values(c.o)) QVERIFY(std::abs(v) <= 1.00001);  // a mean of values in [-1, 1)
    }
  }
  void newTokensAgainstTheCacheEqualTheWholeSequence_data() { level_rows(); }
  void newTokensAgainstTheCacheEqualTheWholeSequence() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    for (const int64_t window : {0, 40}) for (bool apart : {false, true}) {
      Case c({0, 150}, 6, 2, 8, t);
      c.s.window = window;
      c.s.soft_cap = window > 0 ? 2 : 0;
      c.forward(cx);
      for (const auto& [past, n] : {std::pair<int64_t, int64_t>{0, 1}, {0, 150}, {149, 1}, {70, 1}, {3, 5}, {60, 90}, {100, 9}}) {
        Tensor keys = Tensor::empty({200, 16}, t), store = Tensor::empty({200, 16}, t);
        keys.fill(std::nan(""));  // the cache behind the tokens must not be read
        store.fill(std::nan(""));
        Tensor stored = apart ? strided(store) : store;
        keys.slice(0, past + n).copy_from(c.k.slice(0, past + n));
        stored.slice(0, past + n).copy_from(c.v.slice(0, past + n));
        Tensor o = strided_output(n, 48, t);
        attention_cached(cx, {c.q.slice(past, past + n), keys, stored, o, past, c.s});
        VERIFY_SMALL(relative_l2(o, c.o.slice(past, past + n)), tolerance(t));
      }
    }
  }
  void threadsChangeNoBit() {
    for (CpuLevel level : cpu_probe().available) {
      std::vector<Case> all;
      for (int threads : {1, 2, 3, 2}) {
        Context cx = context(level, threads);
        Case& c = all.emplace_back(std::vector<int32_t>{0, 100, 101, 300}, 6, 2, 16, DType::f32);
        c.forward(cx);
        c.backward(cx);
        const Case& f = all.front();
        QVERIFY(same_bits(f.o, c.o) && same_bits(f.lse, c.lse) && same_bits(f.dq, c.dq) && same_bits(f.dk, c.dk) && same_bits(f.dv, c.dv));
      }
    }
  }
  void scratchGrowsWithTheLengthNotItsSquare() {
    Context cx = context(cpu_probe().best, 1);  // with more threads, which of them meets a task differs
    Case small({0, 512}, 2, 1, 16, DType::f32), large({0, 2048}, 2, 1, 16, DType::f32);
    small.forward(cx);
    small.backward(cx);
    const size_t before = cx.scratch_bytes();
    large.forward(cx);
    large.backward(cx);
    QVERIFY(before > 0 && cx.scratch_bytes() <= 5 * before);  // 16 times if it were T x T
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    Case c({0, 4}, 4, 2, 3, DType::f32);
    const auto with = [&](const Tensor& k, const Tensor& starts, AttentionShape s) { attention(cx, {c.q, k, c.v, starts, c.o, nullptr, s}); };
    VERIFY_THROWS(with(c.k, starts_of({0, 3}), c.s), ShapeError, "document_starts");
    VERIFY_THROWS(with(c.k, starts_of({1, 4}), c.s), ShapeError, "document_starts");
    VERIFY_THROWS(with(c.k, starts_of({0, 3, 2, 4}), c.s), ShapeError, "document_starts");
    VERIFY_THROWS(with(c.k, starts_of({0, 4}), {4, 3, 3, 1}), ShapeError, "4 heads over 3");
    VERIFY_THROWS(with(c.k, starts_of({0, 4}), {4, 2, 4, 1}), ShapeError, "q");
    VERIFY_THROWS(with(c.k, starts_of({0, 4}), {4, 2, 3, 1, -1}), ShapeError, "window of -1");
    VERIFY_THROWS(with(c.k, starts_of({0, 4}), {4, 2, 3, 1, 0, -2}), ShapeError, "soft cap");
    VERIFY_THROWS(with(c.q, starts_of({0, 4}), c.s), ShapeError, "k");
    VERIFY_THROWS(with(c.k.to(DType::f64), starts_of({0, 4}), c.s), DTypeError, "k");
    VERIFY_THROWS(with(c.k, random_tensor({2}, 1), c.s), DTypeError, "document_starts");
    Tensor wrong = Tensor::empty({4, 3});
    VERIFY_THROWS(attention(cx, {c.q, c.k, c.v, c.starts, c.o, &wrong, c.s}), ShapeError, "lse");
    VERIFY_THROWS(attention_backward(cx, {wrong, c.q, c.k, c.v, c.o, c.lse, c.starts, c.dq, c.dk, c.dv, c.s}), ShapeError, "d_o");
    VERIFY_THROWS(attention_backward(cx, {c.d_o, c.q, c.k, c.v, c.o, c.lse, c.starts, c.dq, wrong, c.dv, c.s}), ShapeError, "dk");
    Tensor o = Tensor::empty({4, 12});
    VERIFY_THROWS(attention_cached(cx, {c.q, c.k, c.v, o, 1, c.s}), ShapeError, "1 + 4 tokens");
    VERIFY_THROWS(attention_cached(cx, {c.q, c.k, c.v, o, -1, c.s}), ShapeError, "cache");
  }
};

LORIKEET_TEST_MAIN(AttentionTest)
#include "attention_test.moc"
