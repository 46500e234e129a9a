/// A weight of every format, coded and as files store it: what the tests of kernels that read stored weights go through.
#pragma once
#include "tests/core/quant/quant_support.h"

namespace lorikeet::test {

struct Named { std::string name; FrozenWeightPtr weight; };

/// Random blocks of a stored type with scales of a moderate size.
inline FrozenWeightPtr stored(const StoredType& t, int64_t rows, int64_t columns, uint64_t seed) {
  const auto blocks = static_cast<size_t>(rows * columns / t.block_elements), size = static_cast<size_t>(t.block_bytes);
  auto bytes = std::make_shared<std::vector<std::byte>>(blocks * size);
  for (size_t i = 0; i < bytes->size(); ++i) (*bytes)[i] = static_cast<std::byte>(splitmix64(seed, i));
  const auto put = [&](size_t at, float v) {
    const uint16_t bits = f16_from_f32(v);
    (*bytes)[at] = static_cast<std::byte>(bits & 255);
    (*bytes)[at + 1] = static_cast<std::byte>(bits >> 8);
  };
  for (size_t b = 0; b < blocks; ++b) {
    const float scale = 0.01f + 0.001f * static_cast<float>(splitmix64(seed, b) % 31);
    switch (t.ggml_type) {
      case 0: {
        const float v = scale * static_cast<float>(static_cast<int>(splitmix64(seed, b) % 401) - 200);
        std::memcpy(bytes->data() + b * size, &v, 4);
        break;
      }
      case 1: put(b * size, scale * static_cast<float>(static_cast<int>(splitmix64(seed, b) % 401) - 200)); break;
      case 30: {
        const uint16_t bits = bf16_from_f32(scale * static_cast<float>(static_cast<int>(splitmix64(seed, b) % 401) - 200));
        std::memcpy(bytes->data() + b * size, &bits, 2);
        break;
      }
      case 3: case 7: case 12: case 13: put(b * size, scale), put(b * size + 2, -3 * scale); break;
      case 10: put(b * size + 80, scale), put(b * size + 82, 2 * scale); break;
      case 11: put(b * size + 108, scale); break;
      case 14: put(b * size + 208, scale); break;
      default: put(b * size, scale); break;
    }
  }
  return stored_weight(t.ggml_type, *bytes, rows, columns, bytes);
}

/// A weight of every format that takes this shape.
inline std::vector<Named> all_weights(Context& cx, int64_t rows, int64_t columns) {
  std::vector<Named> out;
  const auto w = normal_values(rows * columns, static_cast<uint64_t>(rows * 1000 + columns));
  for (const char* name : {"nf4", "nf3", "nf2", "fp4", "int8", "int4", "int3", "int2", "bf16", "f16", "f32"}) {
    out.push_back({name, encoded(cx, name, w, rows)});
    if (std::string(name).size() == 3 && name[0] != 'f') out.push_back({std::string(name) + " plain scales", encoded(cx, name, w, rows, {.double_quant = false, .block_size = 32})});
  }
  out.push_back({"nf4, blocks of 256", encoded(cx, "nf4", w, rows, {.block_size = 256})});
  for (int id = 0; id < 31; ++id)
    if (const StoredType* t = stored_type(id); t && t->readable && columns % t->block_elements == 0) out.push_back({std::string(t->name), stored(*t, rows, columns, static_cast<uint64_t>(id))});
  return out;
}

}  // namespace lorikeet::test
