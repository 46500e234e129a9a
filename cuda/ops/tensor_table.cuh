/// Tables of tensors, for kernels that go over many of them in one launch: tensors are cut into pieces that are numbered
/// through, a block takes a piece and finds its tensor in the table.
#pragma once
#include <cstddef>
#include <cstring>
#include <list>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/tensor/device_memory.h"
#include "core/tensor/tensor.h"
#include "cuda/device/kernel.cuh"

namespace lorikeet::cuda {

/// The last entry that begins at or before this piece. Entries have a `first_piece` and at least one piece each.
template <class Entry>
__device__ inline const Entry& entry_of(const Entry* table, int entries, int64_t piece) {
  int low = 0, behind = entries;
  while (behind - low > 1) {
    const int middle = (low + behind) / 2;
    if (table[middle].first_piece <= piece) low = middle;
    else behind = middle;
  }
  return table[low];
}

/// Tables on the device, kept with the context (Context::kept()). The one of a training step is mostly that of the step
/// before, which then is not sent again.
class SentTables {
 public:
  /// The table on the device, until as many others as are kept were sent after it.
  template <class Entry>
  const Entry* send(const std::vector<Entry>& table) {
    static_assert(std::has_unique_object_representations_v<Entry>, "tables are compared by their bytes");
    return static_cast<const Entry*>(send(table.data(), table.size() * sizeof(Entry)));
  }

 private:
  static constexpr size_t kMost = 16;
  struct Sent {
    std::vector<std::byte> bytes;
    Tensor there;
  };
  const void* send(const void* table, size_t bytes) {
    for (auto it = sent_.begin(); it != sent_.end(); ++it)
      if (it->bytes.size() == bytes && std::memcmp(it->bytes.data(), table, bytes) == 0) {
        sent_.splice(sent_.begin(), sent_, it);
        return it->there.raw();
      }
    const auto* from = static_cast<const std::byte*>(table);
    Sent made{{from, from + bytes}, Tensor::empty({static_cast<int64_t>(bytes)}, DType::u8, DeviceType::cuda)};
    device_memory(DeviceType::cuda).from_host(made.there.raw(), table, bytes);
    if (sent_.size() == kMost) sent_.pop_back();
    sent_.push_front(std::move(made));
    return sent_.front().there.raw();
  }
  std::list<Sent> sent_;  // the one used last first
};

}  // namespace lorikeet::cuda
