// Stored block types: bit equality with the gguf package's decoders (fixture made by tests/tools/make_gguf_fixtures.py)
// on every CPU level, all 16-bit patterns, refusals, scale checks.
#include <bit>
#include <cstring>

#include "core/base/json.h"
#include "tests/core/quant/quant_support.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

const Json& fixture() {
  static const Json j = read_json_file(data_path("quant/gguf_blocks.json"));
  return j;
}

/// The blocks of the fixture script, bit for bit.
std::vector<std::byte> fixture_blocks(const StoredType& t, const std::vector<int>& scales, uint64_t seed, int64_t count) {
  const auto size = static_cast<size_t>(t.block_bytes), words = (size + 7) / 8;
  std::vector<std::byte> raw(static_cast<size_t>(count) * size);
  for (size_t b = 0; b < static_cast<size_t>(count); ++b) {
    std::byte* block = raw.data() + b * size;
    for (size_t k = 0; k < words; ++k) {
      const uint64_t word = splitmix64(seed, b * words + k);
      std::memcpy(block + 8 * k, &word, std::min<size_t>(8, size - 8 * k));
    }
    for (int place : scales) {
      std::byte& high = block[place + 1];
      if ((high & std::byte{0x7c}) == std::byte{0x7c}) high ^= std::byte{0x40};
    }
  }
  return raw;
}

uint64_t weighted_sum(uint64_t start, const std::vector<float>& values) {
  uint64_t sum = 0;
  for (size_t i = 0; i < values.size(); ++i)
    sum += std::bit_cast<uint32_t>(values[i]) * (((start + i) * 0x9E3779B97F4A7C15u) | 1);
  return sum;
}

float float_from_hex(const std::string& hex, size_t index) {
  uint32_t bits = 0;
  for (size_t byte = 0; byte < 4; ++byte)
    bits |= static_cast<uint32_t>(std::stoul(hex.substr(8 * index + 2 * byte, 2), nullptr, 16)) << (8 * byte);
  return std::bit_cast<float>(bits);
}

}  // namespace

class StoredTypesTest : public QObject {
  Q_OBJECT

 private slots:
  void everyTypeDecodesAsTheReference_data() {
    QTest::addColumn<int>("row");
    for (size_t i = 0; i < fixture().at("types").size(); ++i)
      QTest::addRow("%s", fixture().at("types")[i].at("name").get<std::string>().c_str()) << static_cast<int>(i);
  }
  void everyTypeDecodesAsTheReference() {
    QFETCH(int, row);
    const Json& r = fixture().at("types")[static_cast<size_t>(row)];
    const int id = r.at("type");
    const StoredType& t = *stored_type(id);
    const int64_t piece = r.at("piece"), elements = piece * t.block_elements;
    QCOMPARE(QString::fromUtf8(t.name.data(), static_cast<int>(t.name.size())), QString::fromStdString(r.at("name")));
    std::vector<float> out(static_cast<size_t>(elements)), other(out.size());
    uint64_t sum = 0;
    for (int64_t p = 0; p < r.at("blocks").get<int64_t>() / piece; ++p) {
      const auto seed = (static_cast<uint64_t>(id) << 32) + static_cast<uint64_t>(p) * 1000003;
      const auto raw = fixture_blocks(t, r.at("scales"), seed, piece);
      decode_stored(id, raw.data(), elements, out.data());
      sum += weighted_sum(static_cast<uint64_t>(p * elements), out);
      if (p > 0) continue;
      for (size_t i = 0; i < static_cast<size_t>(t.block_elements); ++i)
        QCOMPARE(std::bit_cast<uint32_t>(out[i]), std::bit_cast<uint32_t>(float_from_hex(r.at("head"), i)));
      for (CpuLevel level : cpu_probe().available) {
        const WithLevel forced(level);
        decode_stored(id, raw.data(), elements, other.data());
        QVERIFY(same_bits(out, other));
      }
    }
    QCOMPARE(QString::number(sum, 16).rightJustified(16, '0'), QString::fromStdString(r.at("sum")));
  }

  void allHalfPatternsDecodeOnEveryLevel() {
    std::vector<uint16_t> all(65536);
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
    const auto* bytes = reinterpret_cast<const std::byte*>(all.data());
    std::vector<float> half(65536), brain(65536), other(65536);
    for (CpuLevel level : cpu_probe().available) {
      const WithLevel forced(level);
      decode_stored(1, bytes, 65536, half.data());
      decode_stored(30, bytes, 65536, brain.data());
      for (uint32_t i = 0; i < 65536; ++i) {
        QCOMPARE(std::bit_cast<uint32_t>(brain[i]), i << 16);
        const int exponent = static_cast<int>((i >> 10) & 31), mantissa = static_cast<int>(i & 1023);
        if (exponent == 31) {
          QVERIFY(mantissa ? std::isnan(half[i]) : std::isinf(half[i]));
        } else {
          const double magnitude = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
          QCOMPARE(static_cast<double>(half[i]), i & 0x8000 ? -magnitude : magnitude);
        }
        QCOMPARE(std::signbit(half[i]), (i & 0x8000) != 0);
      }
      if (level == CpuLevel::scalar) other = half;
      QVERIFY(same_bits(half, other));
    }
  }

