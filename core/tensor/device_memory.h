/// Memory of devices other than the host, as tensors see it: a backend registers its functions here when it is there, and
/// Tensor asks them. Work on a device is in order: what is copied back was computed before.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/tensor/dtype.h"

namespace lorikeet {

struct DeviceStatistics {
  uint64_t live_bytes = 0;      // handed out
  uint64_t peak_bytes = 0;      // largest live_bytes since reset_peak()
  uint64_t reserved_bytes = 0;  // taken from the device
};
/// Bytes of a device in host memory. Each step is in order with what the device was given before it; none makes the host wait.
class AwayBytes {
 public:
  virtual ~AwayBytes() = default;
  /// From now on the device may write over what was sent.
  virtual void sent() = 0;
  /// Begins the way back, to memory that nothing given to the device before now still uses.
  virtual void bring_back(void* device) = 0;
  /// What the device is given from now on finds the bytes there.
  virtual void brought() = 0;
};
/// Work that was recorded and is given to the device again as a whole: the same kernels at the same addresses.
class RecordedWork {
 public:
  virtual ~RecordedWork() = default;
  virtual void run() = 0;
};
/// What memory is asked for. What a step allocates is gone at its end; it comes from memory of its own, so that recorded
/// steps find nothing else at their addresses.
enum class Lifetime { lasting, step };
/// A piece of host memory that a device reads and writes beside its other work, and a piece of the device's memory of the
/// same size. One way after the other: filled, send(), sent(), used there, fetch(), fetched(), read, filled again.
class HostStage {
 public:
  virtual ~HostStage() = default;
  virtual void* host() = 0;    // the host's until send(), and again from fetched() on
  virtual void* device() = 0;  // for what the device is given between sent() and fetch()
  /// Begins the way of the first `bytes` to the device; as many come back.
  virtual void send(size_t bytes) = 0;
  /// What the device is given from now on finds the bytes there.
  virtual void sent() = 0;
  /// Begins the way back, once the device has done what it was given before.
  virtual void fetch() = 0;
  /// Waits until the bytes are on the host.
  virtual void fetched() = 0;
};
struct DeviceMemory {
  /// Contents undefined, 256-byte aligned. Throws OutOfMemoryError(asked, free).
  std::shared_ptr<void> (*allocate)(size_t bytes);
  /// Copies that have been made, or read their source, when they return.
  void (*from_host)(void* device, const void* host, size_t bytes);
  void (*to_host)(void* host, const void* device, size_t bytes);
  /// In order with the device's other work; the ranges do not overlap.
  void (*copy)(void* to, const void* from, size_t bytes);
  void (*zero)(void* data, size_t bytes);
  DeviceStatistics (*statistics)();
  void (*reset_peak)();
  /// Left on the device by all programs. Asks the driver: not within a step.
  uint64_t (*free_bytes)();
  /// Waits until all work given to the device is done.
  void (*synchronize)();
  /// As the maker calls it.
  std::string (*name)();
  /// Whether its products of bf16 numbers are fast (sm_80 and newer).
  bool (*fast_bf16)();
  /// Begins to copy to host memory, beside the device's other work. Throws OutOfMemoryError (of the host).
  std::unique_ptr<AwayBytes> (*send_away)(const void* device, size_t bytes);
  /// Throws OutOfMemoryError (of the device).
  std::unique_ptr<HostStage> (*host_stage)(size_t bytes);
  /// Of what this thread allocates from now on; returns what it was before.
  Lifetime (*set_lifetime)(Lifetime lifetime);
  /// Runs `work`, whose kernels, products and copies within the device are recorded and not done. All it allocates is step
  /// memory and free again at its end. Throws UnsupportedError for copies from or to the host, which cannot be repeated.
  std::unique_ptr<RecordedWork> (*record)(const std::function<void()>& work);
};
/// Sets the lifetime of this thread's allocations on a device while it lives; nothing on the host.
class LifetimeScope {
 public:
  LifetimeScope(DeviceType device, Lifetime lifetime);
  ~LifetimeScope();
  LifetimeScope(const LifetimeScope&) = delete;
  LifetimeScope& operator=(const LifetimeScope&) = delete;

 private:
  const DeviceMemory* memory_ = nullptr;
  Lifetime before_ = Lifetime::lasting;
};
/// Null takes a device's memory away. Before any thread starts.
void set_device_memory(DeviceType device, const DeviceMemory* memory);
/// Throws UnsupportedError when nothing is registered for the device; not for the host.
const DeviceMemory& device_memory(DeviceType device);
bool has_device(DeviceType device);

}  // namespace lorikeet
