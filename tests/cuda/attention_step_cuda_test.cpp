// The CUDA twin of attention_step against the CPU op.
#include <cmath>

#include "core/ops/attention_step.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr int64_t kCapacity = 400;

struct Setting {
  int64_t heads, kv_heads, head_dim;
  DType type = DType::f32;
  int64_t window = 0;
  double soft_cap = 0;
  std::vector<int64_t> lengths = {1, 2, 33, 127, 128, 129, 300};

  AttentionShape shape() const { return {heads, kv_heads, head_dim, 1 / std::sqrt(static_cast<double>(head_dim)), window, soft_cap}; }
};

/// Keys or values of one text on the host and on the device; those behind its length are NaN there, in the emulation.
struct Store {
  KvStore host, there;
  Store(const Setting& c, int64_t length, uint64_t seed, double scale) {
    host = KvStore::make(kCapacity, c.kv_heads, c.head_dim, c.type);
    Context cx(1);
    kv_append(cx, host, 0, random_tensor({length, c.kv_heads * c.head_dim}, seed, DType::f32, scale));
    there.rows = gpu_empty(host.rows.shape(), c.type);
    there.rows.slice(0, length).copy_from(host.rows.slice(0, length));
    if (!host.scales.defined()) return;
    there.scales = gpu_empty(host.scales.shape());
    there.scales.slice(0, length).copy_from(host.scales.slice(0, length));
  }
};

}  // namespace

class AttentionStepCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};
  double worst_ = 0;

  struct Texts {
    std::vector<Store> keys, values;
    explicit Texts(const Setting& c) {
      for (size_t i = 0; i < c.lengths.size(); ++i) {
        keys.emplace_back(c, c.lengths[i], 10 + i, 2);
        values.emplace_back(c, c.lengths[i], 50 + i, 1);
      }
    }
  };
  Tensor on_host(const Setting& c, const Texts& t, const Tensor& q) {
    std::vector<AttentionStepText> texts;
    for (size_t i = 0; i < t.keys.size(); ++i) texts.push_back({static_cast<int64_t>(i), &t.keys[i].host, &t.values[i].host, c.lengths[i]});
    Tensor o = Tensor::empty(q.shape());
    attention_step(cpu_, {q, texts, o, c.shape()});
    return o;
  }
  Tensor on_device(const Setting& c, const Texts& t, const Tensor& q) {
    std::vector<AttentionStepText> texts;
    for (size_t i = 0; i < t.keys.size(); ++i) texts.push_back({static_cast<int64_t>(i), &t.keys[i].there, &t.values[i].there, c.lengths[i]});
    const Tensor there = on_gpu(q);
    Tensor o = gpu_empty(q.shape());
    attention_step(gpu_, {there, texts, o, c.shape()});
    return on_cpu(o);
  }
  static Tensor queries(const Setting& c) { return random_tensor({static_cast<int64_t>(c.lengths.size()), c.heads * c.head_dim}, 1, DType::f32, 2); }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }
  void cleanupTestCase() { qInfo("largest error %.2g", worst_); }

  void equalsTheCpuOp_data() {
    QTest::addColumn<int>("type");
    for (const DType type : {DType::f32, DType::bf16, DType::i8}) QTest::addRow("%s", std::string(dtype_name(type)).c_str()) << static_cast<int>(type);
  }
  void equalsTheCpuOp() {
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    for (const Setting& c : {Setting{4, 4, 32, t}, {6, 2, 64, t, 40, 0}, {4, 1, 80, t, 0, 1.5}, {10, 1, 31, t},
                             {2, 1, 128, t, 200, 2, {1, 7, 250}}, {1, 1, 256, t, 0, 0, {3, 130}}}) {
      const Texts texts(c);
      const Tensor q = queries(c), wanted = on_host(c, texts, q), got = on_device(c, texts, q);
      const double error = relative_l2(got, wanted);
      worst_ = std::max(worst_, error);
      QVERIFY2(error < 2e-6, qPrintable(QString("width %1: %2").arg(c.head_dim).arg(error)));
    }
  }

  void aTextHasTheSameBitsWhateverStandsBesideIt() {
    const Setting c{4, 2, 64, DType::bf16}, alone{4, 2, 64, DType::bf16, 0, 0, {300}};
    const Texts texts(c), one(alone);
    Setting last = c;
    Texts other(c);
    last.lengths[1] = 300;
    other.keys[1] = one.keys[0];
    other.values[1] = one.values[0];
    const Tensor q = queries(c);
    Tensor same = q.clone();
    same.slice(1, 2).copy_from(q.slice(0, 1));
    const Tensor a = on_device(alone, one, q.slice(0, 1)), b = on_device(last, other, same);
    QCOMPARE(max_abs_difference(a, b.slice(1, 2)), 0.0);
  }

  void manyTextsOfSeveralTypesAndRowsInAnyOrder() {
    const Setting wide{2, 1, 32, DType::f32, 0, 0, std::vector<int64_t>(90, 5)};
    Texts texts(wide);
    Setting narrow = wide;
    narrow.type = DType::i8;
    for (size_t i = 30; i < 40; ++i) {
      texts.keys[i] = Store(narrow, 5, 200 + i, 2);
      texts.values[i] = Store(narrow, 5, 300 + i, 1);
    }
    std::vector<AttentionStepText> host, there;
    for (size_t i = 0; i < 90; ++i) {
      const auto row = static_cast<int64_t>(90 - i);
      host.push_back({row, &texts.keys[i].host, &texts.values[i].host, 5});
      there.push_back({row, &texts.keys[i].there, &texts.values[i].there, 5});
    }
    const Tensor q = random_tensor({91, 64}, 1, DType::f32, 2), q_there = on_gpu(q);
    Tensor wanted = Tensor::zeros(q.shape()), got = Tensor::zeros(q.shape(), DType::f32, DeviceType::cuda);
    attention_step(cpu_, {q, host, wanted, wide.shape()});
    attention_step(gpu_, {q_there, there, got, wide.shape()});
    QVERIFY(relative_l2(on_cpu(got), wanted) < 2e-6);
    QCOMPARE(max_abs_difference(on_cpu(got).slice(0, 1), wanted.slice(0, 1)), 0.0);  // no text: left alone
  }

  void stridedCachesAndNoTexts() {
    const Setting c{2, 2, 16, DType::f32, 0, 0, {9}};
    Texts texts(c);
    const Tensor q = queries(c), wanted = on_host(c, texts, q);
    for (Store* s : {&texts.keys[0], &texts.values[0]}) s->there.rows = gpu_strided(s->host.rows, 3, 2);
    QVERIFY(relative_l2(on_device(c, texts, q), wanted) < 2e-6);
    Tensor none = gpu_empty(q.shape());
    attention_step(gpu_, {on_gpu(q), {}, none, c.shape()});
  }

  void givesTheSameBitsEveryTime() {
    const Setting c{6, 2, 64, DType::i8};
    const Texts texts(c);
    const Tensor q = queries(c);
    QCOMPARE(max_abs_difference(on_device(c, texts, q), on_device(c, texts, q)), 0.0);
  }
};

LORIKEET_TEST_MAIN(AttentionStepCudaTest)
#include "attention_step_cuda_test.moc"