  void weightsDecodeAnyRows_data() { everyTypeDecodesAsTheReference_data(); }
  void weightsDecodeAnyRows() {
    QFETCH(int, row);
    const Json& r = fixture().at("types")[static_cast<size_t>(row)];
    const StoredType& t = *stored_type(r.at("type"));
    const int64_t rows = 9, columns = 3 * t.block_elements;
    const auto raw = fixture_blocks(t, r.at("scales"), 99, rows * 3);
    const auto weight = stored_weight(t.ggml_type, raw, rows, columns, nullptr);
    QCOMPARE(weight->bytes(), raw.size());
    QCOMPARE(weight->format(), t.name);
    const auto whole = decoded(*weight);
    std::vector<float> part(static_cast<size_t>(4 * (columns + 5)), -7.0f);
    weight->decode_rows(3, 4, part.data(), columns + 5);
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t c = 0; c < columns + 5; ++c)
        QCOMPARE(part[static_cast<size_t>(i * (columns + 5) + c)],
                 c < columns ? whole[static_cast<size_t>((3 + i) * columns + c)] : -7.0f);
  }

  void plainTypesAreBorrowed() {
    const auto w = normal_values(6 * 10, 1);
    const std::span bytes(reinterpret_cast<const std::byte*>(w.data()), w.size() * 4);
    const auto weight = stored_weight(0, bytes, 6, 10, nullptr);
    QCOMPARE(weight->plain_f32(), w.data());
    QVERIFY(same_bits(decoded(*weight), w));
    std::vector<std::byte> shifted(bytes.size() + 1);  // not aligned: still decodes, but is no array of floats
    std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
    const auto odd = stored_weight(0, std::span(shifted).subspan(1), 6, 10, nullptr);
    QVERIFY(!odd->plain_f32());
    QVERIFY(same_bits(decoded(*odd), w));
  }

  void theOwnerLivesAsLongAsTheWeight() {
    auto data = std::make_shared<std::vector<std::byte>>(40);
    std::weak_ptr<std::vector<std::byte>> watch = data;
    auto weight = stored_weight(3, *data, 1, 64, data);
    data.reset();
    QVERIFY(!watch.expired());
    weight.reset();
    QVERIFY(watch.expired());
  }

  void typesWithoutDecoderAreRefusedByName() {
    std::vector<std::byte> raw(66);
    VERIFY_THROWS(stored_weight(16, raw, 1, 256, nullptr), UnsupportedError, "IQ2_XXS");
    VERIFY_THROWS(stored_weight(34, raw, 1, 256, nullptr), UnsupportedError, "TQ1_0");
    VERIFY_THROWS(decode_stored(15, raw.data(), 256, nullptr), UnsupportedError, "Q8_K");
    VERIFY_THROWS(stored_weight(4, raw, 1, 256, nullptr), UnsupportedError, "number 4");
    VERIFY_THROWS(stored_weight(-1, raw, 1, 256, nullptr), UnsupportedError, "number -1");
    for (int removed : {-1, 4, 5, 31, 32, 33, 36, 37, 38, 1000}) QVERIFY(!stored_type(removed));
    QCOMPARE(stored_type(12)->name, std::string_view("Q4_K"));
    QCOMPARE(stored_type(12)->block_bytes, 144);
  }

  void sizesThatDoNotFitAreRefused() {
    std::vector<std::byte> raw(40);
    VERIFY_THROWS(stored_weight(3, raw, 1, 48, nullptr), RunError, "blocks of 32");
    VERIFY_THROWS(stored_weight(3, raw, 2, 64, nullptr), RunError, "needs 80 bytes");
    VERIFY_THROWS(stored_weight(3, raw, int64_t{1} << 62, 64, nullptr), RunError, "too large");
    VERIFY_THROWS(stored_weight(3, raw, -1, 64, nullptr), RunError, "-1 rows");
  }

  void scalesThatAreNotFiniteAreFound_data() { everyTypeDecodesAsTheReference_data(); }
  void scalesThatAreNotFiniteAreFound() {
    QFETCH(int, row);
    const Json& r = fixture().at("types")[static_cast<size_t>(row)];
    const StoredType& t = *stored_type(r.at("type"));
    auto raw = fixture_blocks(t, r.at("scales"), 5, 20);
    int64_t bad = -1;
    QVERIFY(stored_scales_finite(t.ggml_type, raw, bad));
    QCOMPARE(bad, int64_t{-1});
    for (int place : r.at("scales").get<std::vector<int>>()) {
      auto broken = raw;
      broken[static_cast<size_t>(13 * t.block_bytes + place + 1)] |= std::byte{0x7c};
      QVERIFY(!stored_scales_finite(t.ggml_type, broken, bad));
      QCOMPARE(bad, int64_t{13 * t.block_elements});
    }
  }

  void plainValuesThatAreNotFiniteAreFound() {
    int64_t bad = -1;
    std::vector<float> w = normal_values(50, 2);
    QVERIFY(stored_scales_finite(0, std::as_bytes(std::span(w)), bad));
    w[31] = -HUGE_VALF;
    QVERIFY(!stored_scales_finite(0, std::as_bytes(std::span(w)), bad));
    QCOMPARE(bad, int64_t{31});
    const std::vector<uint16_t> half = {0x3c00, 0x7bff, 0xfc00}, brain = {0x3f80, 0x7f7f, 0x7fc0};
    QVERIFY(!stored_scales_finite(1, std::as_bytes(std::span(half)), bad));
    QCOMPARE(bad, int64_t{2});
    QVERIFY(!stored_scales_finite(30, std::as_bytes(std::span(brain)), bad));
    QCOMPARE(bad, int64_t{2});
  }
};

LORIKEET_TEST_MAIN(StoredTypesTest)
#include "stored_types_test.moc"
