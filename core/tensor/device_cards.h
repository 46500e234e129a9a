/// Several devices of one kind: which there are, and which of them a thread works with. A backend registers its functions
/// here beside its memory (device_memory.h). Memory goes back to the card it came from, whatever thread lets it go.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor/dtype.h"

namespace lorikeet {

struct DeviceCard {
  int number = 0;      // as the driver counts
  std::string name;    // as the maker calls it
  uint64_t bytes = 0;  // of its memory
  bool usable = false;
  std::string reason;  // why not usable, else empty
};
struct DeviceCards {
  /// All there are, usable or not, by number. Starts nothing on any.
  std::vector<DeviceCard> (*list)();
  /// Bytes that this process could have there now: left by all programs, or its own and idle.
  uint64_t (*room)(int card);
  /// Where this thread's memory and work are from now on; card 0 before the first call. Costs nothing until it is worked with.
  void (*use)(int card);
  int (*in_use)();
};
/// Null takes them away. Before any thread starts.
void set_device_cards(DeviceType device, const DeviceCards* cards);
/// Null for the host, and where nothing is registered.
const DeviceCards* device_cards(DeviceType device);

/// While it lives, this thread works with one card; then with the one before. For the host it does nothing.
class CardScope {
 public:
  CardScope(DeviceType device, int card) : cards_(device_cards(device)) {
    if (!cards_) return;
    before_ = cards_->in_use();
    cards_->use(card);
  }
  ~CardScope() {
    if (cards_) cards_->use(before_);
  }
  CardScope(const CardScope&) = delete;
  CardScope& operator=(const CardScope&) = delete;

 private:
  const DeviceCards* cards_;
  int before_ = 0;
};

}  // namespace lorikeet
