#include "core/models/model.h"

#include <cmath>

#include "core/base/error.h"
#include "core/ops/cpu_kernels.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

double dot(const Tensor& a, const Tensor& b) {
  double s = 0;
  for (int64_t i = 0; i < a.size(); ++i) s += a.data<double>()[i] * b.data<double>()[i];
  return s;
}

ModelConfig with_biases() {
  ModelConfig c = tiny_config();
  c.tied_head = false;
  c.attention_bias = c.mlp_bias = true;
  c.rope = {"llama3", 4, 1, 4, 32, {}};
  return c;
}

}  // namespace

class LlamaTest : public QObject {
  Q_OBJECT
  Context cx_{2};
  const TokenBatch batch_ = random_batch({7, 1, 12, 5}, tiny_config().vocab_size, 3);

  struct Pass {
    double loss;
    Tensor hidden;
    std::vector<Tensor> gradients;
  };
  Pass pass(Model& model, CheckpointPolicy policy, uint64_t seed = 1, int64_t tile = kMlpTile) {
    clear_gradients(model);
    Pass out;
    out.loss = loss_and_gradients(cx_, model, batch_, policy, seed, tile);
    for (const Var& v : adapter_vars(model)) out.gradients.push_back(v->grad.clone());
    Tape tape(cx_, false);
    out.hidden = model.forward(tape, batch_, {policy, true, seed, tile})->value;
    return out;
  }
  Tensor hidden_of(Model& model, const TokenBatch& batch) {
    Tape tape(cx_, false);
    return model.forward(tape, batch, {})->value;
  }

 private slots:
  void initTestCase() { register_cpu_kernels(); }

