/// Generation against caches on a small random model: many texts at once give what each gives alone, bit for bit; the
/// cache's types keep near the f32 cache; where a prompt is cut changes next to nothing.
#include "core/base/error.h"
#include "core/ops/cpu_kernels.h"
#include "core/ops/few_rows.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

// Widths that the kernels for stored forms take, with an NF4 base.
ModelConfig wide_config() {
  ModelConfig c = tiny_config();
  c.hidden_size = 64;
  c.intermediate_size = 96;
  c.head_dim = 16;
  c.max_positions = 2048;
  return c;
}

std::unique_ptr<Model> make_model(const ModelConfig& c, const std::string& format) {
  MapSource source(random_weights(c, 3));
  source.format = format;
  auto model = models().get(c.architecture)(c, source, {});
  attach_random(*model, 3, 5);
  return model;
}

std::vector<int32_t> ids_of(int64_t n, uint64_t seed) {
  const TokenBatch b = random_batch({static_cast<int>(n)}, wide_config().vocab_size, seed);
  return b.ids;
}

struct Text {
  std::vector<int32_t> prompt, rest;  // rest: fed one by one after the prompt
  KvCache cache;
};

std::vector<Text> texts_of(const Model& model, size_t count, DType type) {
  std::vector<Text> out;
  for (size_t i = 0; i < count; ++i) {
    Text t{ids_of(3 + static_cast<int64_t>(i * 5 % 23), i), ids_of(2 + static_cast<int64_t>(i % 6), 100 + i), {}};
    t.cache = model.make_cache(static_cast<int64_t>(t.prompt.size() + t.rest.size()), type);
    out.push_back(std::move(t));
  }
  return out;
}

// The hidden state after each token of `rest`, one text after another.
std::vector<Tensor> alone(Context& cx, Model& model, std::vector<Text> texts) {
  std::vector<Tensor> out;
  for (Text& t : texts) {
    (void)model.forward_cached(cx, {t.prompt}, {&t.cache});
    for (int32_t id : t.rest) out.push_back(model.forward_cached(cx, {{id}}, {&t.cache}));
  }
  return out;
}

// The same with all unfinished texts in one step; finished ones drop out.
std::vector<Tensor> together(Context& cx, Model& model, std::vector<Text> texts) {
  for (Text& t : texts) (void)model.forward_cached(cx, {t.prompt}, {&t.cache});
  std::vector<std::vector<Tensor>> made(texts.size());
  for (size_t step = 0;; ++step) {
    std::vector<std::vector<int32_t>> ids;
    std::vector<KvCache*> caches;
    std::vector<size_t> which;
    for (size_t i = 0; i < texts.size(); ++i)
      if (step < texts[i].rest.size()) ids.push_back({texts[i].rest[step]}), caches.push_back(&texts[i].cache), which.push_back(i);
    if (ids.empty()) break;
    const Tensor hidden = model.forward_cached(cx, ids, caches);
    for (size_t n = 0; n < which.size(); ++n) made[which[n]].push_back(hidden.slice(static_cast<int64_t>(n), static_cast<int64_t>(n) + 1).clone());
  }
  std::vector<Tensor> out;
  for (const auto& m : made) out.insert(out.end(), m.begin(), m.end());
  return out;
}

}  // namespace

class GenerationTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void togetherEqualsAloneBitForBit() {
    for (CpuLevel level : cpu_probe().available)
      for (ComputeType compute : {ComputeType::f32, ComputeType::bf16})
        for (const char* format : {"nf4", "int3"}) {
          const auto model = make_model(wide_config(), format);
          Context one(1), two(2);
          for (Context* cx : {&one, &two}) cx->set_level(level), cx->set_compute(compute);
          // More than the linears take at once, too.
          for (size_t count : {size_t{2}, size_t{5}, static_cast<size_t>(ops::kMostFewRows) + 4})
            for (DType type : {DType::f32, DType::bf16, DType::i8}) {
              const auto a = alone(one, *model, texts_of(*model, count, type)), b = together(two, *model, texts_of(*model, count, type));
              QCOMPARE(a.size(), b.size());
              for (size_t i = 0; i < a.size(); ++i) QVERIFY(test::same_bits(a[i], b[i]));
            }
        }
  }
  void cachesOfFewBitsKeepNearTheF32Cache() {
    Context cx;
    const auto model = make_model(wide_config(), "nf4");
    const auto exact = alone(cx, *model, texts_of(*model, 12, DType::f32));
    for (const auto& [type, bound] : {std::pair{DType::bf16, 1e-2}, std::pair{DType::i8, 3e-2}}) {
      const auto rounded = alone(cx, *model, texts_of(*model, 12, type));
      double worst = 0;
      for (size_t i = 0; i < exact.size(); ++i) worst = std::max(worst, relative_l2(rounded[i], exact[i]));
      QVERIFY2(worst > 0 && worst < bound, qPrintable(QString::number(worst)));
    }
  }
  void whereAPromptIsCutDoesNotMatter() {
    Context cx;
    const auto model = make_model(wide_config(), "nf4");
    const std::vector<int32_t> ids = ids_of(1100, 9);
    const auto read = [&](DType type, size_t piece) {
      KvCache cache = model->make_cache(1200, type);
      Tensor hidden;
      for (size_t at = 0; at < ids.size(); at += piece) {
        const size_t end = std::min(ids.size(), at + piece);
        hidden = model->forward_cached(cx, {{ids.begin() + static_cast<std::ptrdiff_t>(at), ids.begin() + static_cast<std::ptrdiff_t>(end)}}, {&cache});
      }
      return model->forward_cached(cx, {{7}}, {&cache});
    };
    // A cache of fewer bits rounds what is computed: a last bit's difference before may cross a rounding threshold.
    for (const auto& [type, bound] : {std::pair{DType::f32, 1e-5}, std::pair{DType::bf16, 2e-3}, std::pair{DType::i8, 1e-2}}) {
      const Tensor whole = read(type, ids.size());
      QVERIFY(relative_l2(read(type, 512), whole) < bound);
      QVERIFY(relative_l2(read(type, 13), whole) < bound);
    }
  }
  void memoryIsThatOfTheType() {
    const ModelConfig c = wide_config();
    const auto model = make_model(c, "nf4");
    const auto elements = static_cast<uint64_t>(2 * c.layers * c.kv_heads * c.head_dim);
    QCOMPARE(model->make_cache(100, DType::f32).bytes(), 100 * elements * 4);
    QCOMPARE(model->make_cache(100, DType::bf16).bytes(), 100 * elements * 2);
    QCOMPARE(model->make_cache(100, DType::i8).bytes(), 100 * (elements + static_cast<uint64_t>(2 * c.layers * c.kv_heads * 4)));
  }
};

LORIKEET_TEST_MAIN(GenerationTest)
#include "generation_test.moc"
