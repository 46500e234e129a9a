/// Who touched each two bytes of a block's shared memory last, to find accesses with no barrier between them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lorikeet::cuda::emulation {

class SharedShadow {
 public:
  void reset(size_t bytes);
  /// Empty, or what is wrong: the bytes were written by another thread, or are written while another read them, and
  /// neither a barrier of the block nor one of the warp that both belong to lies in between.
  std::string touch(size_t at, size_t bytes, unsigned thread, bool write);
  void block_barrier() { ++block_epoch_; }
  void warp_barrier(unsigned warp) { ++warp_epochs_[warp]; }

 private:
  struct Access {
    int warp = -1;   // -1: none since the block began; -2: several in this epoch
    int lane = -1;   // -1: several of the warp since its last barrier
    uint32_t block_epoch = 0, warp_epoch = 0;
  };
  struct Cell {
    Access writer, reader;
  };
  bool ordered(const Access& before, unsigned thread) const;

  std::vector<Cell> cells_;
  uint32_t block_epoch_ = 0;
  uint32_t warp_epochs_[32] = {};
};

}  // namespace lorikeet::cuda::emulation
