#include "core/optim/state_batches.h"

#include "core/ops/adamw8bit_update.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class StateBatchesTest : public QObject {
  Q_OBJECT
  static Moments plain(const Shape& shape, DType dtype = DType::f32) { return {Tensor::zeros(shape, dtype), Tensor::zeros(shape, dtype), {}, {}}; }
  static Moments coded(int64_t n) {
    const Shape blocks{(n + kMomentBlock - 1) / kMomentBlock};
    return {Tensor::zeros({n}, DType::u8), Tensor::zeros({n}, DType::u8), Tensor::zeros(blocks), Tensor::zeros(blocks)};
  }
  static uint64_t bytes_of(const StateBatch& batch) {
    uint64_t bytes = 0;
    for (const StatePiece& piece : batch)
      for (const MomentsPart& part : kMomentsParts)
        if (const Tensor& t = piece.state.*part.tensor; t.defined()) bytes += StateMemory::room(t.bytes());
    return bytes;
  }

 private slots:
  void everyElementIsInOnePiece() {
    constexpr uint64_t kMost = 1 << 18;
    const std::vector<Moments> state = {plain({3, 5}), coded(5000), plain({0}), plain({400, 300}), coded(1'000'001), plain({70001}, DType::f64), plain({1}), plain({1 << 14})};
    const auto batches = state_batches(state, kMost);
    std::vector<int64_t> done(state.size(), 0);
    size_t last = 0;
    for (const StateBatch& batch : batches) {
      QVERIFY(!batch.empty() && bytes_of(batch) <= kMost);
      for (const StatePiece& p : batch) {
        const Moments& whole = state[p.parameter];
        QVERIFY(p.parameter >= last && p.begin == done[p.parameter] && p.end > p.begin && p.begin % (1 << 14) == 0);
        last = p.parameter;
        done[p.parameter] = p.end;
        QCOMPARE(p.state.first.shape(), Shape{p.end - p.begin});
        QCOMPARE(static_cast<const char*>(p.state.second.raw()) - static_cast<const char*>(whole.second.raw()), p.begin * static_cast<int64_t>(dtype_bytes(whole.second.dtype())));
        QCOMPARE(p.state.coded(), whole.coded());
        if (!p.state.coded()) continue;
        QCOMPARE(p.state.second_absmax.shape(), Shape{(p.end - p.begin + kMomentBlock - 1) / kMomentBlock});
        QCOMPARE(p.state.first_absmax.data<float>() - whole.first_absmax.data<float>(), p.begin / kMomentBlock);
      }
    }
    for (size_t i = 0; i < state.size(); ++i) QCOMPARE(done[i], state[i].first.size());
    QVERIFY(batches.size() < 20);  // 4.2 MB
  }

  void smallOnesGoTogether() {
    const std::vector<Moments> state(100, plain({16, 64}));
    QCOMPARE(state_batches(state).size(), size_t{1});
    QCOMPARE(state_batches({}).size(), size_t{0});
    QCOMPARE(state_batches({plain({0})}).size(), size_t{0});
  }

  void eachBatchIsUpdatedOnceInOrder() {
    Context cx(2);
    const std::vector<Moments> state = {plain({400, 300}), plain({7})};
    const auto batches = state_batches(state, 1 << 18);
    std::vector<const StateBatch*> seen;
    update_batches(cx, batches, StateMemory(), [&](const StateBatch& b) { seen.push_back(&b); });
    QCOMPARE(seen.size(), batches.size());
    for (size_t i = 0; i < seen.size(); ++i) QVERIFY(seen[i] == &batches[i]);
    update_batches(cx, {}, StateMemory(), [&](const StateBatch&) { QFAIL("nothing to update"); });
  }
};

LORIKEET_TEST_MAIN(StateBatchesTest)
#include "state_batches_test.moc"
