// Products of matrices by a warp and asynchronous copies, as the emulation does them, against plain loops; and that it finds
// planted faults.
#include "core/ops/attention.h"
#include "cuda/backend.h"
#include "cuda/device/async_copy.cuh"
#include "cuda/device/mma.cuh"
#include "cuda/emulation/device_space.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::cuda;
using emulation::EmulationError;

namespace {

/// Each lane's words as the PTX ISA gives them, from plain matrices: A [16, depth], B [depth, 8], C [16, 8].
/// `fault` swaps two words of A.
template <class T, int kDepth>
__global__ void product_kernel(const uint16_t* a, const uint16_t* b, float* c, bool fault) {
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  const auto a_pair = [&](int row, int k) { return static_cast<uint32_t>(a[row * kDepth + k]) | static_cast<uint32_t>(a[row * kDepth + k + 1]) << 16; };
  const auto b_pair = [&](int k, int column) { return static_cast<uint32_t>(b[k * 8 + column]) | static_cast<uint32_t>(b[(k + 1) * 8 + column]) << 16; };
  float sum[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
  if constexpr (kDepth == 16) {
    uint32_t part[4] = {a_pair(g, 2 * t), a_pair(g + 8, 2 * t), a_pair(g, 2 * t + 8), a_pair(g + 8, 2 * t + 8)};
    if (fault) std::swap(part[1], part[2]);
    mma<T>(sum, part, b_pair(2 * t, g), b_pair(2 * t + 8, g));
  } else {
    uint32_t part[2] = {a_pair(g, 2 * t), a_pair(g + 8, 2 * t)};
    if (fault) std::swap(part[0], part[1]);
    mma_f16(sum, part, b_pair(2 * t, g));
  }
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sum[i];
}

constexpr int kRows = 32, kStride = 24;  // of a tile; 48 bytes a row

enum Fault { none, no_wait, no_barrier, odd_row };

/// Words that a lane gets of four 8 x 8 matrices of a tile, copied there asynchronously.
__global__ void matrices_kernel(const Bf16* in, uint32_t* out, bool turned, int fault) {
  SharedMemory memory;
  const Shared<Bf16> tile = memory.take<Bf16>(kRows * kStride);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kStride / 8; i += static_cast<int>(blockDim.x)) copy_async_16(tile, i * 8, in + i * 8);
  commit_copies();
  if (fault != no_wait) wait_copies<0>();
  if (fault != no_barrier) __syncthreads();
  uint32_t r[4];
  const int at = lane * kStride + (fault == odd_row ? 4 : 8);
  if (turned) load_matrices_turned(r, tile, at);
  else load_matrices(r, tile, at);
  for (int j = 0; j < 4; ++j) out[static_cast<int>(threadIdx.x) * 4 + j] = r[j];
  wait_copies<0>();
}

/// Two groups: after waiting for the first only its numbers are there.
__global__ void groups_kernel(const float* in, float* out) {
  SharedMemory memory;
  const Shared<float> tile = memory.take<float>(2 * 32 * 4);
  const int t = static_cast<int>(threadIdx.x);
  for (int group = 0; group < 2; ++group) {
    copy_async_16(tile, (group * 32 + t) * 4, in + (group * 32 + t) * 4);
    commit_copies();
  }
  wait_copies<1>();
  out[t] = tile[t * 4];
  out[32 + t] = tile[(32 + t) * 4];
  wait_copies<0>();
  out[64 + t] = tile[(32 + t) * 4];
}

__global__ void never_waits(const float* in) {
  SharedMemory memory;
  copy_async_16(memory.take<float>(32 * 4), static_cast<int>(threadIdx.x) * 4, in + threadIdx.x * 4);
  commit_copies();
}

Tensor gpu(Shape shape, DType type = DType::f32) { return Tensor::empty(std::move(shape), type, DeviceType::cuda); }
size_t tile_bytes() { return SharedSize().take<Bf16>(kRows * kStride).bytes; }
Tensor random_bits(Shape shape, uint64_t seed, DType type) { return lorikeet::test::random_tensor(std::move(shape), seed).to(type); }

std::vector<uint32_t> matrices(const Tensor& tile, bool turned, Fault fault, int threads = 32) {
  const Tensor in = tile.on(DeviceType::cuda);
  Tensor out = gpu({threads, 4}, DType::i32);
  launch("matrices", &matrices_kernel, {1}, threads, tile_bytes(), static_cast<const Bf16*>(in.raw()), static_cast<uint32_t*>(out.raw()), turned, static_cast<int>(fault));
  const auto got = out.to_vector<int32_t>();
  return {got.begin(), got.end()};
}

}  // namespace

class EmulationMmaTest : public QObject {
  Q_OBJECT

  double product_error(DType type, int depth, bool fault) {
    const Tensor a = random_bits({16, depth}, 1, type), b = random_bits({depth, 8}, 2, type), c = lorikeet::test::random_tensor({16, 8}, 3);
    const Tensor a_there = a.on(DeviceType::cuda), b_there = b.on(DeviceType::cuda);
    Tensor got = gpu({16, 8});
    got.copy_from(c);
    launch("product", type == DType::bf16 ? &product_kernel<Bf16, 16> : depth == 16 ? &product_kernel<Half, 16> : &product_kernel<Half, 8>, {1}, 32, 0, a_there.bits16(), b_there.bits16(), got.data<float>(), fault);
    Tensor wanted = c.clone();
    const Tensor wide_a = a.to(DType::f32), wide_b = b.to(DType::f32);
    for (int64_t i = 0; i < 16; ++i)
      for (int64_t j = 0; j < 8; ++j)
        for (int64_t k = 0; k < depth; ++k) wanted.row<float>(i)[j] += wide_a.row<float>(i)[k] * wide_b.row<float>(k)[j];
    return lorikeet::test::relative_l2(got.on(DeviceType::cpu), wanted);
  }

