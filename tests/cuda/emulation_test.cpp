// The emulation runs kernels as a card does and finds planted faults of each kind.
#include <array>

#include "core/tensor/device_memory.h"
#include "cuda/backend.h"
#include "cuda/device/reduce.cuh"
#include "cuda/emulation/block.h"
#include "cuda/emulation/device_space.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::cuda;
using emulation::EmulationError;

namespace {

constexpr int kThreads = 64;

__global__ void write_ranks(int* out) { out[blockIdx.x * blockDim.x + threadIdx.x] = static_cast<int>(blockIdx.x * 1000 + threadIdx.x); }

/// Turns a block's numbers around by way of shared memory; `wait` false: without the barrier.
__global__ void turn_around(const float* in, float* out, bool wait) {
  SharedMemory memory;
  const Shared<float> tile = memory.take<float>(kThreads);
  tile[static_cast<int>(threadIdx.x)] = in[threadIdx.x];
  if (wait) __syncthreads();
  out[threadIdx.x] = tile[kThreads - 1 - static_cast<int>(threadIdx.x)];
}
/// The next round is written before all have read.
__global__ void two_rounds(float* out, bool wait) {
  SharedMemory memory;
  const Shared<float> tile = memory.take<float>(kThreads);
  float sum = 0;
  for (int round = 0; round < 2; ++round) {
    tile[static_cast<int>(threadIdx.x)] = static_cast<float>(round);
    __syncthreads();
    sum += tile[(static_cast<int>(threadIdx.x) + 33) % kThreads];
    if (wait) __syncthreads();
  }
  out[threadIdx.x] = sum;
}
/// Lanes of one warp pass numbers on by shared memory.
__global__ void within_a_warp(float* out, bool wait) {
  SharedMemory memory;
  const Shared<float> tile = memory.take<float>(kThreads);
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = static_cast<float>(t);
  if (wait) __syncwarp();
  out[t] = tile[t ^ 1];
}
__global__ void off_by_one(float* out, int n) {
  for (int i = static_cast<int>(threadIdx.x); i <= n; i += kThreads) out[i] = 1.0f;
}
__global__ void past_shared_memory(float* out) {
  SharedMemory memory;
  const Shared<float> tile = memory.take<float>(kThreads);
  tile[static_cast<int>(threadIdx.x) + 1] = 1.0f;
  out[threadIdx.x] = 0;
}
__global__ void leaves_before_the_barrier(float* out) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  out[threadIdx.x] = 0;
}
__global__ void different_barriers(float* out) {
  if (threadIdx.x < 32) __syncthreads();
  else
    __syncthreads();
  out[threadIdx.x] = 0;
}
__global__ void half_a_warp_shuffles(float* out) {
  float v = static_cast<float>(threadIdx.x);
  if (threadIdx.x % 2 == 0) v = __shfl_xor_sync(kWholeWarp, v, 2);
  out[threadIdx.x] = v;
}
__global__ void reads_unwritten_shared(float* out) {
  SharedMemory memory;
  const Shared<float> tile = memory.take<float>(kThreads);
  out[threadIdx.x] = tile[static_cast<int>(threadIdx.x)];
}
/// The last thread to come wins: what it gives depends on the order.
__global__ void race_in_memory(float* out) { out[0] = static_cast<float>(threadIdx.x); }

__global__ void warp_words(unsigned* out) {
  const unsigned lane = threadIdx.x % 32;
  out[threadIdx.x] = __ballot_sync(kWholeWarp, lane % 3 == 0) + static_cast<unsigned>(__any_sync(kWholeWarp, lane == 7)) + static_cast<unsigned>(__all_sync(kWholeWarp, lane == 7)) +
                     __shfl_up_sync(kWholeWarp, lane, 1) + __shfl_down_sync(kWholeWarp, lane, 1) + __shfl_sync(kWholeWarp, lane, 5);
}
__global__ void sums(const float* in, float* out) {
  SharedMemory memory;
  const Shared<float> shared = memory.take<float>(kThreads / kWarpThreads);
  for (int round = 0; round < 3; ++round) {
    const float sum = block_sum<kThreads>(in[threadIdx.x] * static_cast<float>(round + 1), shared);
    const float most = block_max<kThreads>(in[threadIdx.x], shared);
    if (threadIdx.x == 63) out[round] = sum + 1000 * most;
  }
}

Tensor gpu(Shape shape) { return Tensor::empty(std::move(shape), DType::f32, DeviceType::cuda); }
size_t one_tile() { return SharedSize().take<float>(kThreads).bytes; }

}  // namespace

class EmulationTest : public QObject {
  Q_OBJECT

  void run_seeded(uint64_t seed, const std::function<void()>& what) {
    emulation::set_seed(seed);
    struct Reset { ~Reset() { emulation::set_seed(0); } } reset;
    what();
  }

 private slots:
  void initTestCase() { register_cuda_kernels(); }

