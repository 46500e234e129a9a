// The runtime's twins in the emulation: memory, copies and products on the host, one card or several that say they are emulated.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "cuda/backend.h"
#include "cuda/device/number.cuh"
#include "cuda/emulation/device_space.h"
#include "cuda/emulation/recording.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/matmul.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/per_card.h"

namespace lorikeet {
namespace {

constexpr int kCapability = 80;
int capability = kCapability;

}  // namespace

GpuList list_gpus() {
  GpuList list;
  for (int card = 0; card < cuda::emulation::device_count(); ++card) {
    GpuInfo g;
    g.index = card;
    g.name = "emulated";
    g.usable = !cuda::emulation::is_too_old(card);
    g.major = g.usable ? capability / 10 : 6;
    g.minor = g.usable ? capability % 10 : 0;
    if (!g.usable) g.reason = "compute capability 6.0; 7.5 or newer is needed";
    g.total_bytes = cuda::emulation::device_bytes(card);
    g.multiprocessors = 1;
    list.gpus.push_back(g);
  }
  list.driver = list.runtime = "emulated";
  return list;
}
uint64_t free_gpu_bytes(int index) {
  const uint64_t all = cuda::emulation::device_bytes(index);
  return all - std::min(all, cuda::emulation::device_bytes_in_use(index));
}

namespace cuda {
namespace {

using emulation::allocate_device;
using emulation::DeviceAccess;
using emulation::recorded;

void copy_now(void* to, const void* from, size_t bytes) {
  const DeviceAccess access;
  for (const void* p : {static_cast<const void*>(to), from}) emulation::check_card(p, "copy");
  std::memcpy(to, from, bytes);
}
void copy(void* to, const void* from, size_t bytes) {
  if (!recorded([=] { copy_now(to, from, bytes); })) copy_now(to, from, bytes);
}
void from_host(void* device, const void* host, size_t bytes) {
  emulation::not_while_recording("a copy from the host");
  copy_now(device, host, bytes);
}
void to_host(void* host, const void* device, size_t bytes) {
  emulation::not_while_recording("a copy to the host");
  copy_now(host, device, bytes);
}
void zero(void* data, size_t bytes) {
  if (recorded([=] { zero(data, bytes); })) return;
  const DeviceAccess access;
  emulation::check_card(data, "zero");
  std::memset(data, 0, bytes);
}

DeviceStatistics statistics() {
  const uint64_t used = emulation::device_bytes_in_use();
  return {used, emulation::device_bytes_peak(), used};
}
uint64_t free_bytes() { return free_gpu_bytes(current_card()); }
void nothing() {}
std::string name() { return "emulated"; }
std::vector<DeviceCard> list() {
  std::vector<DeviceCard> out;
  for (const GpuInfo& g : list_gpus().gpus) out.push_back({g.index, g.name, g.total_bytes, g.usable, g.reason});
  return out;
}
int in_use() { return card_of_thread.wanted; }
bool fast_bf16() { return compute_capability() >= 80; }

/// Copies are made as late as their order allows: what is written over too early, or read too early, is not what it was.
class Away final : public AwayBytes {
 public:
  Away(const void* source, size_t bytes) : source_(static_cast<const char*>(source)), bytes_(bytes) {}
  void sent() override {
    const DeviceAccess access;
    emulation::check_card(source_, "send_away");
    if (data_.empty()) data_.assign(source_, source_ + bytes_);
  }
  void bring_back(void* device) override { to_ = device; }
  void brought() override { copy_now(to_, data_.data(), bytes_); }

 private:
  const char* source_;
  size_t bytes_;
  std::vector<char> data_;
  void* to_ = nullptr;
};
std::unique_ptr<AwayBytes> send_away(const void* device, size_t bytes) {
  emulation::not_while_recording("a copy to the host");
  return std::make_unique<Away>(device, bytes);
}

/// As late as their order allows here too: memory that is written while it is under way sends what was written.
class Stage final : public HostStage {
 public:
  explicit Stage(size_t bytes) : host_(bytes), device_(allocate_device(bytes)) {}
  void* host() override { return host_.data(); }
  void* device() override { return device_.get(); }
  void send(size_t bytes) override { bytes_ = bytes; }
  void sent() override { from_host(device_.get(), host_.data(), bytes_); }
  void fetch() override {}
  void fetched() override { to_host(host_.data(), device_.get(), bytes_); }

 private:
  std::vector<char> host_;
  std::shared_ptr<void> device_;
  size_t bytes_ = 0;
};
std::unique_ptr<HostStage> host_stage(size_t bytes) { return std::make_unique<Stage>(bytes); }

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
  static constexpr DeviceMemory functions{&allocate_device, &from_host, &to_host, &copy, &zero, &statistics, &emulation::reset_device_peak, &free_bytes, &nothing, &name, &fast_bf16,
                                          &send_away, &host_stage, &emulation::set_lifetime, &emulation::record};
  return functions;
}

int compute_capability() { return capability; }
void emulation::set_compute_capability(int chosen) { capability = chosen > 0 ? chosen : kCapability; }

void use_card(int card) { card_of_thread.wanted = card; }
void set_card() {
  if (card_of_thread.wanted < 0 || card_of_thread.wanted >= emulation::device_count())
    throw UnsupportedError("card " + std::to_string(card_of_thread.wanted) + " of " + std::to_string(emulation::device_count()) + " emulated ones");
  card_of_thread.set = card_of_thread.wanted;
}
const DeviceCards& card_functions() {
  static constexpr DeviceCards functions{&list, &free_gpu_bytes, &use_card, &in_use};
  return functions;
}

void matmul(const MatmulArgs& a) {
  if (recorded([a] { matmul(a); })) return;
  const DeviceAccess access;
  for (const void* p : {a.a, a.b, static_cast<const void*>(a.c)}) emulation::check_card(p, "matmul");
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
