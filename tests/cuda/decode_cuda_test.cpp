// Weights on the device: every format decodes there to the bits that the host gives.
#include "core/ops/embedding.h"
#include "core/ops/weight_on.h"
#include "core/quant/coded_weight.h"
#include "cuda/ops/decode.h"
#include "tests/core/quant/every_weight.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

/// Neither codes nor blocks of a stored type.
class OfItsOwnKind final : public FrozenWeight {
 public:
  OfItsOwnKind() : FrozenWeight(3, 4) {}
  std::string_view format() const override { return "of its own kind"; }
  uint64_t bytes() const override { return 0; }
  void decode_rows(int64_t, int64_t, float*, int64_t) const override {}
};

}  // namespace

class DecodeCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  static const cuda::DeviceWeight& uploaded(const FrozenWeightPtr& w) { return cuda::device_weight("test", *w); }

  /// Rows as the host decodes them, in a type.
  static Tensor on_host(const FrozenWeight& w, int64_t row, int64_t count, DType type) {
    Tensor t = Tensor::empty({count, w.columns()});
    w.decode_rows(row, count, t.data<float>(), w.columns());
    return type == DType::f32 ? t : t.to(type);
  }
  /// The same rows from the device, `gap` numbers between them.
  static Tensor on_device(const cuda::DeviceWeight& w, int64_t row, int64_t count, DType type, int64_t gap, int64_t before = 0) {
    Tensor wide = gpu_empty({count, w.columns() + gap + before}, type);
    Tensor inside = wide.columns(before, before + w.columns());
    cuda::decode_weight(w, row, count, type, inside.raw(), inside.row_stride());
    return on_cpu(inside);
  }
  static bool same(const Tensor& a, const Tensor& b) {
    return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void equalsTheHostInEveryBit_data() {
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("columns");
    for (const auto& [rows, columns] : {std::pair{1, 1}, {5, 33}, {3, 31}, {7, 96}, {4, 256}, {9, 130}, {3, 512}, {2, 2820}})
      QTest::addRow("%d x %d", rows, columns) << rows << columns;
  }
  void equalsTheHostInEveryBit() {
    QFETCH(int, rows);
    QFETCH(int, columns);
    for (const Named& n : all_weights(cpu_, rows, columns)) {
      const FrozenWeightPtr w = weight_on(DeviceType::cuda, n.weight);
      QVERIFY(w->device() == DeviceType::cuda && w->bytes() == n.weight->bytes() && w->format() == n.weight->format());
      for (DType type : {DType::f32, DType::bf16, DType::f16}) {
        QVERIFY2(same(on_device(uploaded(w), 0, rows, type, 0), on_host(*n.weight, 0, rows, type)), n.name.c_str());
        for (const auto& [gap, before] : {std::pair{8, 8}, {5, 0}, {8, 3}})
          QVERIFY2(same(on_device(uploaded(w), 0, rows, type, gap, before), on_host(*n.weight, 0, rows, type)), n.name.c_str());
        if (rows > 2) QVERIFY2(same(on_device(uploaded(w), 1, rows - 2, type, 0), on_host(*n.weight, 1, rows - 2, type)), n.name.c_str());
      }
      std::vector<float> here(static_cast<size_t>(rows * columns)), wanted = here;
      w->decode_rows(0, rows, here.data(), columns);
      n.weight->decode_rows(0, rows, wanted.data(), columns);
      QVERIFY2(same_bits(here, wanted), n.name.c_str());
    }
  }

  void gathersRows() {
    const std::vector<int32_t> ids{3, 0, 8, 3, 7};
    for (int64_t columns : {33, 256})
      for (const Named& n : all_weights(cpu_, 9, columns)) {
        const FrozenWeightPtr w = weight_on(DeviceType::cuda, n.weight);
        const Tensor list = on_gpu(Tensor::from(ids, {5}));
        for (const DType type : kHalfRows) {
          Tensor y = gpu_empty({5, columns}, type);
          cuda::decode_gathered(uploaded(w), list.data<int32_t>(), 5, type, y.raw(), columns);
          for (int64_t i = 0; i < 5; ++i) QVERIFY2(same(on_cpu(y.slice(i, i + 1)), on_host(*n.weight, ids[static_cast<size_t>(i)], 1, type)), n.name.c_str());
        }
      }
  }

  void embeddingEqualsTheCpuOp() {
    const Tensor ids = Tensor::from(std::vector<int32_t>{3, 0, 8, 3, 7, 8}, {6});
    for (int64_t columns : {33, 256})
      for (const Named& n : all_weights(cpu_, 9, columns)) {
        const FrozenWeightPtr w = weight_on(DeviceType::cuda, n.weight);
        Tensor wanted = Tensor::empty({6, columns}), y = gpu_strided(Tensor::zeros({6, columns})), wide = gpu_empty({6, columns}, DType::f64);
        embedding(cpu_, {*n.weight, ids, wanted});
        embedding_slot().run(gpu_, EmbeddingArgs{*w, on_gpu(ids), y});
        QVERIFY2(same(on_cpu(y), wanted), n.name.c_str());
        VERIFY_THROWS(embedding_slot().run(gpu_, EmbeddingArgs{*w, on_gpu(ids), wide}), UnsupportedError, "f64");
      }
  }

  void rowsOfSeveralBlocksOfThreads() {
    const auto values = normal_values(3 * 9000, 4);
    for (const char* name : {"nf4", "int8"}) {
      const FrozenWeightPtr w = encoded(cpu_, name, values, 3);
      QVERIFY(same(on_device(uploaded(weight_on(DeviceType::cuda, w)), 0, 3, DType::bf16, 0), on_host(*w, 0, 3, DType::bf16)));
    }
  }
  void groupsOfScalesOfAnySize() {
    const auto made = encoded(cpu_, "nf4", normal_values(20 * 64, 4), 20);
    const auto& coded = dynamic_cast<const CodedWeight&>(*made);
    for (int64_t group : {1, 3, 7, 16}) {
      const BlockScales scales = BlockScales::from_parts(coded.scales().codes(), random_tensor({(20 + group - 1) / group}, 6), 1.5f, group);
      const auto w = std::make_shared<CodedWeight>("nf4", 20, 64, 4, 64, coded.codes(), scales, shared_tables(nf4_codebook()));
      QVERIFY(same(on_device(uploaded(weight_on(DeviceType::cuda, w)), 0, 20, DType::f32, 0), on_host(*w, 0, 20, DType::f32)));
    }
  }

  void refusesWhatItCannotDecode() {
    const auto w = std::make_shared<OfItsOwnKind>();
    VERIFY_THROWS(weight_on(DeviceType::cuda, w), UnsupportedError, "of its own kind");
    VERIFY_THROWS(cuda::device_weight("some_op", *w), UnsupportedError, "some_op: the weight (of its own kind) lies on cpu");
  }
};

LORIKEET_TEST_MAIN(DecodeCudaTest)
#include "decode_cuda_test.moc"
