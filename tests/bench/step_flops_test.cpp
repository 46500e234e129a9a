/// The formulas against a sum done by hand: 2 rows of 3 tokens, 2 blocks of width 8.
#include "tests/bench/step_flops.h"

#include "tests/support/support.h"

using namespace lorikeet;

class StepFlopsTest : public QObject {
  Q_OBJECT
  static ModelConfig small() {
    ModelConfig c;
    c.hidden_size = 8;
    c.intermediate_size = 16;
    c.layers = 2;
    c.heads = 2;
    c.kv_heads = 1;
    c.head_dim = 4;
    c.vocab_size = 10;
    return c;
  }

 private slots:
  void everyPartOfASmallStep() {
    const bench::StepFlops f = bench::step_flops(small(), 2, 3, 2);
    // A block has 576 weights, 128 of them in q, k and v; 6 tokens.
    QCOMPARE(f.linears, 2.0 * 6 * 576 * 2 + 2.0 * 6 * (576 * 2 - 128));
    // in + out is 128 a block, out 64, in 64; in of q, k and v 24.
    QCOMPARE(f.adapters, 4.0 * 6 * 2 * 128 * 2 + 2.0 * 6 * 2 * 64 * 2 + 2.0 * 6 * 2 * (64 * 2 - 24));
    // A row: 2 L^2 D forward, twice that backward; 2 rows, 2 blocks.
    QCOMPARE(f.attention, 6.0 * 9 * 8 * 4);
    QCOMPARE(f.head, 4.0 * 6 * 10 * 8);
    QCOMPARE(f.total(), f.linears + f.adapters + f.attention + f.head);
  }
  void rowsAddUpAndLongerRowsCostMoreAttention() {
    const bench::StepFlops one = bench::step_flops(small(), 2, 6, 1), two = bench::step_flops(small(), 2, 3, 2);
    QCOMPARE(one.linears, two.linears);
    QCOMPARE(one.head, two.head);
    QCOMPARE(one.attention, 2 * two.attention);
  }
};

LORIKEET_TEST_MAIN(StepFlopsTest)
#include "step_flops_test.moc"