 private slots:
  void initTestCase() { register_cuda_kernels(); }

  void productsEqualPlainLoops() {
    QVERIFY(product_error(DType::bf16, 16, false) < 1e-6);
    QVERIFY(product_error(DType::f16, 8, false) < 1e-6);
    QVERIFY(product_error(DType::f16, 16, false) < 1e-6);
  }
  void aWordInTheWrongPlaceGivesAWrongProduct() {
    QVERIFY(product_error(DType::bf16, 16, true) > 1e-2);
    QVERIFY(product_error(DType::f16, 8, true) > 1e-2);
    QVERIFY(product_error(DType::f16, 16, true) > 1e-2);
  }

  /// The general kernels do not round weights: their results differ from those of the kernels on tensor cores.
  void tensorCoresBeforeBf16TakeF16() {
    const auto attended = [](DType type, int capability, int64_t head_dim) {
      emulation::set_compute_capability(capability);
      Context cx(1, DeviceType::cuda);
      const auto rows = [&](uint64_t seed) { return lorikeet::test::random_tensor({70, head_dim}, seed, type, 2).on(DeviceType::cuda); };
      const Tensor q = rows(1), k = rows(2), v = rows(3), d_o = rows(4), starts = Tensor::from<int32_t>({0, 70}, {2}).on(DeviceType::cuda);
      Tensor o = gpu(q.shape(), type), lse = gpu({70, 1}), dq = gpu(q.shape()), dk = gpu(q.shape()), dv = gpu(q.shape());
      const AttentionShape shape{1, 1, head_dim, 0.1};
      attention(cx, {q, k, v, starts, o, &lse, shape});
      attention_backward(cx, {d_o, q, k, v, o, lse, starts, dq, dk, dv, shape});
      emulation::set_compute_capability(0);
      return std::vector<Tensor>{o.on(DeviceType::cpu), dq.on(DeviceType::cpu), dk.on(DeviceType::cpu), dv.on(DeviceType::cpu)};
    };
    const auto same = [](const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
      int count = 0;
      for (size_t i = 0; i < a.size(); ++i) count += lorikeet::test::max_abs_difference(a[i], b[i]) == 0.0;
      return count;
    };
    const auto half = attended(DType::f16, 80, 64), general = attended(DType::bf16, 75, 64);
    QCOMPARE(same(attended(DType::f16, 75, 64), half), 4);
    QCOMPARE(same(general, attended(DType::bf16, 80, 64)), 0);
    QCOMPARE(same(attended(DType::bf16, 75, 80), attended(DType::bf16, 80, 80)), 4);  // general both times
  }

  void matricesReachTheirLanes_data() {
    QTest::addColumn<bool>("turned");
    QTest::newRow("as they are") << false;
    QTest::newRow("turned") << true;
  }
  void matricesReachTheirLanes() {
    QFETCH(bool, turned);
    const Tensor tile = random_bits({kRows, kStride}, 5, DType::bf16);
    const auto got = matrices(tile, turned, none);
    const auto bits = [&](int row, int column) { return tile.bits16()[row * kStride + 8 + column]; };
    for (int lane = 0; lane < 32; ++lane)
      for (int j = 0; j < 4; ++j) {
        const int g = lane / 4, t = lane % 4, top = 8 * j;
        const uint32_t low = turned ? bits(top + 2 * t, g) : bits(top + g, 2 * t), high = turned ? bits(top + 2 * t + 1, g) : bits(top + g, 2 * t + 1);
        QCOMPARE(got[static_cast<size_t>(lane * 4 + j)], low | high << 16);
      }
  }

  void copiesAreThereWhenTheirGroupWasWaitedFor() {
    const Tensor in = lorikeet::test::random_tensor({64, 4}, 1);
    const Tensor there = in.on(DeviceType::cuda);
    Tensor out = gpu({96});
    launch("groups", &groups_kernel, {1}, 32, SharedSize().take<float>(256).bytes, there.data<float>(), out.data<float>());
    const auto got = out.to_vector<float>();
    for (int64_t t = 0; t < 32; ++t) {
      QCOMPARE(got[static_cast<size_t>(t)], in.row<float>(t)[0]);
      QVERIFY(std::isnan(got[static_cast<size_t>(32 + t)]));
      QCOMPARE(got[static_cast<size_t>(64 + t)], in.row<float>(32 + t)[0]);
    }
  }

  void missingWaitsAreFound() {
    const Tensor tile = random_bits({kRows, kStride}, 5, DType::bf16), in = lorikeet::test::random_tensor({32, 4}, 1).on(DeviceType::cuda);
    VERIFY_THROWS((matrices(tile, false, no_wait), 0), EmulationError, "with no barrier in between");  // the copies come after the reads
    VERIFY_THROWS((matrices(tile, false, no_barrier), 0), EmulationError, "with no barrier in between");
    VERIFY_THROWS((matrices(tile, true, no_barrier, 64), 0), EmulationError, "with no barrier in between");
    VERIFY_THROWS((launch("never_waits", &never_waits, {1}, 32, 512, in.data<float>()), 0), EmulationError, "asynchronous copies that were never waited for");
  }
  void rowsOffSixteenBytesAreRefused() {
    const Tensor tile = random_bits({kRows, kStride}, 5, DType::bf16);
    VERIFY_THROWS((matrices(tile, false, odd_row), 0), EmulationError, "does not start on 16 bytes");
  }
};

LORIKEET_TEST_MAIN(EmulationMmaTest)
#include "emulation_mma_test.moc"
