// What keeping rows in bf16 must not change, for products in f32 and in bf16: policies give the same bits, documents and
// later tokens do not reach each other, threads change nothing; and bf16 stays close to the model in f64.
#include <cmath>
#include <utility>

#include "core/models/model.h"
#include "core/ops/cpu_kernels.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

ModelConfig small_config() {  // widths that are no multiples of a panel of 16 columns
  ModelConfig c = tiny_config();
  c.tied_head = false;
  c.attention_bias = c.mlp_bias = true;
  return c;
}
Context context_of(ComputeType compute, int threads = 2) {
  Context cx(threads);
  cx.set_compute(compute);
  return cx;
}
void compute_rows() {
  QTest::addColumn<int>("compute");
  QTest::newRow("f32") << static_cast<int>(ComputeType::f32);
  QTest::newRow("bf16") << static_cast<int>(ComputeType::bf16);
}

struct Pass {
  double loss = 0;
  Tensor hidden;
  std::vector<Tensor> gradients;
  bool operator==(const Pass& p) const {
    bool same = loss == p.loss && same_bits(hidden, p.hidden) && gradients.size() == p.gradients.size();
    for (size_t i = 0; same && i < gradients.size(); ++i) same = same_bits(gradients[i], p.gradients[i]);
    return same;
  }
};
Pass pass(Context& cx, Model& model, const TokenBatch& batch, CheckpointPolicy policy = CheckpointPolicy::none, int64_t tile = kMlpTile) {
  clear_gradients(model);
  Pass out;
  out.loss = loss_and_gradients(cx, model, batch, policy, 1, tile);
  for (const Var& v : adapter_vars(model)) out.gradients.push_back(v->grad.clone());
  Tape tape(cx, false);
  out.hidden = model.forward(tape, batch, {policy, true, 1, tile})->value;
  return out;
}
Tensor hidden_of(Context& cx, Model& model, const TokenBatch& batch) {
  Tape tape(cx, false);
  return model.forward(tape, batch, {})->value;
}
/// Relative L2 over all tensors together.
double error_of(const std::vector<Tensor>& found, const std::vector<Tensor>& wanted) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const auto f = found[i].to_vector<double>(), w = wanted[i].to_vector<double>();
    for (size_t k = 0; k < f.size(); ++k) {
      difference += (f[k] - w[k]) * (f[k] - w[k]);
      norm += w[k] * w[k];
    }
  }
  return norm > 0 ? std::sqrt(difference / norm) : 1;  // gradients of zeros prove nothing
}

}  // namespace

