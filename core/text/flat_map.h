/// A small hash table from 64-bit keys to 64-bit values: merges and tries look up millions of keys a second.
/// Open addressing, linear probing, half full at most. The key ~0 is reserved.
#pragma once
#include <cstdint>
#include <vector>

namespace lorikeet {

class FlatMap {
 public:
  void reserve(size_t entries) {
    size_t slots = 16;
    while (slots < entries * 2) slots *= 2;
    if (slots > slots_.size()) rehash(slots);
  }
  void set(uint64_t key, uint64_t value) {
    if ((count_ + 1) * 2 > slots_.size()) rehash(slots_.empty() ? 16 : slots_.size() * 2);
    Slot& s = slots_[find_slot(key)];
    count_ += s.key == kEmpty;
    s = {key, value};
  }
  const uint64_t* find(uint64_t key) const {
    if (slots_.empty()) return nullptr;
    const Slot& s = slots_[find_slot(key)];
    return s.key == key ? &s.value : nullptr;
  }
  size_t size() const { return count_; }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  struct Slot {
    uint64_t key = kEmpty, value = 0;
  };
  // Finaliser of SplitMix64 (Steele et al. 2014): neighbouring keys land far apart.
  static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }
  size_t find_slot(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    size_t i = mix(key) & mask;
    while (slots_[i].key != kEmpty && slots_[i].key != key) i = (i + 1) & mask;
    return i;
  }
  void rehash(size_t slots) {
    std::vector<Slot> old(slots);
    old.swap(slots_);
    for (const Slot& s : old)
      if (s.key != kEmpty) slots_[find_slot(s.key)] = s;
  }
  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace lorikeet
