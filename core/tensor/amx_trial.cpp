#include "core/tensor/amx_trial.h"

#include <immintrin.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace lorikeet {
namespace {

/// A 16 x 16 product over 32 numbers: small integers, exact in bf16 and f32.
__attribute__((target("avx512f,amx-tile,amx-bf16"))) bool product_is_right() {
  struct alignas(64) { uint8_t palette, start, reserved[14]; uint16_t row_bytes[16]; uint8_t rows[16]; } config;
  std::memset(&config, 0, sizeof config);
  config.palette = 1;
  for (int t = 0; t < 8; ++t) {
    config.row_bytes[t] = 64;
    config.rows[t] = 16;
  }
  alignas(64) uint16_t a[16][32], b[16][32];
  alignas(64) float c[16][16];
  const auto bf16 = [](int value) {
    const auto f = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &f, sizeof bits);
    return static_cast<uint16_t>(bits >> 16);
  };
  const auto left = [](int i, int k) { return (3 * i + 5 * k) % 13 - 6; };
  const auto right = [](int k, int j) { return (7 * k + 2 * j) % 11 - 5; };
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 32; ++k) {
      a[i][k] = bf16(left(i, k));
      b[k / 2][2 * i + k % 2] = bf16(right(k, i));
    }
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_loadd(4, a, 64);
  _tile_loadd(6, b, 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_stored(0, c, 64);
  _tile_release();
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      int wanted = 0;
      for (int k = 0; k < 32; ++k) wanted += left(i, k) * right(k, j);
      if (c[i][j] != static_cast<float>(wanted)) return false;
    }
  return true;
}

}  // namespace

bool tile_product_survives() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(product_is_right() ? 0 : 1);
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace lorikeet
