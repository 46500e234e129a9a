// Source of the conditions: Intel SDM volume 1 chapter 18 and Linux' arch_prctl(2). CPUID leaf 0x1D, which would describe
// the palettes, is not asked: it is hidden on many virtual machines whose tiles work.
#include "core/tensor/amx_probe.h"

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace lorikeet {
namespace {

constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;  // leaf 7, edx
constexpr uint64_t kTileState = 3ull << 17;                   // XCR0: tile configuration and data
constexpr long kRequestPermission = 0x1023, kTileData = 18;   // ARCH_REQ_XCOMP_PERM

bool cpu_offers_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kAmxBf16) && (d & kAmxTile);
}

bool system_saves_tiles() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return false;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((uint64_t{high} << 32 | low) & kTileState) == kTileState;
}

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

bool product_survives() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(product_is_right() ? 0 : 1);
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

std::string amx_refusal() {
  if (!cpu_offers_tiles()) return "this CPU has no AMX bf16 tiles";
  if (!system_saves_tiles()) return "the CPU has AMX tiles, but the system does not save their registers";
  if (::syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0) return "the CPU has AMX tiles, but the system does not allow this process to use them";
  if (!product_survives()) return "the CPU says it has AMX tiles, but a trial product failed";
  return {};
}

}  // namespace lorikeet
