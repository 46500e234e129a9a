/// The 8-bit dynamic maps (arXiv:1511.04561) and how values are coded by them, bit for bit as bitsandbytes does on a CPU.
/// The signed map serves scales of weights and first moments, the unsigned one second moments.
#pragma once
#include <array>
#include <cstdint>

namespace lorikeet {

constexpr int kDynamicPoints = 65536;

struct DynamicMap {
  std::array<float, 256> values;                       // ascending, the last is 1
  std::array<uint8_t, kDynamicPoints> code_of_point;   // of each point of an even grid over [-1, 1]
};
const DynamicMap& signed_dynamic_map();    // entry 127 is 0
const DynamicMap& unsigned_dynamic_map();  // entry 0 is 0
/// Code of x, which is cut to [-1, 1] (NaN becomes -1): x is first rounded to the grid, then takes the nearest entry (a
/// tie the lower one). The grid has no point at 0, so a zero becomes the entry next to 1/65535.
uint8_t dynamic_code(const DynamicMap& map, float x);

}  // namespace lorikeet
