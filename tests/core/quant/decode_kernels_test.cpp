/// The decoders of every CPU level beside the scalar ones, bit for bit: every code in every place, scales of every kind,
/// runs of any length, nothing written beyond the end.
#include "core/quant/decode_kernels.h"

#include <cstring>

#include "tests/core/quant/quant_support.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr float kUntouched = -7.0f;
const uint16_t kHalfScales[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x83ff, 0x0400, 0x3c00, 0xbc00, 0x2e66, 0xae67, 0x7bff, 0xfbff};
const float kScales[] = {0.0f, -0.0f, 1.0f, -1.0f, 0.1f, -0.3f, 1e-40f, -1e-45f, 3e38f, -3e38f, 0x1p-126f};

/// Where a block keeps half-precision numbers.
struct StoredCase { int id; std::vector<size_t> halves; };
const std::vector<StoredCase>& stored_cases() {
  static const std::vector<StoredCase> all = {{2, {0}},       {3, {0, 2}},  {6, {0}},     {7, {0, 2}},  {8, {0}},  {10, {80, 82}},
                                              {11, {108}},    {12, {0, 2}}, {13, {0, 2}}, {14, {208}}, {20, {0}}, {23, {0}}};
  return all;
}

/// `count` blocks: the first 256 of equal bytes (every code, in every place), the rest random; scales from the list.
std::vector<uint8_t> blocks_of(const StoredCase& c, size_t count, uint64_t seed) {
  const auto size = static_cast<size_t>(stored_type(c.id)->block_bytes);
  std::vector<uint8_t> bytes(count * size);
  for (size_t b = 0; b < count; ++b) {
    for (size_t i = 0; i < size; ++i) bytes[b * size + i] = static_cast<uint8_t>(b < 256 ? b : splitmix64(seed, b * size + i));
    for (size_t place : c.halves) std::memcpy(bytes.data() + b * size + place, &kHalfScales[splitmix64(seed + place, b) % std::size(kHalfScales)], 2);
  }
  return bytes;
}

using CodeKernel = void (*DecodeKernels::*)(const CodeRun&);
struct CodedCase { const char* name; int bits; CodeKernel kernel; };
const CodedCase kCodedCases[] = {{"2 bits", 2, &DecodeKernels::codes2}, {"3 bits", 3, &DecodeKernels::codes3}, {"4 bits", 4, &DecodeKernels::codes4}, {"8 bits", 8, &DecodeKernels::codes8}};

}  // namespace

class DecodeKernelsTest : public QObject {
  Q_OBJECT

  static std::vector<float> run(const CodedCase& c, CpuLevel level, const std::vector<uint8_t>& codes, int64_t blocks, int64_t block) {
    std::vector<float> scales, table, out(static_cast<size_t>(blocks * block) + 16, kUntouched);
    for (int64_t b = 0; b < blocks; ++b) scales.push_back(kScales[static_cast<size_t>(b + block) % std::size(kScales)]);
    for (float v : normal_values(16, 9)) table.push_back(v);
    (decode_kernels(level).*c.kernel)({codes.data(), blocks, block, scales.data(), table.data(), out.data()});
    return out;
  }

 private slots:
  void everyStoredTypeHasACase() {
    for (int id = 0; id < kStoredTypeIds; ++id) {
      const StoredType* t = stored_type(id);
      const bool listed = id < 2 || id == 30 || std::any_of(stored_cases().begin(), stored_cases().end(), [id](const StoredCase& c) { return c.id == id; });
      QCOMPARE(listed, t && t->readable);
      for (CpuLevel level : cpu_probe().available) QCOMPARE(decode_kernels(level).stored[id] != nullptr, listed);
    }
  }

  void storedBlocksHaveTheScalarBits_data() {
    QTest::addColumn<int>("index");
    for (size_t i = 0; i < stored_cases().size(); ++i) QTest::newRow(stored_type(stored_cases()[i].id)->name.data()) << static_cast<int>(i);
  }
  void storedBlocksHaveTheScalarBits() {
    QFETCH(int, index);
    const StoredCase& c = stored_cases()[static_cast<size_t>(index)];
    const int64_t elements = stored_type(c.id)->block_elements;
    for (int64_t count : {0, 1, 2, 3, 7, 1500}) {
      const auto bytes = blocks_of(c, static_cast<size_t>(count), static_cast<uint64_t>(c.id));
      std::vector<float> wanted(static_cast<size_t>(count * elements) + 16, kUntouched);
      decode_kernels(CpuLevel::scalar).stored[c.id](bytes.data(), count, wanted.data());
      for (CpuLevel level : cpu_probe().available) {
        std::vector<float> out(wanted.size(), kUntouched);
        decode_kernels(level).stored[c.id](bytes.data(), count, out.data());
        QVERIFY2(same_bits(out, wanted), std::string(cpu_level_name(level)).c_str());
      }
    }
  }

  void plainValuesOfAnyCountHaveTheScalarBits() {
    for (int id : {0, 1, 30})
      for (int64_t count = 1; count <= 67; ++count) {
        std::vector<uint8_t> bytes(static_cast<size_t>(count * stored_type(id)->block_bytes));
        for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(splitmix64(3, i));
        std::vector<float> wanted(static_cast<size_t>(count) + 16, kUntouched);
        decode_kernels(CpuLevel::scalar).stored[id](bytes.data(), count, wanted.data());
        for (CpuLevel level : cpu_probe().available) {
          std::vector<float> out(wanted.size(), kUntouched);
          decode_kernels(level).stored[id](bytes.data(), count, out.data());
          QVERIFY2(same_bits(out, wanted), std::string(cpu_level_name(level)).c_str());
        }
      }
  }

  void packedCodesHaveTheScalarBits_data() {
    QTest::addColumn<int>("index");
    for (size_t i = 0; i < std::size(kCodedCases); ++i) QTest::newRow(kCodedCases[i].name) << static_cast<int>(i);
  }
  void packedCodesHaveTheScalarBits() {
    QFETCH(int, index);
    const CodedCase& c = kCodedCases[index];
    const auto check = [&](int64_t blocks, int64_t block) {
      std::vector<uint8_t> codes(static_cast<size_t>(c.bits == 3 ? (blocks * block + 7) / 8 * 3 : (blocks * block * c.bits + 7) / 8));
      for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(splitmix64(static_cast<uint64_t>(block), i));
      const auto wanted = run(c, CpuLevel::scalar, codes, blocks, block);
      for (size_t i = static_cast<size_t>(blocks * block); i < wanted.size(); ++i)
        if (wanted[i] != kUntouched) return false;
      for (CpuLevel level : cpu_probe().available)
        if (!same_bits(run(c, level, codes, blocks, block), wanted)) return false;
      return true;
    };
    for (int64_t block = 1; block <= 200; ++block) QVERIFY2(check(1, block), std::to_string(block).c_str());
    for (int64_t block : {8, 24, 32, 40, 64, 128, 200, 256}) QVERIFY2(check(37, block), std::to_string(block).c_str());
  }
};

LORIKEET_TEST_MAIN(DecodeKernelsTest)
#include "decode_kernels_test.moc"
