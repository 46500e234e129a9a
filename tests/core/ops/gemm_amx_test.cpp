// The walk over AMX tiles against f64: by a plain model of the tiles on every machine, and the code that ships where its
// other instructions (AVX-512 with bf16) run, its tiles emulated if the unit is missing.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/ops/gemm_kernels.h"
#include "core/ops/packed_product.h"
#include "tests/core/ops/op_support.h"
#include "tests/support/emulated_tiles.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

/// What the instructions do: 16 rows of 64 bytes a tile. Unconfigured use is a mistake and is counted.
struct PlainTiles {
  static inline uint32_t tiles[8][16][16];
  static inline bool configured = false;
  static inline int mistakes = 0;

  static void configure() { configured = true; }
  static void release() { configured = false; }
  static void prefetch(const void*) {}
  template <int T> static void zero() { mistakes += !configured; std::memset(tiles[T], 0, sizeof tiles[T]); }
  template <int T> static void load(const void* p, int64_t bytes) {
    mistakes += !configured;
    for (int64_t r = 0; r < 16; ++r) std::memcpy(tiles[T][r], static_cast<const char*>(p) + r * bytes, 64);
  }
  template <int T> static void store(void* p, int64_t bytes) {
    mistakes += !configured;
    for (int64_t r = 0; r < 16; ++r) std::memcpy(static_cast<char*>(p) + r * bytes, tiles[T][r], 64);
  }
  static float half(uint32_t pair, bool high) {
    const uint32_t bits = high ? pair & 0xffff0000u : pair << 16;
    float f;
    std::memcpy(&f, &bits, 4);
    return f;
  }
  template <int C, int A, int B> static void dot() {
    static_assert(C < 4 && (A == 4 || A == 5) && (B == 6 || B == 7));
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 16; ++j) {
        float sum;
        std::memcpy(&sum, &tiles[C][i][j], 4);
        for (int p = 0; p < 16; ++p)
          for (bool high : {false, true}) sum += half(tiles[A][i][p], high) * half(tiles[B][p][j], high);
        std::memcpy(&tiles[C][i][j], &sum, 4);
      }
  }
};

#include "core/ops/gemm_amx.inl"

uint32_t bf16_bits(float x) {
  const Tensor t = Tensor::from<float>({x}, {1}).to(DType::bf16);
  return t.bits16()[0];
}

/// Operands as pack_a and pack_b lay them out, from rows of k.
std::vector<int32_t> packed_rows(const Tensor& x, int64_t depth, int64_t rows) {
  std::vector<int32_t> out(static_cast<size_t>(rows * depth), 0x7fc07fc0);  // NaN where nothing was packed
  for (int64_t i = 0; i < x.rows(); ++i)
    for (int64_t p = 0; p < depth; ++p) {
      const auto at = [&](int64_t k) { return k < x.width() ? bf16_bits(x.row<float>(i)[k]) : 0u; };
      out[static_cast<size_t>(i * depth + p)] = static_cast<int32_t>(at(2 * p) | at(2 * p + 1) << 16);
    }
  return out;
}
std::vector<int32_t> packed_panels(const Tensor& x, int64_t depth) {
  const int64_t panels = (x.rows() + 15) / 16;
  std::vector<int32_t> rows = packed_rows(x, depth, panels * 16), out(rows.size(), 0);
  for (int64_t n = 0; n < x.rows(); ++n)
    for (int64_t p = 0; p < depth; ++p) out[static_cast<size_t>((n / 16 * depth + p) * 16 + n % 16)] = rows[static_cast<size_t>(n * depth + p)];
  return out;
}

/// The product of m rows and n columns by `multiply`, alone and added to numbers there, against f64.
void check_product(int64_t m, int64_t n, int64_t k, void (*multiply)(const GemmBlock&)) {
  const int64_t depth = (k + 31) / 32 * 16;
  const Tensor a = random_tensor({m, k}, 1), b = random_tensor({n, k}, 2);
  const auto pa = packed_rows(a, depth, (m + 31) / 32 * 32), pb = packed_panels(b, depth);
  const Tensor ar = a.to(DType::bf16).to(DType::f32), br = b.to(DType::bf16).to(DType::f32);
  for (bool accumulate : {false, true}) {
    Tensor c = random_tensor({m, n + 3}, 3);
    const Tensor before = c.clone();
    if (!accumulate) c.columns(0, n).fill(std::nan(""));
    multiply({pa.data(), depth, pb.data(), depth, c.data<float>(), c.row_stride(), m, n, depth, accumulate});
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n + 3; ++j) {
        const double old = static_cast<double>(before.row<float>(i)[j]), found = static_cast<double>(c.row<float>(i)[j]);
        double wanted = j < n && !accumulate ? 0 : old;
        for (int64_t p = 0; p < k && j < n; ++p) wanted += static_cast<double>(ar.row<float>(i)[p]) * static_cast<double>(br.row<float>(j)[p]);
        VERIFY_SMALL(std::abs(found - wanted), 1e-5 * (1 + std::sqrt(static_cast<double>(k))));
      }
  }
}

}  // namespace

