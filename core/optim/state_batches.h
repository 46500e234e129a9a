/// State that lives on the host, batch by batch: what of it is updated together, and, where the parameters are on a device,
/// goes there and comes back together. While the device updates a batch the next one is on its way to it and the one before
/// on its way back (double buffering of optimizer states: Rajbhandari et al. 2021, arXiv:2104.07857). What a step computes
/// does not depend on how the state was divided.
#pragma once
#include <functional>
#include <vector>

#include "core/optim/moments.h"
#include "core/tensor/context.h"

namespace lorikeet {

/// Elements [begin, end) of a parameter, as of one row, and their state.
struct StatePiece {
  size_t parameter;
  int64_t begin, end;
  Moments state;
};
using StateBatch = std::vector<StatePiece>;

constexpr uint64_t kStateBatchBytes = uint64_t{16} << 20;
/// In the order of the parameters; a large one is cut at multiples of 16384 elements, which no update's blocks cross. A batch
/// has at most `most` bytes, each tensor rounded up to StateMemory::room(); `most` is at least 2^18.
std::vector<StateBatch> state_batches(const std::vector<Moments>& state, uint64_t most = kStateBatchBytes);

/// The batch with its state on the device, or with what it has on the host.
using UpdateBatch = std::function<void(const StateBatch&)>;
/// Calls `update` for one batch after the other; afterwards all state is on the host again. Throws OutOfMemoryError before
/// anything was changed where the device has no room for what is under way.
void update_batches(Context& cx, const std::vector<StateBatch>& batches, const StateMemory& memory, const UpdateBatch& update);

}  // namespace lorikeet
