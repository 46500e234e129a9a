#include "core/ops/embedding.h"

#include "core/base/error.h"
#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class EmbeddingTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void readsTheRowsNamed_data() { level_rows(); }
  void readsTheRowsNamed() {
    QFETCH(int, level);
    QFETCH(int, type);
    for (int threads : {1, 2, 3})
      for (int64_t tokens : {1, 7, 65}) {
        Context cx = context(static_cast<CpuLevel>(level), threads);
        const PlainWeight table(random_tensor({50, 33}, 1), true);
        std::vector<int32_t> v;
        for (int32_t i = 0; i < tokens; ++i) v.push_back(i * 17 % 50);
        const Tensor ids = Tensor::from(v, {tokens});
        Tensor y = strided_output(tokens, 33, static_cast<DType>(type));
        embedding(cx, {table, ids, y});
        for (int64_t t = 0; t < tokens; ++t) QVERIFY(values(y.slice(t, t + 1)) == values(table.values().slice(v[static_cast<size_t>(t)], v[static_cast<size_t>(t)] + 1)));
      }
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    const PlainWeight table(random_tensor({5, 3}, 1));
    Tensor y = Tensor::empty({2, 3}), narrow = Tensor::empty({2, 2}), half = Tensor::empty({2, 3}, DType::f16);
    const Tensor ids = Tensor::from(std::vector<int32_t>{0, 4}, {2}), over = Tensor::from(std::vector<int32_t>{0, 5}, {2}), under = Tensor::from(std::vector<int32_t>{-1, 0}, {2}), wide = Tensor::from(std::vector<int64_t>{0, 1}, {2});
    VERIFY_THROWS(embedding(cx, {table, over, y}), ShapeError, "id 5");
    VERIFY_THROWS(embedding(cx, {table, under, y}), ShapeError, "id -1");
    VERIFY_THROWS(embedding(cx, {table, ids, narrow}), ShapeError, "y is [2, 2]");
    VERIFY_THROWS(embedding(cx, {table, wide, y}), DTypeError, "ids is i64");
    VERIFY_THROWS(embedding(cx, {table, ids, half}), DTypeError, "f16");
  }
};

LORIKEET_TEST_MAIN(EmbeddingTest)
#include "embedding_test.moc"
