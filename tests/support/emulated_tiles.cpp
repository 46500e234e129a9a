#include "tests/support/emulated_tiles.h"

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/tensor/amx_probe.h"
#include "core/tensor/amx_trial.h"

namespace lorikeet::test {
namespace {

struct Config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
static_assert(sizeof(Config) == 64);

/// Of each thread, as the registers are.
struct Unit {
  Config config;
  alignas(64) uint8_t tiles[8][16][64];
};
thread_local Unit unit;  // palette 0: not configured
std::atomic<int64_t> done{0};
bool emulated = false;

/// What the CPU would answer with #UD or #GP is a mistake of the program under test.
[[noreturn]] void refuse(const char* why) {
  char line[160];
  const int n = std::snprintf(line, sizeof line, "emulated tiles: %s\n", why);
  if (n > 0 && ::write(2, line, static_cast<size_t>(n)) < 0) std::abort();
  std::abort();
}
void must(bool holds, const char* why) {
  if (!holds) refuse(why);
}

/// A VEX instruction of three prefix bytes from map 0F38 with L = 0 and W = 0: all tile instructions are.
struct Instruction {
  const uint8_t* at;
  greg_t* registers;
  uint8_t opcode, prefix, mod, reg, rm, second;  // prefix 0: none, 1: 66, 2: F3, 3: F2; second: from vvvv
  int length = 5;
  uint64_t base = 0, index = 0;  // index already scaled; the stride of loads and stores

