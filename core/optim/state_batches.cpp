#include "core/optim/state_batches.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "core/ops/adamw8bit_update.h"
#include "core/ops/tensor_list.h"
#include "core/tensor/device_memory.h"

namespace lorikeet {
namespace {

constexpr int64_t kCut = 1 << 14;        // elements; the CPU's plain update goes by blocks of so many, the others divide it
constexpr int64_t kCopyBlock = 1 << 20;  // bytes a thread copies at a time
constexpr size_t kUnderWay = 3;          // batches: going there, being updated, coming back
static_assert(kCut % kMomentBlock == 0);

int64_t absmax_of(int64_t elements) { return (elements + kMomentBlock - 1) / kMomentBlock; }

Moments part_of(const Moments& m, int64_t begin, int64_t end) {
  const auto cut = [](const Tensor& t, int64_t from, int64_t to) { return t.reshaped({t.size()}).slice(from, to); };
  Moments part{cut(m.first, begin, end), cut(m.second, begin, end), {}, {}};
  if (!m.coded()) return part;
  part.first_absmax = cut(m.first_absmax, begin / kMomentBlock, absmax_of(end));
  part.second_absmax = cut(m.second_absmax, begin / kMomentBlock, absmax_of(end));
  return part;
}

uint64_t bytes_of(const Moments& m) {
  uint64_t bytes = 0;
  for (const MomentsPart& part : kMomentsParts)
    if (const Tensor& t = m.*part.tensor; t.defined()) bytes += StateMemory::room(t.bytes());
  return bytes;
}
uint64_t bytes_of(const StateBatch& batch) {
  uint64_t bytes = 0;
  for (const StatePiece& piece : batch) bytes += bytes_of(piece.state);
  return bytes;
}

/// The batch's tensors one after the other in other memory, where they are `device`'s.
StateBatch laid_out(const StateBatch& batch, void* memory, DeviceType device) {
  StateBatch there = batch;
  char* at = static_cast<char*>(memory);
  for (StatePiece& piece : there)
    for (const MomentsPart& part : kMomentsParts)
      if (Tensor& t = piece.state.*part.tensor; t.defined()) {
        t = Tensor::borrow(at, t.shape(), t.dtype(), nullptr, device);
        at += StateMemory::room(t.bytes());
      }
  return there;
}

/// Between two places on the host, by all threads.
void copy(Context& cx, StateBatch to, const StateBatch& from) {
  std::vector<Tensor*> targets;
  std::vector<const Tensor*> sources;
  std::vector<int64_t> bytes;
  for (size_t i = 0; i < to.size(); ++i)
    for (const MomentsPart& part : kMomentsParts)
      if (Tensor& t = to[i].state.*part.tensor; t.defined()) {
        targets.push_back(&t);
        sources.push_back(&(from[i].state.*part.tensor));
        bytes.push_back(static_cast<int64_t>(t.bytes()));
      }
  ops::for_blocks_of(cx.pool(), bytes, kCopyBlock, [&](size_t which, int64_t begin, int64_t end, int) {
    std::memcpy(static_cast<char*>(targets[which]->raw()) + begin, static_cast<const char*>(sources[which]->raw()) + begin, static_cast<size_t>(end - begin));
  });
}

/// A place for one batch under way.
class Lane {
 public:
  Lane(Context& cx, const StateMemory& memory, size_t bytes) : cx_(cx), memory_(memory), stage_(device_memory(cx.device()).host_stage(bytes)) {}
  void send(const StateBatch& batch) {
    finish();
    copy(cx_, laid_out(batch, stage_->host(), DeviceType::cpu), batch);
    stage_->send(bytes_of(batch));
  }
  void update(const StateBatch& batch, const UpdateBatch& update) {
    stage_->sent();
    update(laid_out(batch, stage_->device(), cx_.device()));
    stage_->fetch();
    coming_ = &batch;
  }
  /// The batch that was updated last is where it came from.
  void finish() {
    if (!coming_) return;
    const StateBatch& batch = *std::exchange(coming_, nullptr);
    stage_->fetched();
    copy(cx_, batch, laid_out(batch, stage_->host(), DeviceType::cpu));
    for (const StatePiece& piece : batch) memory_.rest(piece.state);
  }

 private:
  Context& cx_;
  const StateMemory& memory_;
  std::unique_ptr<HostStage> stage_;
  const StateBatch* coming_ = nullptr;
};

void expect(const StateMemory& memory, const std::vector<StateBatch>& batches, size_t i) {
  if (i >= batches.size()) return;
  for (const StatePiece& piece : batches[i]) memory.expect(piece.state);
}

void update_on_device(Context& cx, const std::vector<StateBatch>& batches, const StateMemory& memory, const UpdateBatch& update) {
  uint64_t most = 0;
  for (const StateBatch& batch : batches) most = std::max(most, bytes_of(batch));
  std::vector<Lane> lanes;
  for (size_t i = 0; i < std::min(kUnderWay, batches.size()); ++i) lanes.emplace_back(cx, memory, most);
  const auto lane = [&](size_t batch) -> Lane& { return lanes[batch % lanes.size()]; };
  lane(0).send(batches[0]);
  for (size_t i = 0; i < batches.size(); ++i) {
    expect(memory, batches, i + 2);
    lane(i).update(batches[i], update);
    if (i + 1 < batches.size()) lane(i + 1).send(batches[i + 1]);  // after it, so that the device has work meanwhile
  }
  for (size_t i = 0; i < lanes.size(); ++i) lane(batches.size() + i).finish();  // the longest under way first
}

}  // namespace

std::vector<StateBatch> state_batches(const std::vector<Moments>& state, uint64_t most) {
  std::vector<StateBatch> batches;
  uint64_t bytes = 0;
  for (size_t p = 0; p < state.size(); ++p) {
    const Moments& m = state[p];
    const size_t block_bytes = 2 * (kMomentBlock * dtype_bytes(m.first.dtype()) + (m.coded() ? sizeof(float) : 0));
    const int64_t cut = static_cast<int64_t>(most / block_bytes) * kMomentBlock / kCut * kCut;
    for (int64_t begin = 0; begin < m.first.size(); begin += cut) {
      const int64_t end = std::min(begin + cut, m.first.size());
      StatePiece piece{p, begin, end, part_of(m, begin, end)};
      const uint64_t more = bytes_of(piece.state);
      if (batches.empty() || bytes + more > most) {
        batches.emplace_back();
        bytes = 0;
      }
      batches.back().push_back(std::move(piece));
      bytes += more;
    }
  }
  return batches;
}

void update_batches(Context& cx, const std::vector<StateBatch>& batches, const StateMemory& memory, const UpdateBatch& update) {
  if (batches.empty()) return;
  if (cx.device() != DeviceType::cpu) return update_on_device(cx, batches, memory, update);
  for (size_t i = 0; i < batches.size(); ++i) {
    expect(memory, batches, i + 1);
    update(batches[i]);
    for (const StatePiece& piece : batches[i]) memory.rest(piece.state);
  }
}

}  // namespace lorikeet
