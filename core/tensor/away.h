/// Tensors that wait in host memory between the forward and the backward pass, so that a device holds two of them instead of
/// all (checkpoints of blocks: Chen et al. 2016, arXiv:1604.06174, with the checkpoints offloaded). Copies run beside the
/// device's work: one goes out while the next block is computed, and comes back while the block behind it is.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "core/tensor/device_memory.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

class AwayQueue {
 public:
  AwayQueue() = default;
  ~AwayQueue();
  AwayQueue(const AwayQueue&) = delete;
  AwayQueue& operator=(const AwayQueue&) = delete;
  /// A contiguous tensor of a device; returns its number. The one before gives its memory on the device up.
  size_t send(Tensor t);
  /// The tensor of that number, on its device again. Asked for from the last to the first; each is gone afterwards.
  Tensor take(size_t number);

 private:
  struct Entry {
    Tensor here;                  // on the device: until it was copied, and from when it comes back
    std::unique_ptr<AwayBytes> away;
    bool coming = false;
    Shape shape;
    DType dtype = DType::f32;
    DeviceType device = DeviceType::cpu;
  };
  static void bring(Entry& e);
  std::vector<Entry> entries_;
};

}  // namespace lorikeet
