#include "cuda/runtime/pinned.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "cuda/runtime/per_card.h"

namespace lorikeet::cuda {
namespace {

constexpr double kMostOfMachine = 0.4;

}  // namespace

Pinned& Pinned::instance() {
  static Pinned* pinned = new Pinned;  // never destroyed: the driver may be gone by then
  return *pinned;
}

void* Pinned::take(size_t bytes) {
  const std::lock_guard lock(mutex_);
  auto& free = free_[bytes];
  if (!free.empty()) {
    const Buffer b = std::move(free.front());
    free.pop_front();
    b.last_copy->wait();  // of a pass before, and done long ago
    return b.at;
  }
  const auto most = static_cast<uint64_t>(kMostOfMachine * static_cast<double>(total_memory_bytes()));
  if (total_ + bytes > most)
    throw OutOfMemoryError("offload: " + human_bytes(bytes) + " of pinned memory asked, " + human_bytes(total_) + " of at most " + human_bytes(most) + " in use", bytes,
                           most - total_);
  void* at = nullptr;
  LORIKEET_CUDA(cudaMallocHost(&at, bytes));
  total_ += bytes;
  return at;
}

void Pinned::give(void* at, size_t bytes, std::shared_ptr<Event> last_copy) {
  const std::lock_guard lock(mutex_);
  free_[bytes].push_back({at, std::move(last_copy)});
}

CopyStreams& CopyStreams::instance() { return per_card<CopyStreams>([] { return new CopyStreams; }); }

}  // namespace lorikeet::cuda