class LlamaBf16Test : public QObject {
  Q_OBJECT
  const TokenBatch batch_ = random_batch({7, 1, 70, 65}, tiny_config().vocab_size, 3);

 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void everyPolicyGivesTheSameBits_data() { compute_rows(); }
  void everyPolicyGivesTheSameBits() {
    QFETCH(int, compute);
    Context cx = context_of(static_cast<ComputeType>(compute));
    for (double dropout : {0.0, 0.3})
      for (const std::vector<int>& places : {std::vector<int>{}, std::vector<int>{2, 6}, std::vector<int>{3}}) {
        const auto model = make_tiny(small_config(), 12);
        attach_random(*model, 3, 5, DType::f32, dropout, places);
        const Pass plain = pass(cx, *model, batch_);
        QVERIFY(std::isfinite(plain.loss));
        for (CheckpointPolicy policy : kCheckpointPolicies) QVERIFY2(pass(cx, *model, batch_, policy) == plain, checkpoint_policy_name(policy).data());
      }
  }
  void tilesOfTheMlpChangeRoundingAlone_data() { compute_rows(); }
  void tilesOfTheMlpChangeRoundingAlone() {
    QFETCH(int, compute);
    const bool rounds = static_cast<ComputeType>(compute) == ComputeType::bf16;
    Context cx = context_of(static_cast<ComputeType>(compute));
    for (double dropout : {0.0, 0.3}) {
      const auto model = make_tiny(small_config(), 12);
      attach_random(*model, 3, 5, DType::f32, dropout);
      const Pass plain = pass(cx, *model, batch_);
      for (const int64_t tile : {5, 64, 142}) {
        const Pass tiled = pass(cx, *model, batch_, CheckpointPolicy::full, tile);
        const double loss = std::abs(tiled.loss - plain.loss), error = error_of(tiled.gradients, plain.gradients);
        QVERIFY2(loss <= (rounds ? 1e-3 : 1e-5), qPrintable(QString("loss off by %1").arg(loss)));
        QVERIFY2(error <= (rounds ? 2e-2 : 1e-5), qPrintable(QString("gradients off by %1").arg(error)));
      }
    }
  }
  void rowsAreBf16OnlyWhereProductsAre() {
    const auto model = make_tiny(small_config(), 12);
    Context f32 = context_of(ComputeType::f32), bf16 = context_of(ComputeType::bf16);
    QVERIFY(hidden_of(f32, *model, batch_).dtype() == DType::f32);
    QVERIFY(hidden_of(bf16, *model, batch_).dtype() == DType::bf16);
  }
  void staysCloseToFloat64_data() { compute_rows(); }
  void staysCloseToFloat64() {
    QFETCH(int, compute);
    const bool rounds = static_cast<ComputeType>(compute) == ComputeType::bf16;
    Context cx = context_of(static_cast<ComputeType>(compute)), exact_cx(2);
    const auto model = make_tiny(small_config(), 21), exact = make_tiny(small_config(), 21, DType::f64);
    attach_random(*model, 3, 5);
    attach_random(*exact, 3, 5, DType::f64);
    const auto to = adapter_vars(*exact), from = adapter_vars(*model);
    for (size_t i = 0; i < to.size(); ++i) to[i]->value = from[i]->value.to(DType::f64);
    const Pass wanted = pass(exact_cx, *exact, batch_);
    for (CheckpointPolicy policy : kCheckpointPolicies) {
      const Pass found = pass(cx, *model, batch_, policy);
      const double loss = std::abs(found.loss - wanted.loss), error = error_of(found.gradients, wanted.gradients);
      // f32: rounding errors of some hundred products. bf16: numbers of 8 bits between all products of two blocks.
      QVERIFY2(loss <= (rounds ? 1e-3 : 1e-5), qPrintable(QString("loss off by %1").arg(loss)));
      QVERIFY2(error <= (rounds ? 2e-2 : 1e-5), qPrintable(QString("gradients off by %1").arg(error)));
    }
  }
  void packedDocumentsDoNotSeeEachOther_data() { compute_rows(); }
  void packedDocumentsDoNotSeeEachOther() {
    QFETCH(int, compute);
    Context cx = context_of(static_cast<ComputeType>(compute));
    const bool rounds = static_cast<ComputeType>(compute) == ComputeType::bf16;
    const auto model = make_tiny(small_config(), 13);
    attach_random(*model, 3, 5);
    const Pass packed = pass(cx, *model, batch_);
    std::vector<Tensor> sums;
    for (const Tensor& g : packed.gradients) sums.push_back(Tensor::zeros(g.shape()));
    double separate = 0;
    for (size_t d = 0; d + 1 < batch_.document_starts.size(); ++d) {
      const TokenBatch one = document(batch_, d);
      const Tensor part = packed.hidden.slice(batch_.document_starts[d], batch_.document_starts[d + 1]).clone();
      // Rows of bf16 are read as they lie whatever stands around them; products in f32 choose their blocks by size.
      if (rounds) QVERIFY(same_bits(hidden_of(cx, *model, one), part));
      else QVERIFY(relative_l2(hidden_of(cx, *model, one), part) < 1e-6);
      if (one.target_tokens() == 0) continue;
      const Pass alone = pass(cx, *model, one);
      const double share = static_cast<double>(one.target_tokens()) / static_cast<double>(batch_.target_tokens());
      separate += alone.loss * share;
      for (size_t i = 0; i < sums.size(); ++i)
        for (int64_t k = 0; k < sums[i].size(); ++k) sums[i].data<float>()[k] += static_cast<float>(share) * alone.gradients[i].data<float>()[k];
    }
    QVERIFY(std::abs(packed.loss - separate) < 1e-6 * packed.loss);
    // The scale of the loss differs, so gradients in bf16 round elsewhere.
    QVERIFY(error_of(sums, packed.gradients) < (rounds ? 1e-2 : 1e-5));
  }
  void laterTokensChangeNothingBefore_data() { compute_rows(); }
  void laterTokensChangeNothingBefore() {
    QFETCH(int, compute);
    Context cx = context_of(static_cast<ComputeType>(compute));
    const auto model = make_tiny(small_config(), 14);
    attach_random(*model, 3, 5);
    const TokenBatch batch = random_batch({100}, tiny_config().vocab_size, 4);
    const Tensor before = hidden_of(cx, *model, batch);
    for (int64_t t : {1, 31, 32, 63, 64, 65, 99}) {
      TokenBatch changed = batch;
      auto& id = changed.ids[static_cast<size_t>(t)];
      id = static_cast<int32_t>((id + 1) % tiny_config().vocab_size);
      const Tensor after = hidden_of(cx, *model, changed);
      QVERIFY(same_bits(after.slice(0, t), before.slice(0, t)));
      QVERIFY(!same_bits(after.slice(t, 100), before.slice(t, 100)));
    }
  }
  void threadsChangeNoBit_data() { compute_rows(); }
  void threadsChangeNoBit() {
    QFETCH(int, compute);
    const auto model = make_tiny(small_config(), 15);
    attach_random(*model, 3, 5, DType::f32, 0.2);
    Context one = context_of(static_cast<ComputeType>(compute), 1);
    for (CheckpointPolicy policy : kCheckpointPolicies) {
      const Pass wanted = pass(one, *model, batch_, policy);
      for (int threads : {2, 3}) {
        Context cx = context_of(static_cast<ComputeType>(compute), threads);
        QVERIFY(pass(cx, *model, batch_, policy) == wanted);
      }
    }
  }
};

LORIKEET_TEST_MAIN(LlamaBf16Test)
#include "llama_bf16_test.moc"
