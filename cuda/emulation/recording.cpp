#include "cuda/emulation/recording.h"

#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace lorikeet::cuda::emulation {
namespace {

using Steps = std::vector<std::function<void()>>;
thread_local Steps* steps = nullptr;
thread_local Lifetime current = Lifetime::lasting;

class Recorded final : public RecordedWork {
 public:
  explicit Recorded(Steps s) : steps_(std::move(s)) {}
  void run() override {
    for (const auto& step : steps_) step();
  }

 private:
  Steps steps_;
};

}  // namespace

bool recording() { return steps != nullptr; }
bool recorded(const std::function<void()>& done) {
  if (steps) steps->push_back(done);
  return steps != nullptr;
}

Lifetime lifetime() { return current; }
Lifetime set_lifetime(Lifetime l) { return std::exchange(current, l); }

std::unique_ptr<RecordedWork> record(const std::function<void()>& work) {
  Steps all;
  struct Scope {
    explicit Scope(Steps& s) { steps = &s; }
    ~Scope() { steps = nullptr; }
  };
  {
    const Scope scope(all);
    work();
  }
  return std::make_unique<Recorded>(std::move(all));
}

void not_while_recording(const char* what) {
  if (recording()) throw UnsupportedError(std::string(what) + " cannot be part of a recorded step");
}

}  // namespace lorikeet::cuda::emulation