  void everyThreadRunsOnce_data() {
    QTest::addColumn<int>("seed");
    for (int seed : {0, 1, 99}) QTest::addRow("seed %d", seed) << seed;
  }
  void everyThreadRunsOnce() {
    QFETCH(int, seed);
    run_seeded(static_cast<uint64_t>(seed), [&] {
      Tensor out = Tensor::empty({3 * kThreads}, DType::i32, DeviceType::cuda);
      launch("write_ranks", &write_ranks, {3}, kThreads, 0, out.data<int>());
      const auto got = out.to_vector<int32_t>();
      for (int b = 0; b < 3; ++b)
        for (int t = 0; t < kThreads; ++t) QCOMPARE(got[static_cast<size_t>(b * kThreads + t)], b * 1000 + t);
      const Tensor in = lorikeet::test::random_tensor({kThreads}, 1).on(DeviceType::cuda);
      Tensor turned = gpu({kThreads});
      launch("turn_around", &turn_around, {1}, kThreads, one_tile(), in.data<float>(), turned.data<float>(), true);
      const auto from = in.to_vector<float>(), to = turned.to_vector<float>();
      for (size_t i = 0; i < kThreads; ++i) QCOMPARE(to[i], from[kThreads - 1 - i]);
    });
  }

  void wordsOfAWarp() {
    Tensor out = Tensor::empty({kThreads}, DType::i32, DeviceType::cuda);
    launch("warp_words", &warp_words, {1}, kThreads, 0, reinterpret_cast<unsigned*>(out.data<int32_t>()));
    const auto got = out.to_vector<int32_t>();
    const unsigned ballot = 0x49249249u;
    for (unsigned t = 0; t < kThreads; ++t) {
      const unsigned lane = t % 32;
      QCOMPARE(static_cast<unsigned>(got[t]), ballot + 1 + 0 + (lane ? lane - 1 : 0) + (lane < 31 ? lane + 1 : 31) + 5);
    }
  }

  void sumsOfABlock() {
    const Tensor in = lorikeet::test::random_tensor({kThreads}, 3);
    Tensor out = gpu({3});
    launch("sums", &sums, {1}, kThreads, SharedSize().take<float>(kThreads / kWarpThreads).bytes, in.on(DeviceType::cuda).data<float>(), out.data<float>());
    const auto values = in.to_vector<double>(), got = out.to_vector<double>();
    double sum = 0, most = values[0];
    for (const double v : values) {
      sum += v;
      most = std::max(most, v);
    }
    for (int r = 0; r < 3; ++r) QVERIFY(std::abs(got[static_cast<size_t>(r)] - sum * (r + 1) - 1000 * most) < 1e-3);
  }

  void missingBarriersAreFound_data() {
    QTest::addColumn<int>("seed");
    for (int seed : {0, 5}) QTest::addRow("seed %d", seed) << seed;
  }
  void missingBarriersAreFound() {
    QFETCH(int, seed);
    run_seeded(static_cast<uint64_t>(seed), [&] {
      const Tensor in = lorikeet::test::random_tensor({kThreads}, 1).on(DeviceType::cuda);
      Tensor out = gpu({kThreads});
      VERIFY_THROWS((launch("turn_around", &turn_around, {1}, kThreads, one_tile(), in.data<float>(), out.data<float>(), false), 0), EmulationError, "with no barrier in between");
      VERIFY_THROWS((launch("two_rounds", &two_rounds, {1}, kThreads, one_tile(), out.data<float>(), false), 0), EmulationError, "with no barrier in between");
      VERIFY_THROWS((launch("within_a_warp", &within_a_warp, {1}, kThreads, one_tile(), out.data<float>(), false), 0), EmulationError, "kernel within_a_warp, block 0 0 0, thread");
      launch("two_rounds", &two_rounds, {1}, kThreads, one_tile(), out.data<float>(), true);
      QCOMPARE(out.to_vector<float>()[7], 1.0f);
      launch("within_a_warp", &within_a_warp, {1}, kThreads, one_tile(), out.data<float>(), true);
      QCOMPARE(out.to_vector<float>()[6], 7.0f);
    });
  }

  void placesThatAreNotTheirsAreFound() {
    Tensor out = gpu({100});
#if !defined(__SANITIZE_ADDRESS__)  // which ends the program at the access
    VERIFY_THROWS((launch("off_by_one", &off_by_one, {1}, kThreads, 0, out.data<float>(), 100), 0), EmulationError, "off_by_one: memory behind an array of 400 bytes was written");
#endif
    launch("off_by_one", &off_by_one, {1}, kThreads, 0, out.data<float>(), 99);
    VERIFY_THROWS((launch("past_shared_memory", &past_shared_memory, {1}, kThreads, one_tile(), out.data<float>()), 0), EmulationError, "bytes 256 to 260 of shared memory are written; the block has 256");
    VERIFY_THROWS((launch("turn_around", &turn_around, {1}, kThreads, one_tile() - 16, out.data<float>(), out.data<float>(), true), 0), EmulationError, "more shared memory than it was started with");
  }

