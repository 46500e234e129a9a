#include "core/ops/expanded_weight.h"

namespace lorikeet {
namespace {

constexpr int kScratchSlot = 0;

int64_t panel_words(const ops::PackedProduct& product, PanelColumns wanted, int64_t rows, int64_t columns) {
  return wanted == PanelColumns::rows ? product.words(rows, columns) : product.words(columns, rows);
}

}  // namespace

ExpandedWeight::ExpandedWeight(Context& cx, FrozenWeightPtr stored) : FrozenWeight(stored->rows(), stored->columns()), stored_(std::move(stored)) {
  const ops::PackedProduct product(cx.unit());
  for (const PanelColumns wanted : {PanelColumns::rows, PanelColumns::columns}) {
    Tensor& panels = panels_[static_cast<size_t>(wanted)];
    panels = Tensor::empty({2 * panel_words(product, wanted, rows(), columns())}, DType::bf16);
    const ops::Packed out{static_cast<uint32_t*>(panels.raw()), product.steps(wanted == PanelColumns::rows ? columns() : rows())};
    ops::pack_weight(cx, kScratchSlot, product, *stored_, 0, rows(), wanted, out);
  }
}

uint64_t ExpandedWeight::panel_bytes(const CpuUnit& unit, int64_t rows, int64_t columns) {
  const ops::PackedProduct product(unit);
  return sizeof(uint32_t) * static_cast<uint64_t>(panel_words(product, PanelColumns::rows, rows, columns) + panel_words(product, PanelColumns::columns, rows, columns));
}

int64_t most_tokens_to_expand(const CpuUnit& unit) {
  if (!ops::PackedProduct::offered(unit)) return 0;
  return unit.level == CpuLevel::amx ? 256 : 16;
}

}  // namespace lorikeet
