#include "core/run/jobs.h"

namespace lorikeet {

void PauseGate::set_paused(bool paused) {
  {
    const std::lock_guard lock(mutex_);
    paused_ = paused;
  }
  changed_.notify_all();
}

void PauseGate::wait(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop, [this] { return !paused_; });
}

}  // namespace lorikeet
