// Output head and loss on rows of bf16. The head holds numbers that bf16 holds exactly, so that logits and losses are
// exact; in the gradient the softmax is rounded, but never the target's own term.
#include "core/base/error.h"
#include "core/ops/linear_cross_entropy.h"
#include "tests/core/ops/bf16_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

struct Case {
  PlainWeight head;
  Tensor x, targets, losses, dx;
  double sum = 0, scale = 0.25;
  Case(int64_t n, int64_t width, int64_t vocabulary, double size = 1, bool decodes = true, int64_t gap = 5)
      : head(representable({vocabulary, width}, 1, size), decodes), x(apart(random_tensor({n, width}, 2, DType::bf16, size), gap)), losses(nan_filled({n}, DType::f32)),
        dx(apart(nan_filled({n, width}, DType::f32), gap)) {
    std::vector<int32_t> t;
    for (int64_t i = 0; i < n; ++i) t.push_back(static_cast<int32_t>(i * 7919 % vocabulary));
    targets = Tensor::from(t, {n});
  }
  void run(Context& cx) { linear_cross_entropy(cx, {x, head, targets, &sum, &losses, &dx, scale}); }
};

struct Reference {
  double sum = 0;
  Tensor losses, dx;
  explicit Reference(const Case& c) : losses(Tensor::empty({c.x.dim(0)}, DType::f64)), dx(Tensor::empty(c.x.shape(), DType::f64)) {
    Context cx = context(CpuLevel::scalar);
    linear_cross_entropy(cx, {c.x.to(DType::f64), c.head, c.targets, &sum, &losses, &dx, c.scale});
  }
};

// Rows whose softmax is all but certain of their target: x is `size` times the target's (large, random) head row.
void make_confident(Case& c, double size) {
  for (int64_t r = 0; r < c.x.rows(); ++r) {
    const float* w = c.head.values().row<float>(c.targets.data<int32_t>()[r]);
    Tensor row = Tensor::empty({1, c.x.width()});
    for (int64_t i = 0; i < c.x.width(); ++i) row.data<float>()[i] = static_cast<float>(size) * w[i];
    c.x.slice(r, r + 1).copy_from(row.to(DType::bf16));
  }
}

}  // namespace

