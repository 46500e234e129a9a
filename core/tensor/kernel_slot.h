/// One slot per op with a place per device. Filled once by the kernel lists (core/ops/cpu_kernels.cpp,
/// cuda/backend.cu) before any thread starts; read only by the op's dispatch.
#pragma once
#include <array>
#include <string>

#include "core/base/error.h"
#include "core/tensor/dtype.h"
#include "core/tensor/op_clock.h"

namespace lorikeet {

template <class Fn>
class KernelSlot {
 public:
  explicit KernelSlot(const char* op) : op_(op) {}
  void set(DeviceType d, Fn fn) { fns_[static_cast<size_t>(d)] = fn; }
  bool has(DeviceType d) const { return fns_[static_cast<size_t>(d)] != nullptr; }
  Fn get(DeviceType d) const {
    if (Fn fn = fns_[static_cast<size_t>(d)]) return fn;
    throw UnsupportedError(std::string(op_) + ": no kernel for " + std::string(device_name(d)) + " in this build");
  }
  /// Calls the kernel for the context's device; the one place where an OpClock sees an op.
  template <class Cx, class Args>
  void run(Cx& cx, const Args& a) const {
    const Fn fn = get(cx.device());
    const OpClock::Timed timed(op_);
    fn(cx, a);
  }

 private:
  const char* op_;
  std::array<Fn, kDeviceTypes> fns_{};
};

}  // namespace lorikeet