  void barriersThatNotAllReachAreFound() {
    Tensor out = gpu({kThreads});
    VERIFY_THROWS((launch("leaves", &leaves_before_the_barrier, {1}, kThreads, 0, out.data<float>()), 0), EmulationError, "1 of 64 threads have left, the others wait for ever: thread 0 0 0 waits for the block at emulation_test.cpp");
    VERIFY_THROWS((launch("different", &different_barriers, {1}, kThreads, 0, out.data<float>()), 0), EmulationError, "wait at different barriers");
    VERIFY_THROWS((launch("half", &half_a_warp_shuffles, {1}, kThreads, 0, out.data<float>()), 0), EmulationError, "wait for ever");
  }

  void whatWasNeverWrittenIsNaN() {
    Tensor out = gpu({kThreads});
    launch("reads_unwritten_shared", &reads_unwritten_shared, {1}, kThreads, one_tile(), out.data<float>());
    QVERIFY(std::isnan(out.to_vector<float>()[3]));
    QVERIFY(std::isnan(gpu({4}).to_vector<float>()[3]));
    QVERIFY(std::isnan(Tensor::empty({4}, DType::bf16, DeviceType::cuda).to_vector<float>()[3]));
  }

  void racesInMemoryShowByTheSeed() {
    Tensor out = gpu({1});
    std::array<float, 2> got;
    for (int i = 0; i < 2; ++i) {
      run_seeded(static_cast<uint64_t>(i), [&] { launch("race_in_memory", &race_in_memory, {1}, kThreads, 0, out.data<float>()); });
      got[static_cast<size_t>(i)] = out.to_vector<float>()[0];
    }
    QVERIFY(got[0] != got[1]);
  }

  void sizesNoCardHasAreRefused() {
    Tensor out = gpu({kThreads});
    VERIFY_THROWS((launch("k", &race_in_memory, {0}, kThreads, 0, out.data<float>()), 0), EmulationError, "an empty grid");
    VERIFY_THROWS((launch("k", &race_in_memory, {1}, 1025, 0, out.data<float>()), 0), EmulationError, "1 to 1024 are possible");
    VERIFY_THROWS((launch("k", &race_in_memory, {1, 70000}, 32, 0, out.data<float>()), 0), EmulationError, "too large");
    VERIFY_THROWS((launch("k", &race_in_memory, {1}, 32, 300 << 10, out.data<float>()), 0), EmulationError, "no card has them");
  }

  void recordedWorkIsDoneWhenItRuns() {
    Tensor out = gpu({kThreads});
    const DeviceMemory& memory = device_memory(DeviceType::cuda);
    const auto work = memory.record([&] {
      const LifetimeScope step(DeviceType::cuda, Lifetime::step);
      Tensor in = Tensor::zeros({kThreads}, DType::f32, DeviceType::cuda);
      launch("turn_around", &turn_around, {1}, kThreads, one_tile(), in.data<float>(), out.data<float>(), true);
    });
    QVERIFY(std::isnan(out.to_vector<float>()[0]));
    for (int i = 0; i < 2; ++i) {
      out.fill(1);
      work->run();
      QCOMPARE(out.to_vector<float>()[5], 0.0f);
    }
  }

  void recordedWorkWhoseMemorySomethingElseHas() {
    const DeviceMemory& memory = device_memory(DeviceType::cuda);
    const LifetimeScope step(DeviceType::cuda, Lifetime::step);
    const auto work = memory.record([&] { Tensor::zeros({kThreads}, DType::f32, DeviceType::cuda); });
    work->run();
    const Tensor other = gpu({4});
    VERIFY_THROWS((work->run(), 0), EmulationError, "that something else has by now");
  }

  void whatCannotBeRecorded() {
    const DeviceMemory& memory = device_memory(DeviceType::cuda);
    Tensor out = gpu({kThreads});
    VERIFY_THROWS(memory.record([&] { out.to_vector<float>(); }), UnsupportedError, "a copy to the host cannot be part");
    VERIFY_THROWS(memory.record([&] { out.fill(1); }), UnsupportedError, "a copy from the host cannot be part");
    VERIFY_THROWS(memory.record([&] { gpu({4}); }), UnsupportedError, "memory that lasts");
    out.fill(2);  // and nothing is recorded any more
    QCOMPARE(out.to_vector<float>()[0], 2.0f);
  }

  void memoryHasAnEnd() {
    emulation::set_device_bytes(1 << 20);
    VERIFY_THROWS(gpu({1 << 20}), OutOfMemoryError, "4.2 MB asked, 1.0 MB of 1.0 MB free");
    const Tensor small = gpu({1 << 10});
    emulation::set_device_bytes(0);
    QVERIFY(small.defined());
  }
};

LORIKEET_TEST_MAIN(EmulationTest)
#include "emulation_test.moc"
