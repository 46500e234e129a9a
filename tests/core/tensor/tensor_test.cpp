#include "core/tensor/tensor.h"

#include <cmath>
#include <numeric>

#include "core/base/error.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {
Tensor counting(Shape shape) {
  std::vector<float> v(static_cast<size_t>(element_count(shape)));
  std::iota(v.begin(), v.end(), 0.0f);
  return Tensor::from(v, std::move(shape));
}
}  // namespace

class TensorTest : public QObject {
  Q_OBJECT
 private slots:
  void storageIsAlignedZeroedAndShared() {
    for (int64_t n : {1, 3, 7, 33, 1000}) {
      Tensor t = Tensor::zeros({n, 5});
      QCOMPARE(reinterpret_cast<uintptr_t>(t.raw()) % 64, uintptr_t{0});
      for (const float v : t.to_vector<float>()) QCOMPARE(v, 0.0f);
      Tensor alias = t;
      alias.data<float>()[1] = 4;
      QCOMPARE(t.data<float>()[1], 4.0f);
      Tensor copy = t.clone();
      copy.data<float>()[1] = 5;
      QCOMPARE(t.data<float>()[1], 4.0f);
    }
  }
  void axesOfZeroAndRankZero() {
    const Tensor none = Tensor::zeros({0, 4});
    QCOMPARE(none.size(), int64_t{0});
    QCOMPARE(none.rows(), int64_t{0});
    QVERIFY(none.defined());
    const Tensor thin = Tensor::zeros({4, 0});
    QCOMPARE(thin.size(), int64_t{0});
    QCOMPARE(Tensor::from(std::vector<int32_t>{}, {0}).size(), int64_t{0});
    const Tensor one = Tensor::zeros({});
    QCOMPARE(one.size(), int64_t{1});
    QVERIFY(!Tensor().defined());
  }
  void slicesAndColumnsShareStorageAndKeepTheStride() {
    const Tensor t = counting({4, 6});
    const Tensor rows = t.slice(1, 3);
    QCOMPARE(to_string(rows.shape()), std::string("[2, 6]"));
    QCOMPARE(rows.row<float>(1)[2], 14.0f);
    Tensor block = rows.columns(2, 5);
    QCOMPARE(block.row_stride(), int64_t{6});
    QVERIFY(!block.contiguous());
    QVERIFY(block.to_vector<double>() == (std::vector<double>{8, 9, 10, 14, 15, 16}));
    block.fill(-1);
    QVERIFY(t.to_vector<int32_t>() == (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7, -1, -1, -1, 11, 12, 13, -1, -1, -1, 17, 18, 19, 20, 21, 22, 23}));
    const Tensor vector = counting({5}).slice(2, 4);
    QVERIFY(vector.to_vector<float>() == (std::vector<float>{2, 3}));
    const Tensor deep = counting({3, 2, 2}).slice(1, 2);
    QVERIFY(deep.to_vector<float>() == (std::vector<float>{4, 5, 6, 7}));
  }
  void copiesStridedIntoStrided() {
    const Tensor source = counting({3, 8}).columns(1, 4);
    Tensor target = Tensor::zeros({3, 5});
    target.columns(2, 5).copy_from(source);
    QVERIFY(target.to_vector<float>() == (std::vector<float>{0, 0, 1, 2, 3, 0, 0, 9, 10, 11, 0, 0, 17, 18, 19}));
    QVERIFY(source.clone().contiguous());
    QVERIFY(source.clone().to_vector<float>() == source.to_vector<float>());
  }
  void convertsAmongTypes() {
    const Tensor t = Tensor::from(std::vector<float>{1.5f, -2.25f, 1e-8f, 70000.0f}, {2, 2});
    QVERIFY(t.to(DType::f64).to_vector<double>() == (std::vector<double>{1.5, -2.25, static_cast<double>(1e-8f), 70000}));
    const auto half = t.to(DType::f16).to_vector<float>();
    QVERIFY(half[0] == 1.5f && half[1] == -2.25f && half[2] == 0.0f && std::isinf(half[3]));
    QCOMPARE(t.to(DType::bf16).bits16()[0], uint16_t{0x3fc0});
    QVERIFY(t.columns(1, 2).to(DType::f64).to_vector<double>() == (std::vector<double>{-2.25, 70000}));
  }
  void borrowedMemoryKeepsItsOwner() {
    auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4});
    const std::weak_ptr<std::vector<float>> watched = owner;
    {
      const Tensor t = Tensor::borrow(owner->data(), {2, 2}, DType::f32, owner);
      owner.reset();
      QVERIFY(!watched.expired());
      QCOMPARE(t.row<float>(1)[1], 4.0f);
    }
    QVERIFY(watched.expired());
  }
  void refusesWhatDoesNotFit() {
    const Tensor t = counting({4, 6});
    VERIFY_THROWS(t.slice(2, 5), ShapeError, "[4, 6]");
    VERIFY_THROWS(t.slice(3, 2), ShapeError, "3 to 2");
    VERIFY_THROWS(t.columns(-1, 2), ShapeError, "columns");
    VERIFY_THROWS(counting({5}).columns(0, 1), ShapeError, "columns");
    VERIFY_THROWS(t.reshaped({5, 5}), ShapeError, "reshape");
    VERIFY_THROWS(t.columns(0, 3).reshaped({12}), ShapeError, "strided");
    VERIFY_THROWS(Tensor::empty({2, -1}), ShapeError, "negative");
    VERIFY_THROWS(Tensor::from(std::vector<float>{1, 2, 3}, {2, 2}), ShapeError, "3 values");
    Tensor target = Tensor::zeros({4, 6}, DType::f64);
    VERIFY_THROWS(target.copy_from(t), DTypeError, "f32 into f64");
    VERIFY_THROWS(target.copy_from(t.slice(0, 3)), ShapeError, "copy");
  }
  void refusesASizeThatOverflows() {
    VERIFY_THROWS(Tensor::empty({int64_t{1} << 40, int64_t{1} << 40}), ShapeError, "too large");
    VERIFY_THROWS(Tensor::empty({int64_t{1} << 61}, DType::f64), ShapeError, "too large");
    VERIFY_THROWS(Tensor::empty({int64_t{1} << 32, int64_t{1} << 31}, DType::u8), ShapeError, "too large");
  }
};

LORIKEET_TEST_MAIN(TensorTest)
#include "tensor_test.moc"
