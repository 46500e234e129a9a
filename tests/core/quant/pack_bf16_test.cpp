/// Panels of bf16 straight from stored weights: the bits that decoding to f32 and packing gives, both ways round, for any
/// stretch of rows.
#include "core/ops/cpu_kernels.h"
#include "core/ops/packed_product.h"
#include "tests/core/quant/every_weight.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr uint32_t kUntouched = 0xDEADBEEF;

std::vector<CpuUnit> panel_units() {
  std::vector<CpuUnit> out;
  for (CpuLevel l : cpu_probe().available)
    if (const CpuUnit unit(l, ComputeType::bf16); ops::PackedProduct::offered(unit)) out.push_back(unit);
  return out;
}

/// What the panels should be, with the gaps between them untouched.
std::vector<uint32_t> wanted(const CpuUnit& unit, const FrozenWeight& w, int64_t row, int64_t count, PanelColumns which, size_t words, const Bf16Panels& to) {
  const ops::PackedProduct product(unit);
  const auto rows = decoded(w);
  const float* from = rows.data() + row * w.columns();
  std::vector<uint32_t> out(words, kUntouched);
  const ops::Packed packed{out.data(), to.stride};
  if (which == PanelColumns::rows) product.pack({from, w.columns(), 1}, count, w.columns(), 1, packed);
  else product.pack({from, 1, w.columns()}, w.columns(), count, 1, packed);
  return out;
}

}  // namespace

class PackBf16Test : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void panelsHaveTheBitsOfDecodedRows() {
    Context cx(1);
    for (const CpuUnit& unit : panel_units()) {
      const ops::PackedProduct product(unit);
      for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 32}, {5, 64}, {16, 96}, {49, 256}, {70, 512}, {33, 1536}})
        for (const Named& n : all_weights(cx, rows, columns))
          for (const PanelColumns which : {PanelColumns::rows, PanelColumns::columns})
            for (int64_t row = 0; row < rows; row += 17)
              for (const int64_t count : {rows - row, std::min<int64_t>(rows - row, 20)}) {
                const bool by_rows = which == PanelColumns::rows;
                const int64_t depth = product.steps(by_rows ? columns : count), stride = depth + 16;
                const auto words = static_cast<size_t>(((by_rows ? count : columns) + 15) / 16 * 16 * stride);
                std::vector<uint32_t> out(words, kUntouched);
                const Bf16Panels to{out.data(), stride, depth};
                QVERIFY2(n.weight->pack_bf16(unit, row, count, which, to), n.name.c_str());
                QVERIFY2(out == wanted(unit, *n.weight, row, count, which, words, to),
                         (n.name + " [" + std::to_string(rows) + ", " + std::to_string(columns) + "] from row " + std::to_string(row) + ", " + std::to_string(count) + (by_rows ? " rows" : " columns")).c_str());
              }
    }
  }
  void otherUnitsAndOddWidthsAreLeftToDecoding() {
    Context cx(1);
    std::vector<uint32_t> out(16 * 64);
    for (const Named& n : all_weights(cx, 5, 33))
      for (const CpuUnit& unit : panel_units()) QVERIFY2(!n.weight->pack_bf16(unit, 0, 5, PanelColumns::rows, {out.data(), 17, 17}), n.name.c_str());
    for (const Named& n : all_weights(cx, 5, 64))
      for (CpuLevel l : cpu_probe().available) QVERIFY2(!n.weight->pack_bf16(CpuUnit(l), 0, 5, PanelColumns::rows, {out.data(), 32, 32}), n.name.c_str());
  }
};

LORIKEET_TEST_MAIN(PackBf16Test)
#include "pack_bf16_test.moc"
