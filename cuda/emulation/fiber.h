/// Threads of a block on the host: each has a stack of its own and runs until it waits for others. One at a time, all on
/// the operating system's thread that made them.
#pragma once
#include <cstddef>
#include <memory>

namespace lorikeet::cuda::emulation {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  /// Makes `entry(argument)` what the next resume() begins with, whatever ran on this stack before. It must not return
  /// without leave(), nor let an exception out.
  void start(void (*entry)(void*), void* argument);
  /// Runs the fiber until it yields or leaves. From outside of any fiber.
  void resume();
  /// Back to where resume() was called. From inside.
  void yield() { away(false); }
  /// The same for the last time.
  [[noreturn]] void leave();

 private:
  struct State;
  static void begin();
  void away(bool last);
  std::unique_ptr<State> state_;
};

}  // namespace lorikeet::cuda::emulation
