/// Context: where and how an op runs: device, threads, CPU level, scratch memory. One per job thread.
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <typeindex>
#include <vector>

#include "core/base/threads.h"
#include "core/tensor/cpu_level.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

/// The type of rows beside an f32 residual stream where products compute in `c`.
constexpr DType row_type(ComputeType c) { return c == ComputeType::f16 ? DType::f16 : c == ComputeType::bf16 ? DType::bf16 : DType::f32; }

class Context {
 public:
  /// threads = 0: default_threads(). `cpus`: what the threads are pinned to, see ThreadPool.
  explicit Context(int threads = 0, DeviceType device = DeviceType::cpu, std::vector<int> cpus = {});
  DeviceType device() const { return device_; }
  ThreadPool& pool() { return *pool_; }
  int threads() const { return pool_->threads(); }
  CpuLevel level() const { return level_; }
  void set_level(CpuLevel level) { level_ = level; }
  /// What matrix products compute in; f32 unless set. Throws UnsupportedError for f16 on the CPU and bf16 on a device without.
  void set_compute(ComputeType compute);
  CpuUnit unit() const { return {level_, compute_}; }
  /// A tensor on the context's device, contents undefined.
  Tensor empty(Shape shape, DType dtype = DType::f32) const { return Tensor::empty(std::move(shape), dtype, device_); }
  /// Scratch, on the context's device, of at least `bytes` for a thread of the pool, kept between calls and reused; valid until the next call
  /// with the same thread and slot. 64-byte aligned. Slots let one kernel hold several buffers.
  void* scratch(int thread, int slot, size_t bytes);
  /// Scratch shared by all threads of one op.
  void* shared_scratch(int slot, size_t bytes) { return scratch(-1, slot, bytes); }
  size_t scratch_bytes() const;
  /// Keeps what is there now at its place although larger scratch may be asked for later: for recorded work.
  std::vector<std::shared_ptr<void>> hold_scratch() const;
  /// What ops keep from call to call (tables on the device, say): the context's one T, made at the first call.
  template <class T> T& kept() {
    std::shared_ptr<void>& one = kept_[typeid(T)];
    if (!one) one = std::make_shared<T>();
    return *static_cast<T*>(one.get());
  }
  /// And what ops keep.
  void release_scratch();
 private:
  struct Buffer { std::shared_ptr<void> memory; size_t bytes = 0; };
  std::unique_ptr<ThreadPool> pool_;
  DeviceType device_;
  CpuLevel level_;
  ComputeType compute_ = ComputeType::f32;
  std::vector<std::vector<Buffer>> scratch_;  // [thread + 1][slot]
  std::map<std::type_index, std::shared_ptr<void>> kept_;
};

}  // namespace lorikeet
