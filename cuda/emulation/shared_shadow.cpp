#include "cuda/emulation/shared_shadow.h"

#include <fmt/format.h>

namespace lorikeet::cuda::emulation {
namespace {

constexpr size_t kCell = 2;
constexpr unsigned kLanes = 32;

}  // namespace

void SharedShadow::reset(size_t bytes) {
  cells_.assign((bytes + kCell - 1) / kCell, {});
  block_epoch_ = 0;
  for (uint32_t& e : warp_epochs_) e = 0;
}

/// Whether an access before this moment is known to come before one of `thread` now.
bool SharedShadow::ordered(const Access& before, unsigned thread) const {
  if (before.warp == -1 || before.block_epoch != block_epoch_) return true;
  const auto warp = static_cast<int>(thread / kLanes), lane = static_cast<int>(thread % kLanes);
  if (before.warp != warp) return false;
  return before.lane == lane || before.warp_epoch < warp_epochs_[warp];
}

std::string SharedShadow::touch(size_t at, size_t bytes, unsigned thread, bool write) {
  const auto warp = static_cast<int>(thread / kLanes), lane = static_cast<int>(thread % kLanes);
  const Access now{warp, lane, block_epoch_, warp_epochs_[warp]};
  const auto race = [&](size_t cell, const char* what, const char* before) {
    return fmt::format("byte {} of shared memory is {} by thread {} after another thread {} it, with no barrier in between", cell * kCell, what, thread, before);
  };
  for (size_t c = at / kCell; c <= (at + bytes - 1) / kCell; ++c) {
    Cell& cell = cells_[c];
    if (!ordered(cell.writer, thread)) return race(c, write ? "written" : "read", "wrote");
    if (write) {
      if (!ordered(cell.reader, thread)) return race(c, "written", "read");
      cell.writer = now;
      cell.reader = {};
      continue;
    }
    Access& r = cell.reader;
    const bool same_epoch = r.warp != -1 && r.block_epoch == block_epoch_;
    if (!same_epoch || (r.warp == warp && r.warp_epoch < now.warp_epoch)) r = now;
    else if (r.warp != warp) r.warp = -2;
    else if (r.lane != lane) r.lane = -1;
  }
  return {};
}

}  // namespace lorikeet::cuda::emulation