class GemmAmxTest : public QObject {
  Q_OBJECT
 private slots:
  void tilesGiveTheProduct_data() {
    QTest::addColumn<int>("m");
    QTest::addColumn<int>("n");
    QTest::addColumn<int>("k");
    const int sizes[][3] = {{16, 16, 32}, {32, 32, 64}, {1, 1, 1}, {17, 15, 33}, {64, 48, 96}, {33, 31, 70}, {5, 40, 31}, {48, 16, 384}, {63, 80, 2}};
    for (const auto& s : sizes) QTest::addRow("%d x %d x %d", s[0], s[1], s[2]) << s[0] << s[1] << s[2];
  }
  void tilesGiveTheProduct() {
    QFETCH(int, m);
    QFETCH(int, n);
    QFETCH(int, k);
    check_product(m, n, k, multiply_by_tiles<PlainTiles>);
    QCOMPARE(PlainTiles::mistakes, 0);
    QVERIFY(!PlainTiles::configured);
  }
  void theCodeThatShipsGivesTheProduct_data() { tilesGiveTheProduct_data(); }
  void theCodeThatShipsGivesTheProduct() {
    if (cpu_probe().best != CpuLevel::amx) QSKIP("this CPU lacks the AVX-512 bf16 instructions around the tiles");
    QFETCH(int, m);
    QFETCH(int, n);
    QFETCH(int, k);
    const int64_t before = emulated_tile_instructions();
    check_product(m, n, k, gemm_kernels({CpuLevel::amx, ComputeType::bf16}).multiply);
    QVERIFY(!tiles_are_emulated() || emulated_tile_instructions() > before);
  }
  // As PackedProduct calls it: rows of bf16 where they lie, a stretch of k at a time out of panels that go on behind it.
  void operandsMayLieInWiderOnes() {
    const int64_t m = 33, n = 40, depth = 32, first = 16, a_stride = depth + 21, b_stride = first + depth + 16, a_first = 5;
    const int64_t a_rows = (m + 15) / 16 * 16, panels = (n + 15) / 16;
    const Tensor a = random_tensor({m, 2 * depth}, 1), b = random_tensor({n, 2 * depth}, 2);
    const Tensor ar = a.to(DType::bf16).to(DType::f32), br = b.to(DType::bf16).to(DType::f32);
    const auto rows = packed_rows(a, depth, a_rows), columns = packed_panels(b, depth);
    std::vector<int32_t> pa(static_cast<size_t>(a_rows * a_stride), 0x7fc07fc0), pb(static_cast<size_t>(panels * b_stride * 16), 0x7fc07fc0);  // NaN all around
    for (int64_t i = 0; i < a_rows; ++i) std::copy_n(rows.begin() + i * depth, depth, pa.begin() + i * a_stride + a_first);
    for (int64_t i = 0; i < panels; ++i) std::copy_n(columns.begin() + i * depth * 16, depth * 16, pb.begin() + (i * b_stride + first) * 16);
    for (bool accumulate : {false, true}) {
      Tensor c = random_tensor({m, n + 3}, 3);
      const Tensor before = c.clone();
      if (!accumulate) c.columns(0, n).fill(std::nan(""));
      multiply_by_tiles<PlainTiles>({pa.data() + a_first, a_stride, pb.data() + first * 16, b_stride, c.data<float>(), c.row_stride(), m, n, depth, accumulate});
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n + 3; ++j) {
          const double old = static_cast<double>(before.row<float>(i)[j]), found = static_cast<double>(c.row<float>(i)[j]);
          double wanted = j < n && !accumulate ? 0 : old;
          for (int64_t p = 0; p < 2 * depth && j < n; ++p) wanted += static_cast<double>(ar.row<float>(i)[p]) * static_cast<double>(br.row<float>(j)[p]);
          VERIFY_SMALL(std::abs(found - wanted), 1e-4);
        }
    }
    QCOMPARE(PlainTiles::mistakes, 0);
  }
};

LORIKEET_TEST_MAIN(GemmAmxTest)
#include "gemm_amx_test.moc"