  uint64_t value(int number) const {
    constexpr int kOrder[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return static_cast<uint64_t>(registers[kOrder[number]]);
  }
  int64_t displacement(int bytes) {
    int32_t wide = 0;
    if (bytes == 1) wide = static_cast<int8_t>(at[length]);
    else std::memcpy(&wide, at + length, 4);
    length += bytes;
    return wide;
  }
  void read_address() {
    const int base_high = at[1] & 0x20 ? 0 : 8, index_high = at[1] & 0x40 ? 0 : 8;
    bool has_base = true;
    int number = rm | base_high;
    if (rm == 4) {
      const uint8_t sib = at[length++];
      const int scaled = (sib >> 3 & 7) | index_high;
      if (scaled != 4) index = value(scaled) << (sib >> 6);
      number = (sib & 7) | base_high;
      has_base = mod != 0 || (sib & 7) != 5;
    }
    int64_t plus = 0;
    if (mod == 1) plus = displacement(1);
    else if (mod == 2 || !has_base) plus = displacement(4);
    else if (rm == 5) {  // relative to the next instruction
      plus = displacement(4);
      base = reinterpret_cast<uint64_t>(at + length) + static_cast<uint64_t>(plus);
      return;
    }
    base = (has_base ? value(number) : 0) + static_cast<uint64_t>(plus);
  }
  /// False where no tile instruction stands.
  bool read(const uint8_t* code, greg_t* all) {
    at = code;
    registers = all;
    if (at[0] != 0xC4 || (at[1] & 0x1F) != 2 || (at[2] & 0x84) != 0) return false;
    prefix = at[2] & 3;
    second = static_cast<uint8_t>(~(at[2] >> 3) & 0xF);
    opcode = at[3];
    mod = at[4] >> 6;
    reg = at[4] >> 3 & 7;
    rm = at[4] & 7;
    if (opcode != 0x49 && opcode != 0x4B && opcode != 0x5C) return false;
    if (mod != 3) read_address();
    return true;
  }
};

int rows_of(int tile) { return unit.config.rows[tile]; }
int bytes_of(int tile) { return unit.config.row_bytes[tile]; }
void must_be_set(int tile) {
  must(unit.config.palette == 1, "a tile is used before its configuration");
  must(rows_of(tile) > 0 && bytes_of(tile) > 0, "a tile is used that the configuration leaves out");
}

void configure(const void* from) {
  Config c;
  std::memcpy(&c, from, sizeof c);
  must(c.palette <= 1, "only palettes 0 and 1 exist");
  for (uint8_t r : c.reserved) must(r == 0, "reserved bytes of a tile configuration are not 0");
  for (int t = 0; t < 16; ++t) {
    must(t < 8 || (c.rows[t] == 0 && c.row_bytes[t] == 0), "palette 1 has eight tiles");
    must(c.rows[t] <= 16 && c.row_bytes[t] <= 64, "a tile is at most 16 rows of 64 bytes");
    must((c.rows[t] == 0) == (c.row_bytes[t] == 0), "a tile has rows without columns or columns without rows");
  }
  std::memset(&unit, 0, sizeof unit);
  unit.config = c;
}

void load(int tile, const uint8_t* from, uint64_t stride) {
  must_be_set(tile);
  std::memset(unit.tiles[tile], 0, sizeof unit.tiles[tile]);
  for (int r = 0; r < rows_of(tile); ++r)
    std::memcpy(unit.tiles[tile][r], from + static_cast<uint64_t>(r) * stride, static_cast<size_t>(bytes_of(tile)));
}
void store(int tile, uint8_t* to, uint64_t stride) {
  must_be_set(tile);
  for (int r = 0; r < rows_of(tile); ++r)
    std::memcpy(to + static_cast<uint64_t>(r) * stride, unit.tiles[tile][r], static_cast<size_t>(bytes_of(tile)));
}

float low_half(uint32_t pair) {
  const uint32_t bits = pair << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
float high_half(uint32_t pair) {
  const uint32_t bits = pair & 0xFFFF0000u;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

/// TDPBF16PS: even and odd products summed apart, then together, then onto c. Denormal numbers are 0 (set by the caller).
__attribute__((target("avx512f,fma"))) void dot(int c, int a, int b) {
  must_be_set(c);
  must_be_set(a);
  must_be_set(b);
  must(c != a && c != b && a != b, "a product needs three different tiles");
  must(rows_of(c) == rows_of(a) && bytes_of(c) == bytes_of(b) && bytes_of(a) == 4 * rows_of(b), "shapes of the tiles of a product do not fit");
  for (int m = 0; m < rows_of(c); ++m) {
    uint32_t row[16];
    float sum[16], even[16] = {}, odd[16] = {};
    std::memcpy(row, unit.tiles[a][m], 64);
    for (int k = 0; k < bytes_of(a) / 4; ++k) {
      uint32_t pairs[16];
      std::memcpy(pairs, unit.tiles[b][k], 64);
      const float x = low_half(row[k]), y = high_half(row[k]);
      for (int n = 0; n < 16; ++n) even[n] = __builtin_fmaf(x, low_half(pairs[n]), even[n]);
      for (int n = 0; n < 16; ++n) odd[n] = __builtin_fmaf(y, high_half(pairs[n]), odd[n]);
    }
    std::memcpy(sum, unit.tiles[c][m], 64);
    for (int n = 0; n < 16; ++n) sum[n] += even[n] + odd[n];
    std::memcpy(unit.tiles[c][m], sum, static_cast<size_t>(bytes_of(c)));
  }
}

bool carry_out(const Instruction& i) {
  auto* memory = reinterpret_cast<uint8_t*>(i.base);
  if (i.opcode == 0x49 && i.prefix == 0 && i.mod != 3) configure(memory);
  else if (i.opcode == 0x49 && i.prefix == 0 && i.reg == 0 && i.rm == 0) std::memset(&unit, 0, sizeof unit);
  else if (i.opcode == 0x49 && i.prefix == 3 && i.mod == 3) {
    must_be_set(i.reg);
    std::memset(unit.tiles[i.reg], 0, sizeof unit.tiles[i.reg]);
  } else if (i.opcode == 0x4B && i.mod != 3 && i.rm == 4 && (i.prefix == 3 || i.prefix == 1)) load(i.reg, memory, i.index);
  else if (i.opcode == 0x4B && i.mod != 3 && i.rm == 4 && i.prefix == 2) store(i.reg, memory, i.index);
  else if (i.opcode == 0x5C && i.prefix == 2 && i.mod == 3 && i.second < 8) dot(i.reg, i.rm, i.second);
  else return false;
  return true;
}

/// Goes on as long as tile instructions follow one another.
void on_illegal_instruction(int, siginfo_t*, void* context) {
  _mm_setcsr(0x9FC0);  // denormal numbers are 0, nothing raises; the return from here restores what was set
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  for (int n = 0;; ++n) {
    Instruction i;
    if (!i.read(reinterpret_cast<const uint8_t*>(registers[REG_RIP]), registers) || !carry_out(i)) {
      if (n == 0) refuse("an illegal instruction that is none of tiles");
      done += n;
      return;
    }
    registers[REG_RIP] += i.length;
  }
}

bool system_gives_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool tiles_are_emulated() { return emulated; }
int64_t emulated_tile_instructions() { return done; }

}  // namespace lorikeet::test

namespace lorikeet {

std::string amx_refusal() {
  test::emulated = !test::system_gives_tiles();
  if (test::emulated) {
    struct sigaction action{};
    action.sa_sigaction = test::on_illegal_instruction;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGILL, &action, nullptr);
  }
  return tile_product_survives() ? std::string() : "the trial product failed on emulated tiles";
}

}  // namespace lorikeet
