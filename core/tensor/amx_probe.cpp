// Source of the conditions: Intel SDM volume 1 chapter 18 and Linux' arch_prctl(2). CPUID leaf 0x1D, which would describe
// the palettes, is not asked: it is hidden on many virtual machines whose tiles work.
#include "core/tensor/amx_probe.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "core/tensor/amx_trial.h"

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

}  // namespace

std::string amx_refusal() {
  if (!cpu_offers_tiles()) return "this CPU has no AMX bf16 tiles";
  if (!system_saves_tiles()) return "the CPU has AMX tiles, but the system does not save their registers";
  if (::syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0) return "the CPU has AMX tiles, but the system does not allow this process to use them";
  if (!tile_product_survives()) return "the CPU says it has AMX tiles, but a trial product failed";
  return {};
}

}  // namespace lorikeet