class LinearCrossEntropyBf16Test : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void matchesFloat64_data() { unit_rows(); }
  void matchesFloat64() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    const int64_t sizes[][3] = {{1, 1, 2}, {1, 33, 65}, {63, 7, 33}, {64, 65, 300}, {65, 3, 1000}, {130, 48, 257}, {7, 16, 1}, {33, 64, 512}};
    for (const auto& s : sizes)
      for (bool decodes : {true, false})
        for (int64_t gap : {5, 6}) {
          Case c(s[0], s[1], s[2], 1, decodes, gap);
          c.run(cx);
          const Reference wanted(c);
          VERIFY_SMALL(std::abs(c.sum - wanted.sum), 1e-5 * (1 + wanted.sum));
          VERIFY_SMALL(max_abs_difference(c.losses, wanted.losses), 1e-5 * (1 + static_cast<double>(s[1])));
          if (s[2] > 1) VERIFY_SMALL(relative_l2(c.dx, wanted.dx), kGradient);
          else for (double v : values(c.dx)) VERIFY_SMALL(std::abs(v), 1e-6);  // one word: it is certain
        }
  }
  // Rows of 2048 numbers lie 4096 bytes apart: products read a copy of them.
  void rowsThatShareACacheSetMatch() {
    Context cx = unit_context(static_cast<int>(cpu_probe().best), static_cast<int>(ComputeType::bf16));
    Case c(40, 2048, 300, 0.2, true, 0);
    c.run(cx);
    const Reference wanted(c);
    VERIFY_SMALL(std::abs(c.sum - wanted.sum), 1e-5 * (1 + wanted.sum));
    VERIFY_SMALL(relative_l2(c.dx, wanted.dx), kGradient);
  }
  // 8 MiB of packed head, both ways, are 1536 rows of 1300: the vocabulary comes in stretches.
  void aVocabularyOfSeveralStretchesMatches() {
    for (bool decodes : {true, false}) {
      Context cx = unit_context(static_cast<int>(cpu_probe().best), static_cast<int>(ComputeType::bf16), 3);
      Case c(33, 1300, 3333, 0.3, decodes);
      c.run(cx);
      const Reference wanted(c);
      VERIFY_SMALL(std::abs(c.sum - wanted.sum), 1e-5 * (1 + wanted.sum));
      VERIFY_SMALL(relative_l2(c.dx, wanted.dx), kGradient);
    }
  }
  // Where the target's probability is near 1 its gradient is the small difference of the two: row by row it must be
  // as good as anywhere.
  void certainTargetsKeepTheirGradient_data() { unit_rows(); }
  void certainTargetsKeepTheirGradient() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    for (double size : {0.15, 0.25, 0.4}) {
      Case c(65, 64, 700);
      make_confident(c, 3 * size);
      c.run(cx);
      const Reference wanted(c);
      for (int64_t r = 0; r < 65; ++r) {
        const double loss = wanted.losses.data<double>()[r];
        // Logits near z are f32 sums: each is off by some 1e-7 of z, and so is the logarithm of the loss.
        VERIFY_SMALL(std::abs(static_cast<double>(c.losses.data<float>()[r]) - loss), 1e-5);
        if (loss < 1e-3) continue;  // below that the loss is a difference of f32 logits
        VERIFY_SMALL(relative_l2(c.dx.slice(r, r + 1).clone(), wanted.dx.slice(r, r + 1).clone()), kGradient);
      }
      QVERIFY(wanted.sum / 65 < 3);  // certain indeed: ln 700 is 6.6
    }
  }
  void largeLogitsDoNotOverflow_data() { unit_rows(); }
  void largeLogitsDoNotOverflow() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    Case c(20, 33, 600, 30);
    c.run(cx);
    const Reference wanted(c);
    QVERIFY(std::isfinite(c.sum));
    VERIFY_SMALL(std::abs(c.sum - wanted.sum), 1e-5 * (1 + wanted.sum));
    for (double v : values(c.dx)) QVERIFY(std::isfinite(v));
    VERIFY_SMALL(relative_l2(c.dx, wanted.dx), kGradient);
  }
  void theLossAloneIsTheSame_data() { unit_rows(); }
  void theLossAloneIsTheSame() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute);
    Case c(65, 33, 700), plain(65, 33, 700);
    c.run(cx);
    linear_cross_entropy(cx, {plain.x, plain.head, plain.targets, &plain.sum, nullptr, nullptr, 1});
    QCOMPARE(plain.sum, c.sum);
    linear_cross_entropy(cx, {plain.x, plain.head, plain.targets, nullptr, &plain.losses, nullptr, 1});
    QVERIFY(same_bits(plain.losses, c.losses));
  }
  void staleScratchIsNotRead_data() { unit_rows(); }
  void staleScratchIsNotRead() {
    QFETCH(int, level);
    QFETCH(int, compute);
    for (const auto& [n, width, vocabulary] : {std::array<int64_t, 3>{1, 33, 65}, {63, 7, 33}, {65, 65, 301}}) {
      Context cx = unit_context(level, compute), fresh = unit_context(level, compute);
      Case poison(150, 100, 900), c(n, width, vocabulary), wanted(n, width, vocabulary);
      poison.x.fill(std::nan(""));
      Tensor(poison.head.values()).fill(std::nan(""));
      poison.run(cx);
      c.run(cx);
      wanted.run(fresh);
      QVERIFY(std::isfinite(c.sum));
      QCOMPARE(c.sum, wanted.sum);
      QVERIFY(same_bits(c.dx, wanted.dx) && same_bits(c.losses, wanted.losses));
      for (double v : values(c.dx)) QVERIFY(std::isfinite(v));
    }
  }
  void threadsChangeNoBit_data() { unit_rows(); }
  void threadsChangeNoBit() {
    QFETCH(int, level);
    QFETCH(int, compute);
    for (int64_t n : {1, 40, 200}) {
      std::vector<Case> all;
      for (int threads : {1, 2, 3, 5}) {
        Context cx = unit_context(level, compute, threads);
        Case& c = all.emplace_back(n, 65, 700);
        c.run(cx);
        const Case& f = all.front();
        QCOMPARE(c.sum, f.sum);
        QVERIFY(same_bits(f.dx, c.dx) && same_bits(f.losses, c.losses));
      }
    }
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    Case c(3, 4, 9);
    Tensor narrow = Tensor::empty({3, 5}, DType::bf16), rounded = Tensor::empty({3, 4}, DType::bf16), losses = Tensor::empty({3}, DType::bf16);
    const Tensor beyond = Tensor::from<int32_t>({0, 9, 1}, {3});
    VERIFY_THROWS(linear_cross_entropy(cx, {narrow, c.head, c.targets, &c.sum, nullptr, nullptr, 1}), ShapeError, "x [3, 5]");
    VERIFY_THROWS(linear_cross_entropy(cx, {c.x, c.head, beyond, &c.sum, nullptr, nullptr, 1}), ShapeError, "target 9");
    VERIFY_THROWS(linear_cross_entropy(cx, {c.x, c.head, c.targets, &c.sum, &losses, nullptr, 1}), DTypeError, "losses is bf16");
    VERIFY_THROWS(linear_cross_entropy(cx, {c.x, c.head, c.targets, &c.sum, nullptr, &rounded, 1}), DTypeError, "dx is bf16");
  }
};

LORIKEET_TEST_MAIN(LinearCrossEntropyBf16Test)
#include "linear_cross_entropy_bf16_test.moc"
