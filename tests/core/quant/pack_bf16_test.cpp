/// Panels of bf16 straight from stored weights: the bits that decoding to f32 and packing gives, both ways round, for any
/// stretch of rows.
#include "core/ops/adapted_linear.h"
#include "core/ops/cpu_kernels.h"
#include "core/ops/expanded_weight.h"
#include "core/ops/packed_product.h"
#include "tests/core/ops/op_support.h"
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

struct Results { Tensor y, dx, da, db; };

/// The layer on rows of bf16, forward and backward.
Results layer(Context& cx, const FrozenWeight& w, int64_t tokens) {
  constexpr int64_t kRank = 3;
  const Tensor x = random_tensor({tokens, w.columns()}, 1, DType::bf16), dy = random_tensor({tokens, w.rows()}, 2, DType::bf16);
  const Tensor a = random_tensor({kRank, w.columns()}, 3), b = random_tensor({w.rows(), kRank}, 4);
  Tensor h = Tensor::empty({tokens, kRank}, DType::bf16);
  Results r{Tensor::empty({tokens, w.rows()}, DType::bf16), Tensor::empty({tokens, w.columns()}), Tensor::zeros(a.shape()), Tensor::zeros(b.shape())};
  adapted_linear(cx, {.x = x, .w = w, .bias = nullptr, .y = r.y, .a = &a, .b = &b, .scale = 2, .h = &h, .dropout = 0, .dropout_seed = 0});
  adapted_linear_backward(cx, {.dy = dy, .x = x, .w = w, .a = &a, .b = &b, .h = &h, .scale = 2, .dropout = 0, .dropout_seed = 0, .dx = &r.dx, .accumulate_dx = false, .da = &r.da, .db = &r.db});
  return r;
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
  // The last shape takes its gradient in two stretches of rows.
  void keptPanelsChangeNoBit() {
    for (const CpuUnit& unit : panel_units()) {
      const WithLevel forced(unit.level);
      Context cx(2);
      cx.set_compute(ComputeType::bf16);
      for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 33}, {5, 64}, {70, 256}, {33, 95}, {1701, 2600}}) {
        const auto values = normal_values(rows * columns, 9);
        for (const char* format : {"nf4", "int8", "int3", "bf16", "f32"}) {
          const FrozenWeightPtr stored = encoded(cx, format, values, rows);
          const ExpandedWeight expanded(cx, stored);
          QCOMPARE(expanded.bytes(), stored->bytes() + ExpandedWeight::panel_bytes(unit, rows, columns));
          for (int64_t tokens : {1, 5, 70}) {
            const Results plain = layer(cx, *stored, tokens), kept = layer(cx, expanded, tokens);
            for (const auto& [found, wanted] : {std::pair{&kept.y, &plain.y}, {&kept.dx, &plain.dx}, {&kept.da, &plain.da}, {&kept.db, &plain.db}})
              QVERIFY2(test::same_bits(*found, *wanted), (std::string(format) + " [" + std::to_string(rows) + ", " + std::to_string(columns) + "] x " + std::to_string(tokens)).c_str());
          }
        }
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
