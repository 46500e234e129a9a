/// One parallel region over the elements of several tensors, so that small ones leave no thread without work.
#pragma once
#include <algorithm>
#include <vector>

#include "core/base/threads.h"

namespace lorikeet::ops {

/// Splits [0, n) of each of `sizes` into blocks of `block`, as ThreadPool::for_blocks() does with one, and calls
/// body(which, begin, end, thread) for each block.
template <class F>
void for_blocks_of(ThreadPool& pool, const std::vector<int64_t>& sizes, int64_t block, const F& body) {
  std::vector<int64_t> behind;  // the last block of each
  int64_t blocks = 0;
  for (const int64_t n : sizes) behind.push_back(blocks += (n + block - 1) / block);
  pool.run(blocks, [&](int64_t task, int thread) {
    const auto which = static_cast<size_t>(std::upper_bound(behind.begin(), behind.end(), task) - behind.begin());
    const int64_t begin = (task - (which > 0 ? behind[which - 1] : 0)) * block;
    body(which, begin, std::min(begin + block, sizes[which]), thread);
  });
}

}  // namespace lorikeet::ops
