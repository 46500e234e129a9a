// The code tables. Thresholds are midpoints rounded to f32; a value on a threshold takes the lower code.
#include "core/quant/codebooks.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/dynamic_map.h"

namespace lorikeet {
namespace {

Codebook make_codebook(std::string_view name, int bits, std::array<float, 16> values) {
  Codebook c{name, bits, values, {}, {}};
  const auto count = static_cast<uint8_t>(1u << bits);
  for (uint8_t i = 0; i < count; ++i) c.order[i] = i;
  // Stable: of two equal values (both zeros of FP4) the one with the smaller code comes first.
  std::stable_sort(c.order.begin(), c.order.begin() + count,
                   [&](uint8_t a, uint8_t b) { return values[a] < values[b]; });
  for (size_t i = 0; i + 1 < count; ++i) c.thresholds[i] = (values[c.order[i]] + values[c.order[i + 1]]) / 2.0f;
  return c;
}

Codebook make_fp4() {
  // Magnitudes in code order are 0, 0.0625, 8, 12, 4, 6, 2, 3, all divided by the largest, 12. Bit 3 is the sign.
  const std::array<double, 8> magnitudes = {0, 0.0625, 8, 12, 4, 6, 2, 3};
  std::array<float, 16> values{};
  for (size_t i = 0; i < 8; ++i) {
    values[i] = static_cast<float>(magnitudes[i] / 12.0);
    values[i + 8] = i == 0 ? 0.0f : -values[i];
  }
  return make_codebook("fp4", 4, values);
}

Codebook make_integer(std::string_view name, int bits) {
  const int largest = (1 << (bits - 1)) - 1;
  std::array<float, 16> values{};
  for (int c = 0; c < (1 << bits); ++c) values[static_cast<size_t>(c)] = static_cast<float>(std::min(c - largest, largest));
  return make_codebook(name, bits, values);
}

}  // namespace

const Codebook& nf4_codebook() {
  static const Codebook c = make_codebook(
      "nf4", 4,
      {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
       -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
       0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f});
  return c;
}

const Codebook& nf3_codebook() {
  static const Codebook c = make_codebook("nf3", 3,
                                          {-1.0f, -0.47862908244132996f, -0.2171417772769928f, 0.0f, 0.16093014180660248f,
                                           0.3379151225090027f, 0.5626168847084045f, 1.0f});
  return c;
}

const Codebook& nf2_codebook() {
  static const Codebook c = make_codebook("nf2", 2, {-1.0f, 0.0f, 0.3379151225090027f, 1.0f});
  return c;
}

const Codebook& fp4_codebook() {
  static const Codebook c = make_fp4();
  return c;
}

const Codebook& integer_codebook(int bits) {
  static const Codebook two = make_integer("int2", 2), three = make_integer("int3", 3), four = make_integer("int4", 4);
  return bits == 2 ? two : bits == 3 ? three : four;
}

const Codebook* find_codebook(std::string_view name) {
  for (const Codebook* c : {&nf4_codebook(), &nf3_codebook(), &nf2_codebook(), &fp4_codebook(), &integer_codebook(4),
                            &integer_codebook(3), &integer_codebook(2)})
    if (c->name == name) return c;
  return nullptr;
}

const std::array<float, 256>& dynamic_map() { return signed_dynamic_map().values; }

std::shared_ptr<const CodeTables> shared_tables(const Codebook& codebook) {
  const auto make = [](const Codebook& c) {
    auto t = std::make_shared<CodeTables>();
    t->values = c.values;
    t->map = dynamic_map();
    return std::shared_ptr<const CodeTables>(t);
  };
  static const std::array<std::shared_ptr<const CodeTables>, 7> all = {
      make(nf4_codebook()), make(nf3_codebook()), make(nf2_codebook()), make(fp4_codebook()),
      make(integer_codebook(4)), make(integer_codebook(3)), make(integer_codebook(2))};
  const std::array<const Codebook*, 7> books = {&nf4_codebook(), &nf3_codebook(), &nf2_codebook(), &fp4_codebook(),
                                                &integer_codebook(4), &integer_codebook(3), &integer_codebook(2)};
  for (size_t i = 0; i < books.size(); ++i)
    if (books[i] == &codebook) return all[i];
  return make(codebook);
}

}  // namespace lorikeet
