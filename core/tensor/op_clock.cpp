#include "core/tensor/op_clock.h"

#include <cstring>

#include "core/base/system.h"

namespace lorikeet {

double OpClock::seconds() const {
  double sum = 0;
  for (const Entry& e : entries_) sum += e.seconds;
  return sum;
}

OpClock::Entry& OpClock::entry(const char* op) {
  for (Entry& e : entries_)
    if (std::strcmp(e.op, op) == 0) return e;
  return entries_.emplace_back(Entry{op});
}

void OpClock::Timed::begin(const char* op) {
  op_ = op;
  caller_ = clock_->running_;
  clock_->running_ = this;
  began_ = monotonic_seconds();
}

void OpClock::Timed::end() {
  const double elapsed = monotonic_seconds() - began_;
  clock_->running_ = caller_;
  if (caller_) caller_->inner_ += elapsed;
  Entry& e = clock_->entry(op_);
  ++e.calls;
  e.seconds += elapsed - inner_;
}

}  // namespace lorikeet
