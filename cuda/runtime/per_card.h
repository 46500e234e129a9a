/// Which card this thread works with, and what there is once for each card. Each thread says for itself; the driver is told
/// when the thread first needs it, so that a card no work goes to has no context on it.
#pragma once
#include <array>
#include <atomic>
#include <mutex>

namespace lorikeet::cuda {

constexpr int kMostCards = 64;

struct CardOfThread {
  int wanted = 0, set = 0;  // by use_card(); with the driver, which begins with 0 too
};
inline constinit thread_local CardOfThread card_of_thread;

/// Throws UnsupportedError for a number that no card can have. Whether there is one is asked when it is worked with.
void use_card(int card);
/// Tells the driver. Throws CudaError.
void set_card();
/// Before anything is asked of the driver that depends on the card.
inline int current_card() {
  if (card_of_thread.set != card_of_thread.wanted) set_card();
  return card_of_thread.wanted;
}

/// A T for each card, made when it is first asked for and never destroyed: memory of a device may outlive static
/// destruction, and the driver may be gone by then.
template <class T>
class PerCard {
 public:
  static PerCard& all() {
    static PerCard* const one = new PerCard;
    return *one;
  }
  /// Of the card in use; made by `make()`, with that card set.
  template <class Make>
  T& get(Make make) {
    std::atomic<T*>& place = made_[static_cast<size_t>(current_card())];
    if (T* there = place.load(std::memory_order_acquire)) return *there;
    const std::lock_guard lock(mutex_);
    if (!place.load(std::memory_order_relaxed)) place.store(make(), std::memory_order_release);
    return *place.load(std::memory_order_relaxed);
  }
  /// Null before it was made.
  T* find(int card) const { return made_[static_cast<size_t>(card)].load(std::memory_order_acquire); }

 private:
  std::mutex mutex_;
  std::array<std::atomic<T*>, kMostCards> made_{};
};

/// As in: `static Arena& instance() { return per_card<Arena>([] { return new Arena; }); }`
template <class T, class Make>
T& per_card(Make make) {
  return PerCard<T>::all().get(make);
}

}  // namespace lorikeet::cuda
