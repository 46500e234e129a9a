// Decoding of block-coded weights: any range of rows, any CPU level, rows that start inside a block or a byte.
#include "core/quant/coded_weight.h"

#include <atomic>
#include <thread>

#include "tests/core/quant/quant_support.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

const QStringList kFormats = {"nf4", "nf3", "nf2", "fp4", "int8", "int4", "int3", "int2"};

void add_shapes() {
  QTest::addColumn<QString>("format");
  QTest::addColumn<int>("rows");
  QTest::addColumn<int>("columns");
  QTest::addColumn<int>("block");
  for (const QString& f : kFormats) {
    QTest::addRow("%s, whole blocks", qPrintable(f)) << f << 12 << 192 << 64;
    QTest::addRow("%s, blocks cross rows", qPrintable(f)) << f << 12 << 96 << 64;
    QTest::addRow("%s, rows start inside a byte", qPrintable(f)) << f << 13 << 77 << 32;
    QTest::addRow("%s, block larger than the matrix", qPrintable(f)) << f << 5 << 33 << 4096;
    QTest::addRow("%s, one column", qPrintable(f)) << f << 70 << 1 << 32;
    QTest::addRow("%s, many groups of scales", qPrintable(f)) << f << 40 << 576 << 32;
  }
}

}  // namespace

class CodedWeightTest : public QObject {
  Q_OBJECT
  Context cx_{2};

  FrozenWeightPtr weight_of(const QString& format, int rows, int columns, int block) {
    QuantOptions o;
    o.block_size = block;
    return encoded(cx_, format.toStdString(), normal_values(rows * columns, 1), rows, o);
  }

 private slots:
  void anyRangeOfRowsEqualsTheWhole_data() { add_shapes(); }
  void anyRangeOfRowsEqualsTheWhole() {
    QFETCH(QString, format);
    QFETCH(int, rows);
    QFETCH(int, columns);
    QFETCH(int, block);
    const auto weight = weight_of(format, rows, columns, block);
    const auto whole = decoded(*weight);
    for (int64_t stride : {int64_t{columns}, int64_t{columns} + 3})
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t count : {int64_t{1}, int64_t{3}, rows - row}) {
          if (count < 1 || row + count > rows) continue;
          std::vector<float> part(static_cast<size_t>(count * stride), -7.0f);
          weight->decode_rows(row, count, part.data(), stride);
          for (int64_t i = 0; i < count; ++i)
            for (int64_t c = 0; c < stride; ++c) {
              const float wanted = c < columns ? whole[static_cast<size_t>((row + i) * columns + c)] : -7.0f;
              if (part[static_cast<size_t>(i * stride + c)] != wanted) QFAIL(qPrintable(QString("row %1 count %2 column %3").arg(row).arg(count).arg(c)));
            }
        }
  }

  void everyLevelGivesTheSameBits_data() { add_shapes(); }
  void everyLevelGivesTheSameBits() {
    QFETCH(QString, format);
    QFETCH(int, rows);
    QFETCH(int, columns);
    QFETCH(int, block);
    const auto weight = weight_of(format, rows, columns, block);
    std::vector<float> first;
    for (CpuLevel level : cpu_probe().available) {
      const WithLevel forced(level);
      const auto values = decoded(*weight);
      if (first.empty()) first = values;
      QVERIFY(same_bits(values, first));
    }
  }

  void packedCodesStandWhereTheyShould() {
    const std::vector<uint8_t> codes = {1, 2, 3, 0, 2};
    std::vector<uint8_t> out(4, 0xee);
    pack_codes(codes.data(), 5, 4, 7, out.data());
    QVERIFY((out == std::vector<uint8_t>{0x12, 0x30, 0x27, 0xee}));
    pack_codes(codes.data(), 5, 2, 1, out.data());
    QVERIFY((out == std::vector<uint8_t>{0b00111001, 0b01010110, 0x27, 0xee}));
    pack_codes(codes.data(), 5, 3, 0, out.data());
    const unsigned word = 1u | 2u << 3 | 3u << 6 | 0u << 9 | 2u << 12;
    QCOMPARE(out[0] | unsigned{out[1]} << 8 | unsigned{out[2]} << 16, word);
    QCOMPARE(code_bytes(5, 4), uint64_t{3});
    QCOMPARE(code_bytes(5, 3), uint64_t{3});
    QCOMPARE(code_bytes(9, 3), uint64_t{6});
    QCOMPARE(code_bytes(5, 2), uint64_t{2});
    QCOMPARE(code_bytes(5, 8), uint64_t{5});
  }

  void manyThreadsMayDecodeAtOnce() {
    const auto weight = weight_of("nf4", 64, 576, 64);
    const auto whole = decoded(*weight);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        std::vector<float> row(576);
        for (int64_t r = t; r < 64; r += 4)
          for (int again = 0; again < 20; ++again) {
            weight->decode_rows(r, 1, row.data(), 576);
            if (!std::equal(row.begin(), row.end(), whole.begin() + r * 576)) ++wrong;
          }
      });
    for (auto& t : threads) t.join();
    QCOMPARE(wrong.load(), 0);
  }
};

LORIKEET_TEST_MAIN(CodedWeightTest)
#include "coded_weight_test.moc"
