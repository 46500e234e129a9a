// Attention on rows of bf16: softmax weights and score gradients are rounded for the products, sums are f32.
#include "core/base/error.h"
#include "core/ops/attention.h"
#include "tests/core/ops/bf16_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

Tensor starts_of(std::vector<int32_t> v) { const auto n = static_cast<int64_t>(v.size()); return Tensor::from(v, {n}); }

struct Case {
  AttentionShape s;
  Tensor starts, q, k, v, d_o, o, lse, dq, dk, dv;
  Case(const std::vector<int32_t>& documents, int64_t heads, int64_t kv_heads, int64_t d, int64_t gap = 5)
      : s{heads, kv_heads, d, 1 / std::sqrt(static_cast<double>(d))}, starts(starts_of(documents)) {
    const int64_t tokens = documents.back(), wide = heads * d, narrow = kv_heads * d;
    q = apart(random_tensor({tokens, wide}, 1, DType::bf16, 2), gap);
    k = apart(random_tensor({tokens, narrow}, 2, DType::bf16, 2), gap + 2);
    v = apart(random_tensor({tokens, narrow}, 3, DType::bf16), gap + 1);
    d_o = apart(random_tensor({tokens, wide}, 4, DType::bf16), gap);
    o = apart(nan_filled({tokens, wide}, DType::bf16), gap);
    lse = nan_filled({tokens, heads}, DType::f32);
    dq = apart(nan_filled({tokens, wide}, DType::f32), gap);
    dk = apart(nan_filled({tokens, narrow}, DType::f32), gap);
    dv = apart(nan_filled({tokens, narrow}, DType::f32), gap + 1);
  }
  void forward(Context& cx) { attention(cx, {q, k, v, starts, o, &lse, s}); }
  void backward(Context& cx) { attention_backward(cx, {d_o, q, k, v, o, lse, starts, dq, dk, dv, s}); }
  bool operator==(const Case& c) const {
    return same_bits(o, c.o) && same_bits(lse, c.lse) && same_bits(dq, c.dq) && same_bits(dk, c.dk) && same_bits(dv, c.dv);
  }
};

// The op in f64 on the same numbers; o is not rounded for its backward.
struct Reference {
  Tensor o, lse, dq, dk, dv;
  explicit Reference(const Case& c) {
    Context cx = context(CpuLevel::scalar);
    const Tensor q = c.q.to(DType::f64), k = c.k.to(DType::f64), v = c.v.to(DType::f64), d_o = c.d_o.to(DType::f64);
    o = Tensor::empty(q.shape(), DType::f64), dq = o.clone(), dk = Tensor::empty(k.shape(), DType::f64), dv = dk.clone(), lse = Tensor::empty(c.lse.shape(), DType::f64);
    attention(cx, {q, k, v, c.starts, o, &lse, c.s});
    attention_backward(cx, {d_o, q, k, v, o, lse, c.starts, dq, dk, dv, c.s});
  }
};

const std::vector<std::vector<int32_t>> kPackings = {{0, 1}, {0, 63}, {0, 64}, {0, 65}, {0, 7, 7, 8, 40}, {0, 130, 131, 131, 196}};

}  // namespace

