#include "core/tensor/context.h"

#include "core/base/error.h"
#include "core/tensor/device_memory.h"
#include "core/tensor/host_arena.h"

namespace lorikeet {

Context::Context(int threads, DeviceType device, std::vector<int> cpus)
    : pool_(std::make_unique<ThreadPool>(threads > 0 ? threads : default_threads(), std::move(cpus))), device_(device), level_(cpu_level()) {
  scratch_.resize(static_cast<size_t>(pool_->threads()) + 1);
  for (auto& slots : scratch_) slots.resize(8);
}

void Context::set_compute(ComputeType compute) {
  if (compute == ComputeType::f16 && device_ == DeviceType::cpu) throw UnsupportedError("products of f16 numbers are computed on a GPU only; use bf16 or f32 on the CPU");
  if (compute == ComputeType::bf16 && device_ != DeviceType::cpu && !device_memory(device_).fast_bf16())
    throw UnsupportedError("this GPU is older than compute capability 8.0 and multiplies no bf16 numbers; use f16 or f32");
  compute_ = compute;
}

void* Context::scratch(int thread, int slot, size_t bytes) {
  Buffer& b = scratch_.at(static_cast<size_t>(thread + 1)).at(static_cast<size_t>(slot));
  if (b.bytes < bytes) {
    b.memory.reset();  // first give back, then ask: the two never stand side by side
    b.bytes = 0;
    const LifetimeScope kept(device_, Lifetime::lasting);
    b.memory = device_ == DeviceType::cpu ? arena_allocate(bytes) : device_memory(device_).allocate(bytes);
    b.bytes = bytes;
  }
  return b.memory.get();
}

size_t Context::scratch_bytes() const {
  size_t total = 0;
  for (const auto& slots : scratch_)
    for (const auto& b : slots) total += b.bytes;
  return total;
}

std::vector<std::shared_ptr<void>> Context::hold_scratch() const {
  std::vector<std::shared_ptr<void>> held;
  for (const auto& slots : scratch_)
    for (const auto& b : slots)
      if (b.memory) held.push_back(b.memory);
  return held;
}

void Context::release_scratch() {
  for (auto& slots : scratch_)
    for (auto& b : slots) b = {};
  kept_.clear();
}

}  // namespace lorikeet