  // The whole model in f64: every adapter tensor's gradient along a random direction against central differences.
  void gradientsMatchFiniteDifferences_data() {
    QTest::addColumn<bool>("biases");
    QTest::addColumn<bool>("checkpointing");
    QTest::addColumn<double>("dropout");
    QTest::addColumn<QList<int>>("places");
    QTest::newRow("tied, GQA") << false << false << 0.0 << QList<int>{};
    QTest::newRow("untied, biases, llama3, dropout") << true << false << 0.3 << QList<int>{};
    QTest::newRow("checkpointing") << true << true << 0.3 << QList<int>{};
    QTest::newRow("only v and down") << false << false << 0.0 << QList<int>{2, 6};
    QTest::newRow("only o") << false << true << 0.0 << QList<int>{3};
  }
  void gradientsMatchFiniteDifferences() {
    QFETCH(bool, biases);
    QFETCH(bool, checkpointing);
    QFETCH(double, dropout);
    QFETCH(QList<int>, places);
    const auto model = make_tiny(biases ? with_biases() : tiny_config(), 11, DType::f64);
    attach_random(*model, 2, 77, DType::f64, dropout, {places.begin(), places.end()});
    const auto policy = checkpointing ? CheckpointPolicy::full : CheckpointPolicy::none;
    loss_and_gradients(cx_, *model, batch_, policy, 9);
    std::vector<Tensor> gradients;
    for (const Var& v : adapter_vars(*model)) gradients.push_back(v->grad.clone());
    const auto loss = [&] {
      Tape tape(cx_, false);
      const Targets targets = target_rows(batch_);
      const Tensor hidden = model->forward(tape, batch_, {policy, true, 9})->value;
      return head_loss(cx_, model->head(), hidden, targets, false, 0).loss_sum / static_cast<double>(targets.count());
    };
    const auto vars = adapter_vars(*model);
    for (size_t i = 0; i < vars.size(); ++i) {
      const Tensor original = vars[i]->value, direction = random_tensor(original.shape(), 7 + i, DType::f64);
      double sides[2];
      for (int side = 0; side < 2; ++side) {
        vars[i]->value = original.clone();
        for (int64_t k = 0; k < original.size(); ++k)
          vars[i]->value.data<double>()[k] += (side ? -1e-6 : 1e-6) * direction.data<double>()[k];
        sides[side] = loss();
      }
      vars[i]->value = original;
      const double numeric = (sides[0] - sides[1]) / 2e-6, analytic = dot(gradients[i], direction);
      QVERIFY2(std::abs(numeric - analytic) <= 1e-6 * std::max(0.01, std::abs(numeric)),
               qPrintable(QString("parameter %1: numeric %2 analytic %3")
                              .arg(i)
                              .arg(numeric, 0, 'g', 12)
                              .arg(analytic, 0, 'g', 12)));
    }
  }
  void checkpointingChangesNoBit() {
    for (double dropout : {0.0, 0.3}) {
      const auto model = make_tiny(with_biases(), 12);
      attach_random(*model, 3, 5, DType::f32, dropout);
      const Pass plain = pass(*model, CheckpointPolicy::none), checkpointed = pass(*model, CheckpointPolicy::full);
      QCOMPARE(checkpointed.loss, plain.loss);
      QVERIFY(same_bits(checkpointed.hidden, plain.hidden));
      for (size_t i = 0; i < plain.gradients.size(); ++i)
        QVERIFY(same_bits(checkpointed.gradients[i], plain.gradients[i]));
    }
  }
  // The MLP of 25 tokens in several tiles, the last one short, and in one.
  void tilesOfTheMlpGiveTheSameGradients_data() {
    QTest::addColumn<double>("dropout");
    QTest::addColumn<QList<int>>("places");
    QTest::newRow("all") << 0.0 << QList<int>{};
    QTest::newRow("all, dropout") << 0.3 << QList<int>{};
    QTest::newRow("only gate, dropout") << 0.3 << QList<int>{4};
    QTest::newRow("only down") << 0.0 << QList<int>{6};
    QTest::newRow("only q") << 0.3 << QList<int>{0};
  }
  void tilesOfTheMlpGiveTheSameGradients() {
    QFETCH(double, dropout);
    QFETCH(QList<int>, places);
    for (const bool exact : {false, true}) {
      const DType type = exact ? DType::f64 : DType::f32;
      const auto model = make_tiny(with_biases(), 12, type);
      attach_random(*model, 3, 5, type, dropout, {places.begin(), places.end()});
      const Pass plain = pass(*model, CheckpointPolicy::none);
      const double bound = exact ? 1e-13 : 2e-6;
      for (const CheckpointPolicy policy : {CheckpointPolicy::full, CheckpointPolicy::offload})
        for (const int64_t tile : {4, 5, 16, 24}) {
          const Pass tiled = pass(*model, policy, 1, tile), again = pass(*model, policy, 1, tile);
          QVERIFY(std::abs(tiled.loss - plain.loss) <= bound * plain.loss);
          QVERIFY(relative_l2(tiled.hidden, plain.hidden) <= bound);
          QCOMPARE(tiled.gradients.size(), plain.gradients.size());
          for (size_t i = 0; i < plain.gradients.size(); ++i) {
            const double error = relative_l2(tiled.gradients[i], plain.gradients[i]);
            QVERIFY2(error <= bound, qPrintable(QString("tile %1, gradient %2: %3").arg(tile).arg(i).arg(error)));
            QVERIFY(same_bits(again.gradients[i], tiled.gradients[i]));
          }
        }
      const Pass one = pass(*model, CheckpointPolicy::full, 1, batch_.tokens());
      for (size_t i = 0; i < plain.gradients.size(); ++i) QVERIFY(same_bits(one.gradients[i], plain.gradients[i]));
    }
  }
  void dropoutFollowsItsSeed() {
    const auto model = make_tiny(tiny_config(), 12);
    attach_random(*model, 3, 5, DType::f32, 0.3);
    const Pass one = pass(*model, CheckpointPolicy::none, 1), again = pass(*model, CheckpointPolicy::none, 1);
    const Pass two = pass(*model, CheckpointPolicy::none, 2);
    QCOMPARE(again.loss, one.loss);
    QVERIFY(same_bits(again.hidden, one.hidden));
    QVERIFY(two.loss != one.loss);
  }
  void packedDocumentsDoNotSeeEachOther() {
    const auto model = make_tiny(with_biases(), 13);
    attach_random(*model, 3, 5);
    clear_gradients(*model);
    const double packed =
        loss_and_gradients(cx_, *model, batch_, CheckpointPolicy::none) * static_cast<double>(batch_.target_tokens());
    std::vector<Tensor> packed_gradients;
    for (const Var& v : adapter_vars(*model)) packed_gradients.push_back(v->grad.clone());
    const Tensor hidden = hidden_of(*model, batch_);
    std::vector<Tensor> sums;
    for (const Tensor& g : packed_gradients) sums.push_back(Tensor::zeros(g.shape()));
    double separate = 0;
    for (size_t d = 0; d + 1 < batch_.document_starts.size(); ++d) {
      const TokenBatch one = document(batch_, d);
      const Tensor part = hidden.slice(batch_.document_starts[d], batch_.document_starts[d + 1]).clone();
      QVERIFY(relative_l2(hidden_of(*model, one), part) < 1e-6);
      if (one.target_tokens() == 0) continue;
      clear_gradients(*model);
      const double share = static_cast<double>(one.target_tokens()) / static_cast<double>(batch_.target_tokens());
      separate +=
          loss_and_gradients(cx_, *model, one, CheckpointPolicy::none) * static_cast<double>(one.target_tokens());
      const auto vars = adapter_vars(*model);
      for (size_t i = 0; i < vars.size(); ++i)
        for (int64_t k = 0; k < sums[i].size(); ++k)
          sums[i].data<float>()[k] += static_cast<float>(share) * vars[i]->grad.data<float>()[k];
    }
    QVERIFY(std::abs(packed - separate) < 1e-6 * packed);
    for (size_t i = 0; i < sums.size(); ++i) QVERIFY(relative_l2(sums[i], packed_gradients[i]) < 1e-5);
  }
  void generationEqualsForward() {
    const auto model = make_tiny(with_biases(), 14);
    attach_random(*model, 3, 5);
    const std::vector<int> lengths = {9, 4, 13};
    const TokenBatch batch = random_batch(lengths, tiny_config().vocab_size, 8);
    const Tensor whole = hidden_of(*model, batch);
    // Prefill parts of different length, then tokens one by one; the short sequences finish early.
    std::vector<KvCache> caches;
    for (int length : lengths) caches.push_back(model->make_cache(length));
    std::vector<int> done(lengths.size(), 0);
    for (int round = 0; round < 13; ++round) {
      std::vector<std::vector<int32_t>> ids;
      std::vector<KvCache*> used;
      std::vector<size_t> which;
      for (size_t i = 0; i < lengths.size(); ++i) {
        const int begin = done[i], end = std::min(lengths[i], begin + (round == 0 ? static_cast<int>(i) + 2 : 1));
        if (begin == end) continue;
        const auto first = batch.ids.begin() + batch.document_starts[i];
        ids.emplace_back(first + begin, first + end);
        used.push_back(&caches[i]);
        which.push_back(i);
        done[i] = end;
      }
      if (ids.empty()) break;
      const Tensor last = model->forward_cached(cx_, ids, used);
      for (size_t n = 0; n < which.size(); ++n) {
        const int64_t row = batch.document_starts[which[n]] + done[which[n]] - 1;
        const auto at = static_cast<int64_t>(n);
        QVERIFY(relative_l2(last.slice(at, at + 1).clone(), whole.slice(row, row + 1).clone()) < 1e-5);
      }
    }
    for (size_t i = 0; i < lengths.size(); ++i) QCOMPARE(caches[i].length, int64_t{lengths[i]});
    VERIFY_THROWS(model->forward_cached(cx_, {{1}}, {&caches[0]}), RunError, "room was made for 9");
    VERIFY_THROWS(model->forward_cached(cx_, {{}}, {&caches[0]}), ShapeError, "no new token");
  }
  void logitsUseTheHead() {
    const auto model = make_tiny(with_biases(), 15);
    const Tensor hidden = hidden_of(*model, batch_), logits = logits_of(cx_, *model, hidden);
    QVERIFY((logits.shape() == Shape{batch_.tokens(), with_biases().vocab_size}));
    double wanted = 0;
    for (int64_t c = 0; c < hidden.width(); ++c)
      wanted += static_cast<double>(hidden.row<float>(4)[c]) *
                static_cast<double>(model->head().plain_f32()[9 * hidden.width() + c]);
    QVERIFY(std::abs(static_cast<double>(logits.row<float>(4)[9]) - wanted) < 1e-4);
  }
  void zeroBLeavesTheBaseBitForBit() {
    const auto base = make_tiny(tiny_config(), 16), tuned = make_tiny(tiny_config(), 16);
    attach_random(*tuned, 4, 5);
    for (Linear* linear : tuned->linears()) linear->adapter()->b->value.fill(0);
    QVERIFY(same_bits(hidden_of(*tuned, batch_), hidden_of(*base, batch_)));
  }
  void weightBytesCountATiedHeadOnce() {
    ModelConfig c = tiny_config();
    QCOMPARE(make_tiny(c, 1)->weight_bytes(DeviceType::cpu), static_cast<uint64_t>(c.parameter_count()) * 4);
    c = with_biases();
    QCOMPARE(make_tiny(c, 1)->weight_bytes(DeviceType::cpu), static_cast<uint64_t>(c.parameter_count()) * 4);
  }
  void refusesBatchesThatDoNotFitTogether() {
    const auto model = make_tiny(tiny_config(), 1);
    TokenBatch batch = batch_;
    batch.positions.pop_back();
    VERIFY_THROWS(hidden_of(*model, batch), ShapeError, "does not fit together");
    batch = batch_;
    batch.document_starts.back() += 1;
    VERIFY_THROWS(hidden_of(*model, batch), ShapeError, "does not fit together");
    VERIFY_THROWS(hidden_of(*model, TokenBatch{}), ShapeError, "0 ids");
  }
  void stopsWhileLoading() {
    std::stop_source stop;
    stop.request_stop();
    MapSource source(random_weights(tiny_config(), 1));
    VERIFY_THROWS(models().get("LlamaForCausalLM")(tiny_config(), source, stop.get_token()), Interrupted, "loading");
  }
};

LORIKEET_TEST_MAIN(LlamaTest)
#include "llama_test.moc"
