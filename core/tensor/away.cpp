#include "core/tensor/away.h"

#include <utility>

#include "core/base/error.h"

namespace lorikeet {

/// A pass that was given up: what is under way must not touch memory that goes to others now.
AwayQueue::~AwayQueue() {
  for (Entry& e : entries_) try {
      if (e.away && e.coming) e.away->brought();
      else if (e.away && e.here.defined()) e.away->sent();
    } catch (...) {  // the device is lost, and nothing is under way
    }
}

size_t AwayQueue::send(Tensor t) {
  if (!t.contiguous()) throw ShapeError("away: " + to_string(t.shape()) + " has gaps between its rows");
  if (!entries_.empty()) {
    Entry& before = entries_.back();
    before.away->sent();
    before.here = Tensor();
  }
  Entry e;
  e.shape = t.shape();
  e.dtype = t.dtype();
  e.device = t.device();
  e.away = device_memory(t.device()).send_away(t.raw(), t.bytes());
  e.here = std::move(t);
  entries_.push_back(std::move(e));
  return entries_.size() - 1;
}

void AwayQueue::bring(Entry& e) {
  if (e.coming || e.here.defined()) return;
  e.here = Tensor::empty(e.shape, e.dtype, e.device);
  e.away->bring_back(e.here.raw());
  e.coming = true;
}

Tensor AwayQueue::take(size_t number) {
  Entry& e = entries_.at(number);
  bring(e);
  if (e.coming) e.away->brought();
  else e.away->sent();  // never left: its copy must not outlive it
  if (number > 0) bring(entries_[number - 1]);
  Tensor out = std::exchange(e.here, Tensor());
  e.away.reset();
  return out;
}

}  // namespace lorikeet
