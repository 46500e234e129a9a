#include "core/autograd/tape.h"

#include "core/base/error.h"
#include "core/ops/cpu_kernels.h"
#include "core/ops/elementwise.h"
#include "core/tensor/host_arena.h"
#include "tests/support/support.h"

using namespace lorikeet;
using test::random_tensor;

namespace {

/// y = s * x with its backward, the simplest op there is.
Var scaled(Tape& tape, const Var& x, double s) {
  Tensor y = Tensor::zeros(x->value.shape());
  add_scaled(tape.context(), y, x->value, s);
  Var out = tape.make(y, {x});
  tape.record(out, [out, x, s](Tape& t) {
    Tensor dx = Tensor::zeros(out->grad.shape());
    add_scaled(t.context(), dx, out->grad, s);
    t.accumulate(x, dx);
  });
  return out;
}
Var sum(Tape& tape, const Var& a, const Var& b) {
  Tensor y = Tensor::empty(a->value.shape());
  add(tape.context(), a->value, b->value, y);
  Var out = tape.make(y, {a, b});
  tape.record(out, [out, a, b](Tape& t) {
    t.accumulate(a, out->grad, true);
    t.accumulate(b, out->grad, true);
  });
  return out;
}
Tensor ones(int64_t n) {
  Tensor t = Tensor::empty({n});
  t.fill(1);
  return t;
}

}  // namespace

