// gemm for AMX: bf16 tiles of palette 1, configured by constant (CPUID leaf 0x1D is hidden on many virtual machines).
// Compiled with that unit's flags (CMakeLists.txt); runs only where the probe's guarded product was right.
#include <immintrin.h>

#include "core/ops/gemm_kernels.h"

namespace lorikeet::amx {
namespace {

using Step = int32_t;
constexpr int kLanes = 16, kTileRows = 32;

/// Whole tiles of 16 steps.
inline int64_t depth_of(int64_t k) { return (k + 31) / 32 * 16; }

#include "core/ops/gemm_pack_bf16.inl"

struct alignas(64) TileConfig {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

// The intrinsics want literal tile numbers.
#define LORIKEET_EACH_TILE(what) \
  if constexpr (T == 0) { what(0); } \
  else if constexpr (T == 1) { what(1); } \
  else if constexpr (T == 2) { what(2); } \
  else if constexpr (T == 3) { what(3); } \
  else if constexpr (T == 4) { what(4); } \
  else if constexpr (T == 5) { what(5); } \
  else if constexpr (T == 6) { what(6); } \
  else { what(7); }

struct AmxTiles {
  static void configure() {
    TileConfig config{};
    config.palette = 1;
    for (int t = 0; t < 8; ++t) {
      config.row_bytes[t] = 64;
      config.rows[t] = 16;
    }
    _tile_loadconfig(&config);
  }
  static void release() { _tile_release(); }
  static void prefetch(const void* p) {
    for (int line = 0; line < 16; ++line) _mm_prefetch(static_cast<const char*>(p) + 64 * line, _MM_HINT_T0);
  }
  template <int T>
  static void zero() {
#define LORIKEET_ZERO(t) _tile_zero(t)
    LORIKEET_EACH_TILE(LORIKEET_ZERO)
  }
  template <int T>
  static void load(const void* p, int64_t bytes) {
#define LORIKEET_LOAD(t) _tile_loadd(t, p, bytes)
    LORIKEET_EACH_TILE(LORIKEET_LOAD)
  }
  template <int T>
  static void store(void* p, int64_t bytes) {
#define LORIKEET_STORE(t) _tile_stored(t, p, bytes)
    LORIKEET_EACH_TILE(LORIKEET_STORE)
  }
  template <int C, int A, int B>
  static void dot() {
    if constexpr (C == 0) { _tile_dpbf16ps(0, 4, 6); }
    else if constexpr (C == 1) { _tile_dpbf16ps(1, 4, 7); }
    else if constexpr (C == 2) { _tile_dpbf16ps(2, 5, 6); }
    else { _tile_dpbf16ps(3, 5, 7); }
  }
};

#include "core/ops/gemm_amx.inl"

void multiply(const GemmBlock& block) { multiply_by_tiles<AmxTiles>(block); }

}  // namespace

// 96 steps: 64 rows of a take 24 KiB of an L1 cache of 48, two strips of b another 24. By arithmetic, not measured: the L2
// cache then gives 36 bytes a cycle of the tiles (12 KiB of b for two blocks of rows and 8 of sums, 384 cycles a block);
// at 192 steps a does not stay either, which makes it 57.
const GemmKernels kGemmKernels = {kTileRows, 16, 2, 16, 96, pack_a, pack_b, pack_b16, multiply};

}  // namespace lorikeet::amx
