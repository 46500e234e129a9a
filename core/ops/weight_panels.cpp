#include "core/ops/weight_panels.h"

#include <algorithm>

namespace lorikeet::ops {
namespace {

constexpr int64_t kRowsATask = 64;
constexpr int64_t kDecodedRows = 32;  // at a time: whole panels, and whole steps of every unit

}  // namespace

void pack_weight(Context& cx, int thread, int slot, const PackedProduct& product, const FrozenWeight& w, int64_t row, int64_t count, PanelColumns wanted, const Packed& out) {
  const int64_t in = w.columns();
  const bool by_rows = wanted == PanelColumns::rows;
  if (w.pack_bf16(cx.unit(), row, count, wanted, {out.data, out.steps, product.steps(by_rows ? in : count)})) return;
  const float* plain = w.plain_f32();
  float* rows = plain ? nullptr : static_cast<float*>(cx.scratch(thread, slot, static_cast<size_t>(kDecodedRows * in) * sizeof(float)));
  for (int64_t i = 0; i < count; i += kDecodedRows) {
    const int64_t some = std::min(kDecodedRows, count - i);
    if (!plain) w.decode_rows(row + i, some, rows, in);
    const float* from = plain ? plain + (row + i) * in : rows;
    if (by_rows) product.pack({from, in, 1}, some, in, 1, out.from(i));
    else product.pack({from, 1, in}, in, some, 1, out.from(0, i / 2));
  }
}

void pack_weight(Context& cx, int slot, const PackedProduct& product, const FrozenWeight& w, int64_t row, int64_t count, PanelColumns wanted, const Packed& out) {
  cx.pool().for_blocks(count, kRowsATask, [&](int64_t begin, int64_t end, int thread) {
    pack_weight(cx, thread, slot, product, w, row + begin, end - begin, wanted, wanted == PanelColumns::rows ? out.from(begin) : out.from(0, begin / 2));
  });
}

}  // namespace lorikeet::ops
