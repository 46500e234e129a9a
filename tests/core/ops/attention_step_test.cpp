/// One new token of each of several texts against caches of every type: the f64 formula over what the cache holds, what
/// rounding to the cache's type costs, and the same bits alone, together and on any number of threads.
#include "core/ops/attention_step.h"

#include "core/base/error.h"
#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

const DType kTypes[] = {DType::f32, DType::bf16, DType::i8};

struct Text {
  KvStore keys, values;
  int64_t length;
};

Text text_of(int64_t length, const AttentionShape& s, DType type, uint64_t seed) {
  Text t{KvStore::make(length + 3, s.kv_heads, s.head_dim, type), KvStore::make(length + 3, s.kv_heads, s.head_dim, type), length};
  Context cx(1);
  kv_append(cx, t.keys, 0, strided(random_tensor({length, s.kv_heads * s.head_dim}, seed, DType::f32, 2)));
  kv_append(cx, t.values, 0, random_tensor({length, s.kv_heads * s.head_dim}, seed + 1));
  return t;
}

std::vector<double> reference(Context& cx, const float* q, const Text& t, const AttentionShape& s) {
  const Tensor k = kv_rows_f32(cx, t.keys, t.length), v = kv_rows_f32(cx, t.values, t.length);
  std::vector<double> o(static_cast<size_t>(s.heads * s.head_dim));
  for (int64_t h = 0; h < s.heads; ++h) {
    const int64_t kv = h / (s.heads / s.kv_heads) * s.head_dim;
    std::vector<double> p(static_cast<size_t>(t.length));
    double top = -1e300, sum = 0;
    for (int64_t j = s.first_key(t.length - 1); j < t.length; ++j) {
      double dot = 0;
      for (int64_t i = 0; i < s.head_dim; ++i) dot += static_cast<double>(q[h * s.head_dim + i]) * static_cast<double>(k.row<float>(j)[kv + i]);
      const double score = s.soft_cap > 0 ? s.soft_cap * std::tanh(dot * s.scale / s.soft_cap) : dot * s.scale;
      top = std::max(top, p[static_cast<size_t>(j)] = score);
    }
    for (int64_t j = 0; j < t.length; ++j) {
      double& x = p[static_cast<size_t>(j)];
      sum += x = j < s.first_key(t.length - 1) ? 0 : std::exp(x - top);
    }
    for (int64_t j = 0; j < t.length; ++j)
      for (int64_t i = 0; i < s.head_dim; ++i)
        o[static_cast<size_t>(h * s.head_dim + i)] += p[static_cast<size_t>(j)] / sum * static_cast<double>(v.row<float>(j)[kv + i]);
  }
  return o;
}

struct Batch {
  AttentionShape s;
  Tensor q, o;
  std::vector<Text> texts;
  std::vector<AttentionStepText> steps;
  Batch(AttentionShape shape, DType type, const std::vector<int64_t>& lengths)
      : s(shape), q(strided(random_tensor({static_cast<int64_t>(lengths.size()), s.heads * s.head_dim}, 5))), o(strided_output(q.rows(), q.width(), DType::f32)) {
    for (size_t i = 0; i < lengths.size(); ++i) texts.push_back(text_of(lengths[i], s, type, 10 * i));
    for (size_t i = 0; i < lengths.size(); ++i) steps.push_back({static_cast<int64_t>(i), &texts[i].keys, &texts[i].values, lengths[i]});
  }
  void run(Context& cx) { attention_step(cx, {.q = q, .texts = steps, .o = o, .shape = s}); }
};

AttentionShape shape_of(int64_t heads, int64_t kv_heads, int64_t d) { return {heads, kv_heads, d, 1 / std::sqrt(static_cast<double>(d))}; }

AttentionShape windowed(int64_t window, double soft_cap) { return {6, 2, 16, 0.25, window, soft_cap}; }

}  // namespace

class AttentionStepTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void matchesFloat64OverWhatTheCacheHolds() {
    for (CpuLevel level : cpu_probe().available)
      for (DType type : kTypes)
        for (const AttentionShape& s : {shape_of(9, 3, 64), shape_of(2, 2, 1), shape_of(6, 2, 33), shape_of(3, 1, 128), shape_of(4, 1, 130), windowed(5, 0), windowed(65, 1.5), windowed(0, 3)}) {
          Context cx = context(level);
          Batch b(s, type, {1, 2, 7, 63, 64, 65, 600});
          b.run(cx);
          for (size_t i = 0; i < b.texts.size(); ++i) {
            const auto at = static_cast<int64_t>(i);
            const Tensor wanted = f64(reference(cx, b.q.row<float>(at), b.texts[i], s), {1, s.heads * s.head_dim});
            VERIFY_SMALL(relative_l2(b.o.slice(at, at + 1), wanted), 1e-5);
          }
        }
  }
  void roundingCostsWhatTheTypeSays() {
    Context cx = context(cpu_probe().best);
    const AttentionShape s = shape_of(4, 2, 64);
    const Tensor x = random_tensor({40, 128}, 3, DType::f32, 5);
    for (DType type : kTypes) {
      KvStore store = KvStore::make(64, s.kv_heads, s.head_dim, type);
      kv_append(cx, store, 11, x);
      const Tensor back = kv_rows_f32(cx, store, 51).slice(11, 51);
      for (int64_t r = 0; r < 40; ++r)
        for (int64_t h = 0; h < 2; ++h) {
          float largest = 0;
          for (int64_t i = 0; i < 64; ++i) largest = std::max(largest, std::abs(x.row<float>(r)[h * 64 + i]));
          for (int64_t i = 0; i < 64; ++i) {
            const float v = x.row<float>(r)[h * 64 + i], error = std::abs(back.row<float>(r)[h * 64 + i] - v);
            const float bound = type == DType::f32 ? 0 : type == DType::bf16 ? std::abs(v) / 256 : largest / 127 * 0.5001f;
            QVERIFY2(error <= bound, (std::to_string(error) + " over " + std::to_string(bound)).c_str());
          }
        }
    }
    // A row of zeros has a scale of zero and stays zeros.
    KvStore zeros = KvStore::make(1, 2, 64, DType::i8);
    kv_append(cx, zeros, 0, Tensor::zeros({1, 128}));
    QCOMPARE(max_abs_difference(kv_rows_f32(cx, zeros, 1), Tensor::zeros({1, 128})), 0.0);
  }
  void resultsStayNearTheF32Cache() {
    const AttentionShape s = shape_of(9, 3, 64);
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Batch exact(s, DType::f32, {300, 40}), half(s, DType::bf16, {300, 40}), eighth(s, DType::i8, {300, 40});
      for (Batch* b : {&exact, &half, &eighth}) b->run(cx);
      VERIFY_SMALL(relative_l2(half.o, exact.o), 6e-3);
      VERIFY_SMALL(relative_l2(eighth.o, exact.o), 2e-2);
      QVERIFY(relative_l2(half.o, exact.o) > 1e-5 && relative_l2(eighth.o, exact.o) > 1e-4);
    }
  }
  void memoryIsWhatTheTypeSays() {
    QCOMPARE(KvStore::make(100, 3, 64, DType::f32).bytes(), uint64_t{100 * 192 * 4});
    QCOMPARE(KvStore::make(100, 3, 64, DType::bf16).bytes(), uint64_t{100 * 192 * 2});
    QCOMPARE(KvStore::make(100, 3, 64, DType::i8).bytes(), uint64_t{100 * 192 + 100 * 3 * 4});
  }
  void aTextHasTheSameBitsAloneAndOnAnyThreads() {
    const AttentionShape s = shape_of(6, 3, 40);
    for (CpuLevel level : cpu_probe().available)
      for (DType type : kTypes) {
        Context one = context(level, 1), two = context(level, 2), three = context(level, 3);
        Batch all(s, type, {5, 700, 256, 1}), again(s, type, {5, 700, 256, 1});
        all.run(two);
        again.run(three);
        QVERIFY(test::same_bits(all.o, again.o));
        for (size_t i = 0; i < 4; ++i) {
          Tensor o = Tensor::zeros(all.q.shape());
          attention_step(one, {.q = all.q, .texts = {all.steps[i]}, .o = o, .shape = s});
          const auto at = static_cast<int64_t>(i);
          QVERIFY(test::same_bits(o.slice(at, at + 1), all.o.slice(at, at + 1)));
          for (int64_t r = 0; r < 4; ++r)
            if (r != at) QCOMPARE(max_abs_difference(o.slice(r, r + 1), Tensor::zeros({1, o.width()})), 0.0);
        }
      }
  }
  void agreesWithThePromptsAttention() {
    const AttentionShape s = shape_of(6, 2, 32);
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Batch b(s, DType::f32, {301});
      b.run(cx);
      Tensor o = Tensor::empty({1, s.heads * s.head_dim});
      attention_cached(cx, {.q = b.q, .keys = b.texts[0].keys.rows, .values = b.texts[0].values.rows, .o = o, .past = 300, .shape = s});
      VERIFY_SMALL(relative_l2(b.o, o), 3e-6);
    }
  }
  void wrongArgumentsAreRefused() {
    Context cx = context(cpu_probe().best);
    const AttentionShape s = shape_of(4, 2, 8);
    Batch b(s, DType::bf16, {5});
    const auto with = [&](AttentionStepText t) { b.steps = {t}; b.run(cx); };
    const AttentionStepText right = b.steps[0];
    VERIFY_THROWS(with({1, right.keys, right.values, 5}), ShapeError, "row 1");
    VERIFY_THROWS(with({0, right.keys, right.values, 0}), ShapeError, "0 positions");
    VERIFY_THROWS(with({0, right.keys, right.values, 9}), ShapeError, "9 positions");
    const KvStore other = KvStore::make(8, 2, 8, DType::f32), narrow = KvStore::make(8, 1, 8, DType::bf16);
    VERIFY_THROWS(with({0, right.keys, &other, 5}), DTypeError, "keys and values both");
    VERIFY_THROWS(with({0, &narrow, right.values, 5}), ShapeError, "of width 8");
    b.steps = {right};
    b.s.kv_heads = 3;
    VERIFY_THROWS(b.run(cx), ShapeError, "over 3 key/value heads");
    VERIFY_THROWS(KvStore::make(4, 1, 8, DType::f16), DTypeError, "f16");
    KvStore store = KvStore::make(4, 2, 8, DType::i8);
    VERIFY_THROWS(kv_append(cx, store, 2, random_tensor({3, 16}, 1)), ShapeError, "at row 2");
    VERIFY_THROWS(kv_append(cx, store, 0, random_tensor({1, 15}, 1)), ShapeError, "kv_append");
    VERIFY_THROWS(kv_append(cx, store, 0, random_tensor({1, 16}, 1, DType::f64)), DTypeError, "wanted f32");
    Tensor wide = random_tensor({1, 32}, 1, DType::f64), o = Tensor::empty({1, 32}, DType::f64);
    VERIFY_THROWS(attention_step(cx, {.q = wide, .texts = b.steps, .o = o, .shape = s}), DTypeError, "wanted f32");
  }
};

LORIKEET_TEST_MAIN(AttentionStepTest)
#include "attention_step_test.moc"
