// TDPBF16PS on tiles that are never loaded again: 16 x 16 sums over 32 products each, four of them in turn, as many as
// the 2 x 2 blocks of a real product. Palette 1 by constant, as in core/ops/gemm_kernels_amx.cpp.
#include <immintrin.h>

#include <cstdint>

#include "tests/bench/peak_loops.h"

namespace lorikeet::bench {
namespace {

struct alignas(64) TileConfig {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

float loop(long rounds) {
  TileConfig config{};
  config.palette = 1;
  for (int t = 0; t < 8; ++t) {
    config.row_bytes[t] = 64;
    config.rows[t] = 16;
  }
  alignas(64) uint16_t operand[16 * 32];
  for (auto& v : operand) v = 0x3c00;  // a small bf16
  alignas(64) float sums[16 * 16];
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, operand, 64);
  _tile_loadd(5, operand, 64);
  _tile_loadd(6, operand, 64);
  _tile_loadd(7, operand, 64);
  for (long r = 0; r < rounds; ++r) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  float total = 0;
  _tile_stored(0, sums, 64);
  total += sums[0];
  _tile_stored(3, sums, 64);
  total += sums[0];
  _tile_release();
  return total;
}

}  // namespace

const PeakKernel kAmxTiles = {loop, 4 * 2.0 * 16 * 16 * 32};

}  // namespace lorikeet::bench
