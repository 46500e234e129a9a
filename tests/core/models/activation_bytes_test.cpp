#include "core/models/activation_bytes.h"

#include <cmath>

#include "core/base/error.h"
#include "core/ops/cpu_kernels.h"
#include "core/tensor/host_arena.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class ActivationBytesTest : public QObject {
  Q_OBJECT
  Context cx_{2};

  static void rows(const char* name, int rank, const char* policy, double share, const QList<int>& places, int tile = kMlpTile) {
    for (const bool bf16 : {false, true})
      QTest::newRow((std::string(name) + ", " + policy + (bf16 ? ", bf16" : ", f32")).c_str()) << rank << QString(policy) << share << places << bf16 << tile;
  }
  static ModelConfig config() {
    ModelConfig c = tiny_config();
    c.vocab_size = 300;
    c.hidden_size = 96;
    c.intermediate_size = 256;
    c.layers = 4;
    c.heads = 6;
    c.head_dim = 16;
    return c;
  }

 private slots:
  void initTestCase() { register_cpu_kernels(); }

  // What the arena really held against the closed form, for several policies, ranks and shares of target tokens.
  void agreesWithTheArena_data() {
    QTest::addColumn<int>("rank");
    QTest::addColumn<QString>("policy");
    QTest::addColumn<double>("share");
    QTest::addColumn<QList<int>>("places");
    QTest::addColumn<bool>("bf16");
    QTest::addColumn<int>("tile");
    for (const int tile : {100, 512}) {
      const std::string by = ", tile " + std::to_string(tile);
      rows(("rank 8" + by).c_str(), 8, "full", 0.2, {}, tile);
      rows(("rank 64, all targets" + by).c_str(), 64, "offload", 1.0, {}, tile);
      rows(("q and v only" + by).c_str(), 8, "full", 0.5, {0, 2}, tile);
      rows(("gate only" + by).c_str(), 8, "full", 0.5, {4}, tile);
      rows(("down only" + by).c_str(), 8, "full", 0.5, {6}, tile);
      rows(("o only" + by).c_str(), 8, "full", 0.5, {3}, tile);
    }
    for (const char* policy : {"none", "norms+swiglu", "mlp", "full"}) {
      rows("rank 8", 8, policy, 0.2, {});
      rows("rank 64, all targets", 64, policy, 1.0, {});
      rows("q and v only", 8, policy, 0.5, {0, 2});
      rows("gate only", 8, policy, 0.5, {4});
      rows("down only", 8, policy, 0.5, {6});
      rows("o only", 8, policy, 0.5, {3});
    }
  }
  void agreesWithTheArena() {
    QFETCH(int, rank);
    QFETCH(QString, policy);
    QFETCH(bool, bf16);
    QFETCH(double, share);
    QFETCH(QList<int>, places);
    QFETCH(int, tile);
    const ModelConfig c = config();
    const auto model = make_tiny(c, 4);
    attach_random(*model, rank, 5, DType::f32, 0, {places.begin(), places.end()});
    const TokenBatch batch = random_batch({500, 500, 24}, c.vocab_size, 6, share);
    if (bf16 && !cpu_probe().bf16_dot) QSKIP("no bf16 products here: widened copies are not in the form");
    const auto chosen = checkpoint_policy_from_name(policy.toStdString());
    const ComputeType compute = bf16 ? ComputeType::bf16 : ComputeType::f32;
    cx_.set_compute(compute);
    // The first pass leaves scratch, the rotary table and gradients behind; the second is measured above them. Scratch may
    // still grow: which thread meets which task is not the same every time.
    const auto live = [&] { return arena_statistics().live_bytes - cx_.scratch_bytes(); };
    loss_and_gradients(cx_, *model, batch, chosen, 0, tile);
    const uint64_t before = live();
    arena_reset_peak();
    uint64_t saved = 0;
    {
      Tape tape(cx_, true);
      Var hidden = model->forward(tape, batch, {chosen, true, 0, tile});
      Tensor value = hidden->value;
      Tape::forget(hidden);
      saved = live() - before - value.bytes();
      HeadLoss loss = head_loss(cx_, model->head(), std::move(value), target_rows(batch), true, 1);
      tape.backward(hidden, std::move(loss.d_hidden));
    }
    const uint64_t peak = arena_statistics().peak_bytes - before - cx_.scratch_bytes();
    std::vector<int64_t> ranks;
    for (Linear* linear : model->linears()) ranks.push_back(linear->adapter() ? rank : 0);
    const ActivationBytes formed = activation_bytes(c, ranks, chosen, compute, {batch.tokens(), 500, batch.target_tokens(), false, tile});
    const auto near = [](uint64_t measured, uint64_t wanted, double tolerance) {
      return std::abs(static_cast<double>(measured) / static_cast<double>(wanted) - 1) < tolerance;
    };
    const QString text =
        QString("saved %1 formed %2, peak %3 formed %4").arg(saved).arg(formed.saved).arg(peak).arg(formed.peak);
    QVERIFY2(near(saved, formed.saved, 0.01), qPrintable(text));
    QVERIFY2(near(peak, formed.peak, 0.02), qPrintable(text));
    QCOMPARE(live(), before);
  }
  // The sentence in the header, spelt out.
  void savesWhatTheHeaderSays() {
    const ModelConfig c = config();
    const int64_t width = c.hidden_size, q = 96, k = 32, f = c.intermediate_size;
    const int64_t block = 4 * width + 2 * q + 2 * k + 3 * f + 7 * 8 + c.heads + 2;
    // The embedding needs no gradient: the first block keeps neither its input nor its norm's factor.
    const int64_t per_token = c.layers * block - (width + 1) + (width + 1);
    const ActivationBytes got = activation_bytes(c, std::vector<int64_t>(28, 8), CheckpointPolicy::none, ComputeType::f32, {10, 10, 5});
    QCOMPARE(got.saved, static_cast<uint64_t>(per_token * 10 * 4));
    for (const int64_t longest : {0, 10}) {
      const auto in = [&](ComputeType compute) { return activation_bytes(c, std::vector<int64_t>(28, 8), CheckpointPolicy::mlp, compute, {10, longest, 5}); };
      QVERIFY(in(ComputeType::f16).saved == in(ComputeType::bf16).saved && in(ComputeType::f16).peak == in(ComputeType::bf16).peak);
      QVERIFY(in(ComputeType::f16).peak < in(ComputeType::f32).peak);
    }
    VERIFY_THROWS(activation_bytes(c, {8}, CheckpointPolicy::none, ComputeType::f32, {10, 10, 5}), ShapeError, "28 linear layers");
  }
};

LORIKEET_TEST_MAIN(ActivationBytesTest)
#include "activation_bytes_test.moc"
