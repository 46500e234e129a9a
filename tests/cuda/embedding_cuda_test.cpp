// The embedding table on the host beside a model on the device: the same bits as from a table on the device.
#include "core/ops/embedding.h"

#include <cmath>
#include <cstring>

#include "core/base/error.h"
#include "core/methods/method.h"
#include "core/models/weights_on.h"
#include "core/ops/weight_on.h"
#include "core/train/trainer.h"
#include "tests/core/models/tiny_model.h"
#include "tests/core/quant/every_weight.h"
#include "tests/cuda/cuda_support.h"
#include "tests/support/plain_weight.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

/// Values that are no blocks of a stored type.
class OfItsOwnKind final : public FrozenWeight {
 public:
  explicit OfItsOwnKind(const FrozenWeight& w) : FrozenWeight(w.rows(), w.columns()), inner_(w) {}
  std::string_view format() const override { return "of its own kind"; }
  uint64_t bytes() const override { return inner_.bytes(); }
  void decode_rows(int64_t row, int64_t count, float* out, int64_t out_stride) const override { inner_.decode_rows(row, count, out, out_stride); }

 private:
  const FrozenWeight& inner_;
};

/// A model whose head is a matrix of its own, and its table, in a format, on the host or on the device.
struct Run {
  Context cx{2, DeviceType::cuda};
  std::unique_ptr<Model> model;
  std::vector<NamedParameter> parameters;

  class Source final : public WeightSource {
   public:
    Source(const ModelConfig& config, std::string table) : inner_(random_weights(config, 5)), table_(std::move(table)) { inner_.format = "nf4"; }
    bool has(const std::string& name) const override { return inner_.has(name); }
    FrozenWeightPtr matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) override {
      FrozenWeightPtr w = inner_.matrix(name, rows, columns, quantise);
      if (name != kEmbeddingTable) return w;
      std::vector<float> values(static_cast<size_t>(rows * columns));
      w->decode_rows(0, rows, values.data(), columns);
      return encoded(host_, table_.c_str(), values, rows);
    }
    Tensor vector(const std::string& name, int64_t size) override { return inner_.vector(name, size); }

   private:
    Context host_{2};
    MapSource inner_;
    std::string table_;
  };

  static ModelConfig config() {
    ModelConfig c = tiny_config();
    c.tied_head = false;
    return c;
  }
  Run(uint64_t host_table, const std::string& table) {
    cx.set_compute(ComputeType::bf16);
    Source source(config(), table);
    WeightsOn on_device(source, DeviceType::cuda, host_table);
    model = models().get("LlamaForCausalLM")(config(), on_device, {});
  }
  std::vector<double> losses(int steps) {
    AdapterSpec spec;
    spec.rank = 4;
    spec.target_modules = {"all-linear"};
    const Method& lora = *methods().get("lora");
    lora.attach(*model, spec);
    parameters = lora.parameters(*model);
    for (size_t i = 0; i < parameters.size(); ++i) parameters[i].var->value.copy_from(random_tensor(parameters[i].var->value.shape(), 100 + i, DType::f32, 0.05));
    const auto optimizer = optimizers().get("adamw").make(parameters, {});
    Trainer trainer(cx, *model, parameters, *optimizer, {1, CheckpointPolicy::norms_swiglu, 7, false});  // not recorded: that fills batches up
    std::vector<double> out;
    for (int k = 0; k < steps; ++k) out.push_back(trainer.train_step({random_batch({7, 1, 5}, 61, static_cast<uint64_t>(k)), random_batch({6}, 61, 60)}, 2e-3, k, {}).loss);
    return out;
  }
};

}  // namespace

class EmbeddingCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{3, DeviceType::cuda};

  static bool same(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0; }
  static Tensor ids(int64_t count, int64_t rows) {
    std::vector<int32_t> v;
    for (int64_t i = 0; i < count; ++i) v.push_back(static_cast<int32_t>(i * i * 7 % rows));
    return Tensor::from(v, {count});
  }
  Tensor gathered(const FrozenWeight& table, const Tensor& list, bool gaps) {
    const Shape shape{list.size(), table.columns()};
    Tensor y = gaps ? gpu_strided(Tensor::zeros(shape), 3, 2) : gpu_empty(shape);
    embedding(gpu_, {table, list.on(table.device()), y});
    return on_cpu(y);
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void aTableOnTheHostGivesTheSameBits_data() {
    QTest::addColumn<int>("tokens");
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("columns");
    for (const auto& [tokens, rows, columns] : {std::tuple{1, 1, 1}, {33, 50, 31}, {7, 9, 96}, {70, 40, 257}, {40, 300, 256}}) QTest::addRow("%d of %d x %d", tokens, rows, columns) << tokens << rows << columns;
  }
  void aTableOnTheHostGivesTheSameBits() {
    QFETCH(int, tokens);
    QFETCH(int, rows);
    QFETCH(int, columns);
    const Tensor list = ids(tokens, rows);
    for (const Named& n : all_weights(cpu_, rows, columns)) {
      const FrozenWeightPtr there = weight_on(DeviceType::cuda, n.weight);
      Tensor wanted = Tensor::empty({tokens, columns});
      embedding(cpu_, {*n.weight, list, wanted});
      for (const bool gaps : {false, true}) {
        const Tensor got = gathered(*n.weight, list, gaps);
        QVERIFY2(same(got, wanted) && same(got, gathered(*there, list, gaps)), n.name.c_str());
      }
      const OfItsOwnKind other(*n.weight);
      QVERIFY2(same(gathered(other, list, false), wanted), n.name.c_str());
    }
  }

  void refusesWhatDoesNotFit() {
    const PlainWeight table(random_tensor({5, 3}, 1));
    const FrozenWeightPtr there = weight_on(DeviceType::cuda, std::make_shared<PlainWeight>(table.values()));
    const auto list = [](std::vector<int32_t> v) { return Tensor::from(v, {static_cast<int64_t>(v.size())}); };
    Tensor y = gpu_empty({2, 3}), wide = gpu_empty({2, 3}, DType::f64), here = Tensor::empty({2, 3}), none = gpu_empty({0, 3});
    VERIFY_THROWS(embedding(gpu_, {table, list({0, 5}), y}), ShapeError, "id 5 at token 1");
    VERIFY_THROWS(embedding(gpu_, {table, list({-1, 0}), y}), ShapeError, "id -1 at token 0");
    VERIFY_THROWS(embedding(gpu_, {table, list({0, 4}), wide}), UnsupportedError, "f64");
    VERIFY_THROWS(embedding(gpu_, {table, on_gpu(list({0, 4})), y}), UnsupportedError, "ids on cuda, the table on cpu");
    VERIFY_THROWS(embedding(gpu_, {*there, list({0, 4}), y}), UnsupportedError, "ids on cpu, the table on cuda");
    VERIFY_THROWS(embedding(cpu_, {*there, on_gpu(list({0, 4})), here}), UnsupportedError, "work on cpu");
    embedding(gpu_, {table, list({}), none});
  }

  void stepsAreTheSame_data() {
    QTest::addColumn<QString>("table");
    for (const char* name : {"f32", "bf16", "nf4"}) QTest::newRow(name) << name;
  }
  void stepsAreTheSame() {
    QFETCH(QString, table);
    Run device(kNoHostTable, table.toStdString()), host(0, table.toStdString());
    const uint64_t bytes = host.model->weight_bytes(DeviceType::cpu);
    QVERIFY(bytes > 0);
    QCOMPARE(device.model->weight_bytes(DeviceType::cpu), uint64_t{0});
    QCOMPARE(host.model->weight_bytes(DeviceType::cuda), device.model->weight_bytes(DeviceType::cuda) - bytes);
    const std::vector<double> wanted = device.losses(3), got = host.losses(3);
    QCOMPARE(got, wanted);
    QVERIFY(std::isfinite(wanted.back()) && wanted.back() != wanted.front());
    for (size_t i = 0; i < host.parameters.size(); ++i) QVERIFY(same(on_cpu(host.parameters[i].var->value), on_cpu(device.parameters[i].var->value)));
  }

  void generationIsTheSame() {
    Run device(kNoHostTable, "bf16"), host(0, "bf16");
    KvCache a = device.model->make_cache(20), b = host.model->make_cache(20);
    for (const std::vector<int32_t>& next : {std::vector<int32_t>{1, 60, 1, 7}, {5}, {60}}) {
      const Tensor wanted = device.model->forward_cached(device.cx, {next}, {&a}), got = host.model->forward_cached(host.cx, {next}, {&b});
      QVERIFY(same(on_cpu(got), on_cpu(wanted)));
    }
    VERIFY_THROWS(host.model->forward_cached(host.cx, {{61}}, {&b}), ShapeError, "id 61");
  }

  void onlyALargeTableOfItsOwnStays() {
    ModelConfig c = Run::config();
    QCOMPARE(host_table_from(c), uint64_t{64} << 20);
    c.tied_head = true;
    QCOMPARE(host_table_from(c), kNoHostTable);
    const uint64_t table = static_cast<uint64_t>(c.vocab_size * c.hidden_size) * 4;
    QCOMPARE(Run(table, "f32").model->weight_bytes(DeviceType::cpu), table);
    QCOMPARE(Run(table + 1, "f32").model->weight_bytes(DeviceType::cpu), uint64_t{0});
  }
};

LORIKEET_TEST_MAIN(EmbeddingCudaTest)
#include "embedding_cuda_test.moc"