class AttentionBf16Test : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void matchesFloat64_data() { unit_rows(); }
  void matchesFloat64() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    for (const auto& documents : kPackings)
      for (const auto& [heads, kv_heads] : {std::pair<int64_t, int64_t>{1, 1}, {6, 2}, {3, 3}})
        for (int64_t d : {1, 6, 16, 33, 64})
          for (int64_t gap : {5, 6}) {
            Case c(documents, heads, kv_heads, d, gap);
            c.forward(cx);
            c.backward(cx);
            const Reference wanted(c);
            // P and o are rounded one after the other.
            VERIFY_SMALL(relative_l2(c.o, wanted.o), documents.back() == 1 ? kRoundedOnce : 1.5 * kRoundedOnce);
            VERIFY_SMALL(max_abs_difference(c.lse, wanted.lse), 1e-5 * (1 + static_cast<double>(d)));
            VERIFY_SMALL(relative_l2(c.dv, wanted.dv), kGradient);
            if (documents.back() == 1) continue;  // one key: the softmax is constant, dq and dk are rounding errors of 0
            VERIFY_SMALL(relative_l2(c.dq, wanted.dq), kGradient);
            VERIFY_SMALL(relative_l2(c.dk, wanted.dk), kGradient);
          }
  }
  // Several segments of keys and of queries, and chunks of keys whose parts of dq are summed.
  void longDocumentsMatch_data() { unit_rows(); }
  void longDocumentsMatch() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    for (const auto& documents : {std::vector<int32_t>{0, 1101}, {0, 513, 530}, {0, 40, 552}}) {
      Case c(documents, 4, 2, 16, 6);
      c.forward(cx);
      c.backward(cx);
      const Reference wanted(c);
      VERIFY_SMALL(relative_l2(c.o, wanted.o), 1.5 * kRoundedOnce);
      VERIFY_SMALL(max_abs_difference(c.lse, wanted.lse), 2e-5);
      for (const auto& [found, right] : {std::pair{&c.dq, &wanted.dq}, {&c.dk, &wanted.dk}, {&c.dv, &wanted.dv}}) VERIFY_SMALL(relative_l2(*found, *right), kGradient);
    }
  }
  void windowsAndSoftCapsMatch_data() { unit_rows(); }
  void windowsAndSoftCapsMatch() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    for (const auto& documents : {std::vector<int32_t>{0, 1}, {0, 700}, {0, 100, 101, 400}})
      for (const auto& [window, cap] : {std::pair<int64_t, double>{2, 0}, {33, 0}, {64, 0}, {300, 1.5}, {1000, 0}, {0, 0.8}}) {
        Case c(documents, 4, 2, 16, 6);
        c.s.window = window;
        c.s.soft_cap = cap;
        c.forward(cx);
        c.backward(cx);
        const Reference wanted(c);
        VERIFY_SMALL(relative_l2(c.o, wanted.o), documents.back() == 1 ? kRoundedOnce : 1.5 * kRoundedOnce);
        VERIFY_SMALL(max_abs_difference(c.lse, wanted.lse), 2e-5);
        VERIFY_SMALL(relative_l2(c.dv, wanted.dv), kGradient);
        if (documents.back() == 1) continue;
        VERIFY_SMALL(relative_l2(c.dq, wanted.dq), kGradient);
        VERIFY_SMALL(relative_l2(c.dk, wanted.dk), kGradient);
      }
  }
  void headsOfEveryWidthMatch() {  // 256 is the widest the packed form takes, 260 goes through f32
    Context cx = unit_context(static_cast<int>(cpu_probe().best), static_cast<int>(ComputeType::bf16));
    for (int64_t d : {128, 255, 256, 260}) {
      Case c({0, 70, 100}, 2, 1, d);
      c.forward(cx);
      c.backward(cx);
      const Reference wanted(c);
      VERIFY_SMALL(relative_l2(c.o, wanted.o), 1.5 * kRoundedOnce);
      for (const auto& [found, right] : {std::pair{&c.dq, &wanted.dq}, {&c.dk, &wanted.dk}, {&c.dv, &wanted.dv}}) VERIFY_SMALL(relative_l2(*found, *right), kGradient);
    }
  }
  void largeScoresDoNotOverflow_data() { unit_rows(); }
  void largeScoresDoNotOverflow() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    Case c({0, 70}, 2, 1, 8);
    c.q = random_tensor({70, 16}, 1, DType::bf16, 40);
    c.k = random_tensor({70, 8}, 2, DType::bf16, 40);
    c.forward(cx);
    c.backward(cx);
    for (const Tensor* t : {&c.o, &c.lse, &c.dq, &c.dk, &c.dv})
      for (const double v : values(*t)) QVERIFY(std::isfinite(v));
    for (const double v : values(c.o)) QVERIFY(std::abs(v) <= 1.01);  // a mean of values in [-1, 1)
  }
  void laterTokensChangeNothingBefore_data() { unit_rows(); }
  void laterTokensChangeNothingBefore() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    for (const int64_t changed : {1, 31, 32, 63, 64, 100, 149}) {
      Case c({0, 150}, 3, 1, 8), other({0, 150}, 3, 1, 8);
      c.forward(cx);
      for (Tensor* t : {&other.q, &other.k, &other.v}) t->slice(changed, 150).fill(3);
      other.forward(cx);
      QVERIFY(same_bits(c.o.slice(0, changed), other.o.slice(0, changed)));
      QVERIFY(same_bits(c.lse.slice(0, changed), other.lse.slice(0, changed)));
      QVERIFY(!same_bits(c.o.slice(changed, 150), other.o.slice(changed, 150)));
    }
  }
  void packedDocumentsEqualSeparateOnes_data() { unit_rows(); }
  void packedDocumentsEqualSeparateOnes() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    Case packed({0, 40, 40, 140, 141}, 6, 2, 9);
    packed.forward(cx);
    packed.backward(cx);
    for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 40}, {40, 140}, {140, 141}}) {
      Case one({0, static_cast<int32_t>(end - begin)}, 6, 2, 9, 6);
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
  void staleScratchIsNotRead_data() { unit_rows(); }
  void staleScratchIsNotRead() {
    QFETCH(int, level);
    QFETCH(int, compute);
    for (const auto& documents : kPackings)
      for (int64_t d : {7, 16, 33}) {
        Context cx = unit_context(level, compute), fresh = unit_context(level, compute);
        Case poison({0, 300}, 6, 3, 64), c(documents, 6, 2, d), wanted(documents, 6, 2, d);
        for (Tensor* t : {&poison.q, &poison.k, &poison.v, &poison.d_o}) t->fill(std::nan(""));
        poison.forward(cx);
        poison.backward(cx);
        c.forward(cx);
        c.backward(cx);
        wanted.forward(fresh);
        wanted.backward(fresh);
        QVERIFY(c == wanted);
        for (const Tensor* t : {&c.o, &c.dq, &c.dk, &c.dv})
          for (double v : values(*t)) QVERIFY(std::isfinite(v));
      }
  }
  void threadsChangeNoBit_data() { unit_rows(); }
  void threadsChangeNoBit() {
    QFETCH(int, level);
    QFETCH(int, compute);
    std::vector<Case> all;
    for (int threads : {1, 2, 3, 5}) {
      Context cx = unit_context(level, compute, threads);
      Case& c = all.emplace_back(std::vector<int32_t>{0, 100, 101, 300}, 6, 2, 17);
      c.s.window = 90;
      c.forward(cx);
      c.backward(cx);
      QVERIFY(all.front() == c);
    }
  }
  void withoutTheLogarithmTheOutputIsTheSame() {
    Context cx = unit_context(static_cast<int>(cpu_probe().best), static_cast<int>(ComputeType::bf16));
    Case c({0, 70}, 2, 1, 8), plain({0, 70}, 2, 1, 8);
    c.forward(cx);
    attention(cx, {plain.q, plain.k, plain.v, plain.starts, plain.o, nullptr, plain.s});
    QVERIFY(same_bits(c.o, plain.o));
  }
  void refusesTypesThatDoNotGoTogether() {
    Context cx = context(CpuLevel::scalar);
    Case c({0, 3}, 2, 1, 4);
    Tensor wide = Tensor::empty({3, 8}), narrow = Tensor::empty({3, 4}), lse = Tensor::empty({3, 2}, DType::bf16), rounded = Tensor::empty({3, 8}, DType::bf16), rounded_k = Tensor::empty({3, 4}, DType::bf16);
    const Tensor wrong_starts = starts_of({0, 2});
    VERIFY_THROWS(attention(cx, {c.q, narrow, c.v, c.starts, c.o, nullptr, c.s}), DTypeError, "k is f32");
    VERIFY_THROWS(attention(cx, {c.q, c.k, narrow, c.starts, c.o, nullptr, c.s}), DTypeError, "v is f32");
    VERIFY_THROWS(attention(cx, {c.q, c.k, c.v, c.starts, wide, nullptr, c.s}), DTypeError, "o is f32");
    VERIFY_THROWS(attention(cx, {c.q, c.k, c.v, c.starts, c.o, &lse, c.s}), DTypeError, "lse is bf16");
    VERIFY_THROWS(attention(cx, {c.q, c.k, c.v, wrong_starts, c.o, nullptr, c.s}), ShapeError, "document_starts");
    VERIFY_THROWS(attention_backward(cx, {wide, c.q, c.k, c.v, c.o, c.lse, c.starts, c.dq, c.dk, c.dv, c.s}), DTypeError, "d_o is f32");
    VERIFY_THROWS(attention_backward(cx, {c.d_o, c.q, c.k, c.v, c.o, c.lse, c.starts, rounded, c.dk, c.dv, c.s}), DTypeError, "dq is bf16");
    VERIFY_THROWS(attention_backward(cx, {c.d_o, c.q, c.k, c.v, c.o, c.lse, c.starts, c.dq, rounded_k, c.dv, c.s}), DTypeError, "dk is bf16");
    VERIFY_THROWS(attention_backward(cx, {c.d_o, c.q, c.k, c.v, c.o, c.lse, c.starts, c.dq, c.dk, rounded_k, c.s}), DTypeError, "dv is bf16");
  }
};

LORIKEET_TEST_MAIN(AttentionBf16Test)
#include "attention_bf16_test.moc"
