#include "core/ops/dynamic_map.h"

#include <algorithm>

namespace lorikeet {
namespace {

constexpr float kLastPoint = kDynamicPoints - 1;

// Points of a map for one exponent: midpoints of `parts` equal steps from 0.1 to 1. The steps are taken from both ends
// with one rounding each (a fused multiply-add), the order in which the reference's linspace works.
void append_points(std::array<float, 256>& map, size_t& used, int exponent, bool with_sign) {
  const int parts = with_sign ? 1 << exponent : 2 << exponent, points = parts + 1;
  const float start = 0.1f, step = (1.0f - start) / static_cast<float>(parts);
  const auto boundary = [&](int i) {  // exact in f64, rounded once
    return i < points / 2 ? static_cast<float>(static_cast<double>(start) + static_cast<double>(step) * i)
                          : static_cast<float>(1.0 - static_cast<double>(step) * (parts - i));
  };
  constexpr std::array<float, 7> kPowers = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
  for (int i = 0; i < parts; ++i) {
    const float point = kPowers[static_cast<size_t>(exponent)] * ((boundary(i) + boundary(i + 1)) / 2.0f);
    map[used++] = point;
    if (with_sign) map[used++] = -point;
  }
}

DynamicMap make_map(bool with_sign) {
  DynamicMap map{};
  size_t used = 0;
  for (int exponent = 0; exponent < 7; ++exponent) append_points(map.values, used, exponent, with_sign);
  map.values[used++] = 0.0f;
  map.values[used++] = 1.0f;
  std::sort(map.values.begin(), map.values.end());
  std::array<float, 255> thresholds;
  for (size_t i = 0; i < thresholds.size(); ++i) thresholds[i] = 0.5f * (map.values[i] + map.values[i + 1]);
  for (size_t i = 0; i < map.code_of_point.size(); ++i) {
    const float point = -1.0f + 2.0f * static_cast<float>(i) / kLastPoint;
    map.code_of_point[i] = static_cast<uint8_t>(std::lower_bound(thresholds.begin(), thresholds.end(), point) - thresholds.begin());
  }
  return map;
}

}  // namespace

const DynamicMap& signed_dynamic_map() {
  static const DynamicMap map = make_map(true);
  return map;
}

const DynamicMap& unsigned_dynamic_map() {
  static const DynamicMap map = make_map(false);
  return map;
}

uint8_t dynamic_code(const DynamicMap& map, float x) {
  const float inside = x >= -1.0f ? std::min(x, 1.0f) : -1.0f;
  const float scaled = (inside + 1.0f) * 0.5f * kLastPoint;
  return map.code_of_point[static_cast<size_t>(scaled + 0.5f)];
}

}  // namespace lorikeet
