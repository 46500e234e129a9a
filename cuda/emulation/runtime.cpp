// The runtime's twins in the emulation: memory, copies and products on the host, one card that says it is emulated.
#include <algorithm>
#include <cstring>
#include <vector>

#include "cuda/backend.h"
#include "cuda/device/number.cuh"
#include "cuda/emulation/device_space.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/matmul.h"
#include "cuda/runtime/memory.h"

namespace lorikeet {
namespace {

constexpr int kCapability = 80;
int capability = kCapability;

}  // namespace

GpuList list_gpus() {
  GpuList list;
  GpuInfo g;
  g.name = "emulated";
  g.major = capability / 10;
  g.minor = capability % 10;
  g.total_bytes = cuda::emulation::device_bytes();
  g.multiprocessors = 1;
  g.usable = true;
  list.gpus.push_back(g);
  list.driver = list.runtime = "emulated";
  return list;
}
uint64_t free_gpu_bytes(int) { return cuda::emulation::device_bytes() - cuda::emulation::device_bytes_in_use(); }

namespace cuda {
namespace {

using emulation::allocate_device;
using emulation::DeviceAccess;

uint64_t peak = 0;

std::shared_ptr<void> allocate(size_t bytes) {
  auto memory = allocate_device(bytes);
  peak = std::max(peak, emulation::device_bytes_in_use());
  return memory;
}
void copy(void* to, const void* from, size_t bytes) {
  const DeviceAccess access;
  std::memcpy(to, from, bytes);
}
void zero(void* data, size_t bytes) {
  const DeviceAccess access;
  std::memset(data, 0, bytes);
}

DeviceStatistics statistics() {
  const uint64_t used = emulation::device_bytes_in_use();
  return {used, peak, used};
}
uint64_t free_bytes() { return emulation::device_bytes() - std::min(emulation::device_bytes(), emulation::device_bytes_in_use()); }
void reset_peak() { peak = emulation::device_bytes_in_use(); }
void nothing() {}
std::string name() { return "emulated"; }
bool fast_bf16() { return compute_capability() >= 80; }

/// Copies are made as late as their order allows: what is written over too early, or read too early, is not what it was.
class Away final : public AwayBytes {
 public:
  Away(const void* source, size_t bytes) : source_(static_cast<const char*>(source)), bytes_(bytes) {}
  void sent() override {
    const DeviceAccess access;
    if (data_.empty()) data_.assign(source_, source_ + bytes_);
  }
  void bring_back(void* device) override { to_ = device; }
  void brought() override { copy(to_, data_.data(), bytes_); }

 private:
  const char* source_;
  size_t bytes_;
  std::vector<char> data_;
  void* to_ = nullptr;
};
std::unique_ptr<AwayBytes> send_away(const void* device, size_t bytes) { return std::make_unique<Away>(device, bytes); }

double number(const void* data, DType type, int64_t at) {
  if (type == DType::f32) return static_cast<const float*>(data)[at];
  return type == DType::f16 ? f32(static_cast<const Half*>(data)[at]) : f32(static_cast<const Bf16*>(data)[at]);
}
void set(void* data, DType type, int64_t at, float v) {
  if (type == DType::f32) static_cast<float*>(data)[at] = v;
  else if (type == DType::f16) static_cast<Half*>(data)[at] = f16(v);
  else static_cast<Bf16*>(data)[at] = bf16(v);
}
/// [rows, columns] as f64, whichever way it lies.
std::vector<double> operand(const void* data, DType type, int64_t stride, bool turned, int64_t rows, int64_t columns) {
  std::vector<double> out(static_cast<size_t>(rows * columns));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) out[static_cast<size_t>(r * columns + c)] = number(data, type, turned ? c * stride + r : r * stride + c);
  return out;
}

}  // namespace

const DeviceMemory& memory_functions() {
  static constexpr DeviceMemory functions{&allocate, &copy, &copy, &copy, &zero, &statistics, &reset_peak, &free_bytes, &nothing, &name, &fast_bf16, &send_away};
  return functions;
}

int compute_capability() { return capability; }
void emulation::set_compute_capability(int chosen) { capability = chosen > 0 ? chosen : kCapability; }

void matmul(const MatmulArgs& a) {
  const DeviceAccess access;
  const std::vector<double> left = operand(a.a, a.type, a.a_stride, a.a_turned, a.m, a.k), right = operand(a.b, a.type, a.b_stride, a.b_turned, a.k, a.n);
  std::vector<double> sums(static_cast<size_t>(a.n));
  for (int64_t i = 0; i < a.m; ++i) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t p = 0; p < a.k; ++p)
      for (int64_t j = 0; j < a.n; ++j) sums[static_cast<size_t>(j)] += left[static_cast<size_t>(i * a.k + p)] * right[static_cast<size_t>(p * a.n + j)];
    for (int64_t j = 0; j < a.n; ++j) {
      const int64_t at = i * a.c_stride + j;
      const double before = a.accumulate ? number(a.c, a.c_type, at) : 0.0;
      set(a.c, a.c_type, at, static_cast<float>(before + static_cast<double>(a.alpha) * sums[static_cast<size_t>(j)]));
    }
  }
  emulation::check_guards("matmul");
}

}  // namespace cuda
}  // namespace lorikeet
