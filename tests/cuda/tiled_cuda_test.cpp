// Long batches on a card: the MLP of blocks that are run again in tiles, attention's gradients in groups of heads, and the
// memory both leave, against the closed form.
#include <cmath>

#include "core/methods/method.h"
#include "core/models/activation_bytes.h"
#include "core/models/weights_on.h"
#include "core/nn/head_loss.h"
#include "core/nn/layers.h"
#include "tests/core/models/tiny_model.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

/// A model with an adapter on a device.
struct OnDevice {
  Context cx;
  std::unique_ptr<Model> model;

  OnDevice(DeviceType device, const ModelConfig& config, ComputeType compute, int rank, double dropout = 0) : cx(2, device) {
    cx.set_compute(compute);
    MapSource source(random_weights(config, 5));
    source.format = "nf4";
    WeightsOn on_device(source, device);
    model = models().get("LlamaForCausalLM")(config, on_device, {});
    AdapterSpec spec;
    spec.rank = rank;
    spec.alpha = 2.0 * rank;
    spec.dropout = dropout;
    spec.target_modules = {"all-linear"};
    const Method& lora = *methods().get("lora");
    lora.attach(*model, spec);
    const auto parameters = lora.parameters(*model);
    for (size_t i = 0; i < parameters.size(); ++i)
      parameters[i].var->value.copy_from(random_tensor(parameters[i].var->value.shape(), 100 + i, DType::f32, 0.05));
  }
  std::vector<Tensor> gradients(const TokenBatch& batch, CheckpointPolicy policy, int64_t tile = kMlpTile) {
    clear_gradients(*model);
    loss_and_gradients(cx, *model, batch, policy, 3, tile);
    std::vector<Tensor> out;
    for (const Var& v : adapter_vars(*model)) out.push_back(on_cpu(v->grad).clone());
    return out;
  }
};

ModelConfig config_of(int64_t head_dim, int64_t layers) {
  ModelConfig c = tiny_config();
  c.head_dim = head_dim;
  c.layers = layers;
  c.attention_bias = c.mlp_bias = true;
  return c;
}

double error_of(const std::vector<Tensor>& found, const std::vector<Tensor>& wanted) {
  double worst = found.size() == wanted.size() ? 0 : HUGE_VAL;
  for (size_t i = 0; i < wanted.size(); ++i) worst = std::max(worst, relative_l2(found[i], wanted[i]));
  return worst;
}
bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!same_bits(a[i], b[i])) return false;
  return a.size() == b.size();
}

}  // namespace

class TiledCudaTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void gradientsAreThoseOfAllRowsAtOnce_data() {
    QTest::addColumn<bool>("rounded");
    QTest::addColumn<double>("dropout");
    for (const bool rounded : {false, true})
      for (const double dropout : {0.0, 0.3}) QTest::addRow("%s, dropout %g", rounded ? "bf16" : "f32", dropout) << rounded << dropout;
  }
  void gradientsAreThoseOfAllRowsAtOnce() {
    QFETCH(bool, rounded);
    QFETCH(double, dropout);
    const ComputeType compute = rounded ? ComputeType::bf16 : ComputeType::f32;
    const ModelConfig config = config_of(rounded ? 64 : 8, 2);
    const TokenBatch batch = random_batch({20, 1, 12}, config.vocab_size, 6);
    OnDevice card(DeviceType::cuda, config, compute, 6, dropout), host(DeviceType::cpu, config, compute, 6, dropout);
    const auto wanted = card.gradients(batch, CheckpointPolicy::none), on_host = host.gradients(batch, CheckpointPolicy::full, 5);
    for (const int64_t tile : {1, 16, 33}) {  // 1: more tiles than kGroupTiles
      const auto full = card.gradients(batch, CheckpointPolicy::full, tile), away = card.gradients(batch, CheckpointPolicy::offload, tile);
      QVERIFY(same(full, away));
      if (tile == 33) QVERIFY(same(full, wanted));
      const double error = error_of(full, wanted), to_host = error_of(full, on_host);
      qInfo("tile %d: %g from one piece, %g from the host", static_cast<int>(tile), error, to_host);
      QVERIFY2(error < (rounded ? 4e-2 : 2e-6), qPrintable(QString::number(error)));
      QVERIFY2(to_host < (rounded ? 4e-2 : 1e-5), qPrintable(QString::number(to_host)));
    }
  }

  // Rows of bf16: sums of a group round into the places of q and k, which the next group does not read.
  void groupsOfHeadsChangeNoBit_data() {
    QTest::addColumn<int>("head_dim");
    for (const int d : {24, 64}) QTest::addRow("heads of %d", d) << d;
  }
  void groupsOfHeadsChangeNoBit() {
    QFETCH(int, head_dim);
    const AttentionShape shape{8, 4, head_dim, 0.3};
    const Tensor starts = on_gpu(Tensor::from<int32_t>({0, 30, 41}, {3}));
    std::vector<int32_t> positions(41);
    for (int i = 0; i < 41; ++i) positions[static_cast<size_t>(i)] = i < 30 ? i : i - 30;
    const Rotation turn{on_gpu(Tensor::from<int32_t>(positions, {41})), on_gpu(random_tensor({30, head_dim}, 4)), DType::bf16};
    Context cx(2, DeviceType::cuda);
    const auto run = [&](int64_t groups) {
      Tape tape(cx, true);
      const Var q = make_leaf(on_gpu(random_tensor({41, 8 * head_dim}, 1)), true), k = make_leaf(on_gpu(random_tensor({41, 4 * head_dim}, 2)), true);
      const Var v = make_leaf(on_gpu(random_tensor({41, 4 * head_dim}, 3, DType::bf16)), true);
      const Var out = rotary_attention(tape, q, k, v, turn, starts, shape, groups);
      tape.backward(out, on_gpu(random_tensor({41, 8 * head_dim}, 5, DType::bf16)));
      return std::vector<Tensor>{on_cpu(q->grad), on_cpu(k->grad), on_cpu(v->grad)};
    };
    const auto wanted = run(1);
    QVERIFY(wanted[0].dtype() == DType::bf16 && wanted[2].dtype() == DType::f32);
    for (const int64_t groups : {2, 4}) QVERIFY(same(run(groups), wanted));
  }

  void memoryIsWhatTheClosedFormSays_data() {
    QTest::addColumn<QString>("policy");
    QTest::addColumn<bool>("rounded");
    QTest::addColumn<int>("tile");
    const auto row = [](const char* policy, bool rounded, int tile) {
      QTest::addRow("%s, %s, tile %d", policy, rounded ? "bf16" : "f32", tile) << QString(policy) << rounded << tile;
    };
    row("mlp", true, 60);
    for (const int tile : {60, 16, 3}) row("full", true, tile);
    for (const int tile : {16, 3}) row("offload", true, tile);
    row("offload", false, 16);
  }
  void memoryIsWhatTheClosedFormSays() {
    QFETCH(QString, policy);
    QFETCH(bool, rounded);
    QFETCH(int, tile);
    ModelConfig config = config_of(8, 3);
    config.hidden_size = 32;
    config.intermediate_size = 96;
    config.kv_heads = 4;
    const ComputeType compute = rounded ? ComputeType::bf16 : ComputeType::f32;
    const auto chosen = checkpoint_policy_from_name(policy.toStdString());
    const TokenBatch batch = random_batch({40, 20}, config.vocab_size, 6, 0.2);
    OnDevice card(DeviceType::cuda, config, compute, 4);
    loss_and_gradients(card.cx, *card.model, batch, chosen, 0, tile);  // scratch, tables and gradients stay behind
    const DeviceMemory& memory = device_memory(DeviceType::cuda);
    const uint64_t before = memory.statistics().live_bytes;
    memory.reset_peak();
    uint64_t saved = 0;
    {
      Tape tape(card.cx, true);
      Var hidden = card.model->forward(tape, batch, {chosen, true, 0, tile});
      Tensor value = hidden->value;
      Tape::forget(hidden);
      saved = memory.statistics().live_bytes - before - value.bytes();
      HeadLoss loss = head_loss(card.cx, card.model->head(), std::move(value), target_rows(batch), true, 1);
      tape.backward(hidden, std::move(loss.d_hidden));
    }
    const uint64_t peak = memory.statistics().peak_bytes - before;
    QCOMPARE(memory.statistics().live_bytes, before);
    const ActivationBytes formed = activation_bytes(config, std::vector<int64_t>(21, 4), chosen, compute, {batch.tokens(), 40, batch.target_tokens(), true, tile});
    const auto near = [](uint64_t measured, uint64_t wanted, double tolerance) { return std::abs(static_cast<double>(measured) / static_cast<double>(wanted) - 1) < tolerance; };
    const QString text = QString("saved %1 formed %2, peak %3 formed %4").arg(saved).arg(formed.saved).arg(peak).arg(formed.peak);
    qInfo("%s", qPrintable(text));
    QVERIFY2(near(saved, formed.saved, 0.02), qPrintable(text));
    QVERIFY2(near(peak, formed.peak, 0.03), qPrintable(text));
  }
};

LORIKEET_TEST_MAIN(TiledCudaTest)
#include "tiled_cuda_test.moc"