class TapeTest : public QObject {
  Q_OBJECT
  Context cx_{1};
 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void addsGradientsOfAllPaths() {
    Tape tape(cx_, true);
    Var x = make_leaf(random_tensor({5}, 1), true);
    Var y = sum(tape, scaled(tape, x, 3), sum(tape, x, scaled(tape, x, -0.5)));
    tape.backward(y, ones(5));
    for (float g : x->grad.to_vector<float>()) QCOMPARE(g, 3.5f);
    QCOMPARE(tape.records(), size_t{0});
  }
  void leavesKeepTheirGradientsAcrossCalls() {
    Var x = make_leaf(random_tensor({3}, 2), true);
    for (int i = 0; i < 3; ++i) {
      Tape tape(cx_, true);
      Var y = scaled(tape, x, 2);
      tape.backward(y, ones(3));
    }
    for (float g : x->grad.to_vector<float>()) QCOMPARE(g, 6.0f);
  }
  // A gradient handed to two Vars must not change for one when the other adds to it.
  void sharedGradientsAreNotWrittenInto() {
    Tape tape(cx_, true);
    Var a = make_leaf(random_tensor({4}, 3), true), b = make_leaf(random_tensor({4}, 4), true);
    Var twice = sum(tape, a, a);
    Var y = sum(tape, sum(tape, a, b), twice);
    tape.backward(y, ones(4));
    for (float g : a->grad.to_vector<float>()) QCOMPARE(g, 3.0f);
    for (float g : b->grad.to_vector<float>()) QCOMPARE(g, 1.0f);
  }
  void nothingIsKeptWithoutNeed() {
    Tape silent(cx_, false), recording(cx_, true);
    Var frozen = make_leaf(random_tensor({2}, 5), false), trained = make_leaf(random_tensor({2}, 6), true);
    QVERIFY(!scaled(silent, trained, 2)->needs_grad);
    QVERIFY(!scaled(recording, frozen, 2)->needs_grad);
    QCOMPARE(recording.records() + silent.records(), size_t{0});
    QVERIFY(scaled(recording, trained, 2)->needs_grad);
    QCOMPARE(recording.records(), size_t{1});
    VERIFY_THROWS(silent.backward(trained, ones(2)), RunError, "does not record");
  }
  void checkpointGivesTheSameBits() {
    const Tensor start = random_tensor({1000}, 7), weight = random_tensor({1000}, 8);
    const auto run = [&](bool checkpointed) {
      Tape tape(cx_, true);
      Var x = make_leaf(start.clone(), true), w = make_leaf(weight.clone(), true);
      const auto block = [w](Tape& t, const Var& in) {
        return sum(t, scaled(t, in, 0.3), scaled(t, sum(t, in, w), 1.7));
      };
      Var y = x;
      for (int i = 0; i < 3; ++i) y = checkpointed ? tape.checkpoint(y, block) : block(tape, y);
      Tensor value = y->value;
      tape.backward(y, random_tensor({1000}, 9));
      return std::vector<std::vector<float>>{value.to_vector<float>(), x->grad.to_vector<float>(),
                                             w->grad.to_vector<float>()};
    };
    QVERIFY(run(true) == run(false));
  }
  void checkpointHoldsOnlyItsInput() {
    constexpr int64_t kElements = 1 << 16;
    const auto live = [&](bool checkpointed) {
      Tape tape(cx_, true);
      Var x = make_leaf(Tensor::zeros({kElements}), true);
      // Each scaled() keeps its output alive through the next record's Var.
      const auto block = [](Tape& t, const Var& in) {
        Var y = in;
        for (int i = 0; i < 8; ++i) y = scaled(t, y, 1.5);
        return y;
      };
      const uint64_t before = arena_statistics().live_bytes;
      Var y = checkpointed ? tape.checkpoint(x, block) : block(tape, x);
      return arena_statistics().live_bytes - before;
    };
    QCOMPARE(live(true), uint64_t{kElements * 4});
    QCOMPARE(live(false), uint64_t{8 * kElements * 4});
  }
  // Rows by themselves: tiles of 3 of 8 rows give the bits of one piece, forward and back, and the sums of parameters add up.
  void tilesOfRowsGiveTheSame() {
    const Tensor start = random_tensor({8, 5}, 7), seed = random_tensor({8, 5}, 9);
    std::vector<int64_t> firsts;
    const auto run = [&](int64_t tile, bool inside, bool shared) {
      Tape tape(cx_, true);
      Var x = make_leaf(start.clone(), true), w = make_leaf(random_tensor({1}, 8), true);
      const auto rows = [&firsts, w](Tape& t, const Var& in, int64_t first) {
        firsts.push_back(first);
        Var y = scaled(t, sum(t, in, scaled(t, in, 0.3)), w->value.data<float>()[0]);
        Var out = t.make(y->value, {y, w});  // for the parameter: its gradient is the sum of the result's
        t.record(out, [out, y, w](Tape& back) {
          Tensor total = Tensor::zeros({1});
          for (int64_t i = 0; i < out->grad.size(); ++i) total.data<float>()[0] += out->grad.data<float>()[i];
          back.accumulate(w, total);
          back.accumulate(y, out->grad, true);
        });
        return out;
      };
      const auto block = [rows, tile](Tape& t, const Var& in) {
        return tile > 0 ? t.checkpoint_rows(scaled(t, in, 1.1), tile, rows, t.result()) : rows(t, scaled(t, in, 1.1), 0);
      };
      Var y = inside ? tape.checkpoint(x, block) : block(tape, x);
      Tensor value = y->value;
      if (shared) y = sum(tape, y, make_leaf(Tensor::zeros({8, 5}), true));
      tape.backward(y, seed.clone());
      return std::vector<std::vector<float>>{value.to_vector<float>(), x->grad.to_vector<float>(), w->grad.to_vector<float>()};
    };
    for (const bool inside : {false, true})
      for (const bool shared : {false, true}) {
        const auto whole = run(0, inside, shared);
        firsts.clear();
        const auto tiled = run(3, inside, shared);
        QVERIFY(firsts == (std::vector<int64_t>{0, 3, 6, 0, 3, 6}));  // a block that is run again for its gradients makes no result again
        QVERIFY(tiled[0] == whole[0] && tiled[1] == whole[1]);
        QVERIFY(std::abs(tiled[2][0] - whole[2][0]) < 1e-5f);
      }
  }
  void tilesHoldOneTile() {
    constexpr int64_t kRows = 64, kWidth = 4096, kTile = 4;
    const auto peak = [&](int64_t tile) {
      Tape tape(cx_, true);
      Var x = make_leaf(Tensor::zeros({kRows, kWidth}), true);
      const auto rows = [](Tape& t, const Var& in, int64_t) {
        Var y = in;
        for (int i = 0; i < 8; ++i) y = scaled(t, y, 1.5);
        return y;
      };
      const uint64_t before = arena_statistics().live_bytes;
      arena_reset_peak();
      Var y = tape.checkpoint_rows(x, tile, rows);
      tape.backward(y, Tensor::zeros({kRows, kWidth}));
      return arena_statistics().peak_bytes - before;
    };
    constexpr uint64_t kBytes = kRows * kWidth * 4;
    QVERIFY(peak(kTile) < 3 * kBytes);  // the result or its gradient, and ten of sixteen parts
    QVERIFY(peak(kRows) > 8 * kBytes);
  }
  void memoryFallsAsBackwardProceeds() {
    constexpr int64_t kElements = 1 << 16;
    Tape tape(cx_, true);
    Var y = make_leaf(Tensor::zeros({kElements}), true);
    std::vector<uint64_t> seen;
    for (int i = 0; i < 6; ++i) {
      Var in = y;
      Tensor kept = Tensor::zeros({kElements});
      y = tape.make(in->value, {in});
      tape.record(y, [y, in, kept, &seen](Tape& t) {
        seen.push_back(arena_statistics().live_bytes);
        t.accumulate(in, y->grad, y->grad_shared);
      });
    }
    tape.backward(y, Tensor::zeros({kElements}));
    QCOMPARE(seen.size(), size_t{6});
    for (size_t i = 1; i < seen.size(); ++i) QCOMPARE(seen[i], seen[i - 1] - kElements * 4);
  }
  void aValueIsMadeAgainOnceForAllReaders() {
    constexpr int64_t kElements = 1 << 16;
    int made = 0;
    Tape tape(cx_, true);
    std::vector<uint64_t> live;
    std::vector<const void*> seen;
    Var x = make_leaf(Tensor::zeros({1}), true);
    const auto step = [&](const Var& in, const Kept& kept, bool reads) {
      Var out = tape.make(Tensor::zeros({1}), {in});
      tape.record(out, [out, in, kept, reads, &live, &seen](Tape& t) {
        if (reads) {
          const Tensor value = kept.get(t.context());
          QCOMPARE(value.to_vector<float>()[5], 7.0f);
          seen.push_back(value.raw());
        }
        live.push_back(arena_statistics().live_bytes);
        t.accumulate(in, out->grad, true);
      });
      return out;
    };
    Var y = step(x, Kept(), false);  // the value is y's: its own backward does not read it
    y->remake = std::make_shared<Remake>([&made](Context&) {
      ++made;
      Tensor t = Tensor::empty({kElements});
      t.fill(7);
      return t;
    });
    const Var first = step(y, Kept(y), true), second = step(first, Kept(y), true), last = step(second, Kept(), false);
    tape.backward(last, Tensor::zeros({1}));
    QCOMPARE(made, 1);
    QCOMPARE(seen.size(), size_t{2});
    QCOMPARE(seen[0], seen[1]);
    QCOMPARE(live.size(), size_t{4});
    constexpr uint64_t kBytes = kElements * 4, kSmall = 4096;  // values and gradients of one number
    QVERIFY(live[1] + kSmall >= live[0] + kBytes && live[1] <= live[0] + kBytes + kSmall);  // made when the first asks
    QVERIFY(live[2] + kSmall >= live[1]);                                                   // kept for the second
    QVERIFY(live[3] + kBytes <= live[2] + kSmall);                                          // gone before y's own
  }
  void aValueNobodyAsksForIsNotMadeAgain() {
    int made = 0;
    {
      Var x = make_leaf(random_tensor({3}, 1), true);
      x->remake = std::make_shared<Remake>([&made](Context&) {
        ++made;
        return Tensor::zeros({3});
      });
      const Kept kept(x);
      Tape tape(cx_, true);
      Var y = scaled(tape, x, 2);
      tape.backward(y, ones(3));
    }
    QCOMPARE(made, 0);
  }
  void withoutARemakeTheTensorItselfIsKept() {
    Var x = make_leaf(random_tensor({3}, 1), true);
    const void* data = x->value.raw();
    const Kept kept(x);
    Tape::forget(x);
    QCOMPARE(kept.get(cx_).raw(), data);
    QVERIFY(!Kept().get(cx_).defined());
    // One that is made again holds nothing of the forward pass.
    Var y = make_leaf(random_tensor({3}, 2), true);
    y->remake = std::make_shared<Remake>([](Context&) { return random_tensor({3}, 2); });
    const Tensor wanted = y->value.clone();
    const void* first = y->value.raw();
    const Kept again(y);
    const Tensor held = y->value;  // so that the place is not taken again
    Tape::forget(y);
    const Tensor value = again.get(cx_);
    QVERIFY(value.raw() != first);
    QVERIFY(value.to_vector<float>() == wanted.to_vector<float>());
  }
};

LORIKEET_TEST_MAIN(TapeTest)
#include "tape_test.moc"
