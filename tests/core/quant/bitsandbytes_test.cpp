// Bit equality with bitsandbytes (fixture made by tests/tools/make_bnb_fixtures.py), and reading its parts.
#include <bit>

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/quant/codebooks.h"
#include "tests/core/quant/quant_support.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

const Json& fixture() {
  static const Json j = read_json_file(data_path("quant/bitsandbytes.json"));
  return j;
}

std::string hex(const void* data, size_t bytes) {
  static const char* digits = "0123456789abcdef";
  std::string s;
  for (size_t i = 0; i < bytes; ++i) {
    const auto b = static_cast<const uint8_t*>(data)[i];
    s += {digits[b >> 4], digits[b & 15]};
  }
  return s;
}

std::string sha(const void* data, size_t bytes) { return sha256_of_bytes({static_cast<const std::byte*>(data), bytes}); }

const Tensor& part(const WeightParts& parts, const std::string& name) {
  for (const auto& [key, tensor] : parts.tensors)
    if (key == name) return tensor;
  throw std::runtime_error("no part " + name);
}
double number(const WeightParts& parts, const std::string& name) {
  for (const auto& [key, value] : parts.numbers)
    if (key == name) return value;
  throw std::runtime_error("no number " + name);
}

/// The stored head is a prefix of the whole; comparing it first shows where bits differ.
void compare_part(const Tensor& t, const Json& row, const std::string& key) {
  const std::string head = row.at(key + "_head");
  QCOMPARE(hex(t.raw(), std::min(t.bytes(), head.size() / 2)), head);
  QCOMPARE(sha(t.raw(), t.bytes()), row.at(key).get<std::string>());
}

/// A valid set of parts of a 64 x 96 weight for the tests of refusal.
WeightParts good_parts(Context& cx, bool nested) {
  QuantOptions o;
  o.double_quant = nested;
  return *bitsandbytes_parts(*encoded(cx, "nf4", normal_values(64 * 96, 5), 64, o));
}
void replace(WeightParts& parts, const std::string& name, Tensor t) {
  for (auto& [key, tensor] : parts.tensors)
    if (key == name) tensor = t;
}

}  // namespace

class BitsandbytesTest : public QObject {
  Q_OBJECT
  Context cx_{2};

 private slots:
  void mapsHaveItsBits() {
    QCOMPARE(hex(nf4_codebook().values.data(), 64), fixture().at("maps").at("nf4").get<std::string>());
    QCOMPARE(hex(fp4_codebook().values.data(), 64), fixture().at("maps").at("fp4").get<std::string>());
    QCOMPARE(hex(dynamic_map().data(), 1024), fixture().at("maps").at("dynamic").get<std::string>());
  }

  void everyPartHasItsBits_data() {
    QTest::addColumn<int>("index");
    const Json& cases = fixture().at("cases");
    for (size_t i = 0; i < cases.size(); ++i) {
      const Json& c = cases[i];
      QTest::addRow("%s %s %dx%d block %d%s", c["type"].get<std::string>().c_str(), c["kind"].get<std::string>().c_str(),
                    c["rows"].get<int>(), c["columns"].get<int>(), c["block"].get<int>(), c["nested"].get<bool>() ? " nested" : "")
          << static_cast<int>(i);
    }
  }
  void everyPartHasItsBits() {
    QFETCH(int, index);
    const Json& row = fixture().at("cases")[static_cast<size_t>(index)];
    const int64_t rows = row["rows"], columns = row["columns"];
    QuantOptions o;
    o.block_size = row["block"];
    o.double_quant = row["nested"];
    const auto w = fixture_matrix(row["kind"], rows * columns, o.block_size, row["seed"]);
    const FrozenWeightPtr weight = encoded(cx_, row["type"], w, rows, o);
    const WeightParts parts = *bitsandbytes_parts(*weight);
    compare_part(part(parts, ""), row, "codes");
    compare_part(part(parts, "absmax"), row, "absmax");
    if (o.double_quant) {
      const auto offset = static_cast<float>(number(parts, "nested_offset"));
      QCOMPARE(hex(&offset, 4), row["nested_offset"].get<std::string>());
      compare_part(part(parts, "nested_absmax"), row, "nested_absmax");
    }
    std::vector<float> values = decoded(*weight);
    QCOMPARE(sha(values.data(), values.size() * 4), row["decoded"].get<std::string>());
  }

  void partsReadBackAreTheSameWeight_data() {
    QTest::addColumn<QString>("type");
    QTest::addColumn<bool>("nested");
    for (const char* type : {"nf4", "fp4"})
      for (bool nested : {true, false}) QTest::addRow("%s %d", type, nested) << type << nested;
  }
  void partsReadBackAreTheSameWeight() {
    QFETCH(QString, type);
    QFETCH(bool, nested);
    QuantOptions o;
    o.double_quant = nested;
    const auto weight = encoded(cx_, type.toStdString(), normal_values(33 * 31, 3), 33, o);
    const auto parts = *bitsandbytes_parts(*weight);
    const auto back = weight_from_bitsandbytes(parts, type.toStdString(), 64, 33, 31);
    QVERIFY(same_bits(decoded(*back), decoded(*weight)));
    QCOMPARE(back->format(), weight->format());
    QCOMPARE(back->bytes(), weight->bytes());  // the shared tables are recognised
  }

  void storedMapsAreUsedWhereTheyDiffer() {
    WeightParts parts = good_parts(cx_, true);
    const auto before = decoded(*weight_from_bitsandbytes(parts, "nf4", 64, 64, 96));
    Tensor map = part(parts, "quant_map").clone();
    for (int i = 0; i < 16; ++i) map.data<float>()[i] *= 2;
    replace(parts, "quant_map", map);
    const auto after = decoded(*weight_from_bitsandbytes(parts, "nf4", 64, 64, 96));
    for (size_t i = 0; i < before.size(); ++i) QCOMPARE(after[i], 2 * before[i]);
  }

  void codesMayComeInAWiderStorageType() {
    WeightParts parts = good_parts(cx_, true);
    const auto before = decoded(*weight_from_bitsandbytes(parts, "nf4", 64, 64, 96));
    const Tensor bytes = part(parts, "").clone();
    replace(parts, "", Tensor::borrow(bytes.raw(), {bytes.size() / 2, 1}, DType::bf16, std::make_shared<Tensor>(bytes)));
    QVERIFY(same_bits(decoded(*weight_from_bitsandbytes(parts, "nf4", 64, 64, 96)), before));
  }

  void partsThatDoNotFitAreNamed() {
    const auto read = [&](const WeightParts& p, const char* type = "nf4", int block = 64, int64_t rows = 64) {
      return weight_from_bitsandbytes(p, type, block, rows, 96);
    };
    const WeightParts good = good_parts(cx_, true), plain = good_parts(cx_, false);
    VERIFY_THROWS(read(good, "int8"), RunError, "quant_type");
    VERIFY_THROWS(read(good, "nf4", 63), RunError, "blocksize");
    VERIFY_THROWS(read(good, "nf4", 64, 0), RunError, "shape");
    VERIFY_THROWS(read(good, "nf4", 64, int64_t{1} << 60), RunError, "shape");
    VERIFY_THROWS(read(good, "nf4", 64, 65), RunError, "packed codes");
    VERIFY_THROWS(read(good, "nf4", 128), RunError, "\"absmax\"");
    VERIFY_THROWS(read({}), RunError, "lacks the packed codes");

    WeightParts p = good;
    std::erase_if(p.tensors, [](auto& t) { return t.first == "nested_quant_map"; });
    VERIFY_THROWS(read(p), RunError, "nested_quant_map");
    p = good;
    std::erase_if(p.tensors, [](auto& t) { return t.first == "nested_absmax"; });
    VERIFY_THROWS(read(p), RunError, "f32 is wanted");  // u8 scales without their second level
    p = good;
    std::erase_if(p.numbers, [](auto& t) { return t.first == "nested_offset"; });
    VERIFY_THROWS(read(p), RunError, "nested_offset");
    p = good;
    for (auto& [key, value] : p.numbers)
      if (key == "nested_blocksize") value = 0;
    VERIFY_THROWS(read(p), RunError, "nested_blocksize");
    p = plain;
    Tensor bad = part(p, "absmax").clone();
    bad.data<float>()[3] = std::nanf("");
    replace(p, "absmax", bad);
    VERIFY_THROWS(read(p), RunError, "index 3");
  }

  void otherFormatsHaveNoParts() {
    QVERIFY(!bitsandbytes_parts(*encoded(cx_, "int4", normal_values(64, 1), 1)));
    QVERIFY(!bitsandbytes_parts(*encoded(cx_, "nf3", normal_values(64, 1), 1)));
    QVERIFY(!bitsandbytes_parts(*encoded(cx_, "bf16", normal_values(64, 1), 1)));
  }

  void meanErrorLiesInItsSpread_data() {
    QTest::addColumn<QString>("type");
    QTest::addColumn<int>("block");
    QTest::addColumn<double>("mean");
    QTest::addColumn<double>("sigma");
    for (const Json& e : fixture().at("mean_errors"))
      QTest::addRow("%s %d", e["type"].get<std::string>().c_str(), e["block"].get<int>())
          << QString::fromStdString(e["type"]) << e["block"].get<int>() << e["mean"].get<double>() << e["sigma"].get<double>();
  }
  void meanErrorLiesInItsSpread() {
    QFETCH(QString, type);
    QFETCH(int, block);
    QFETCH(double, mean);
    QFETCH(double, sigma);
    static const std::vector<float> w = normal_values(512 * 512, 11);
    QuantOptions o;
    o.block_size = block;
    o.double_quant = false;
    const auto back = decoded(*encoded(cx_, type.toStdString(), w, 512, o));
    double sum = 0;
    for (size_t i = 0; i < w.size(); ++i) sum += std::fabs(static_cast<double>(w[i]) - static_cast<double>(back[i]));
    const double error = sum / static_cast<double>(w.size());
    QVERIFY2(std::fabs(error - mean) <= 7 * sigma, qPrintable(QString("%1, wanted %2 +- 7 x %3").arg(error).arg(mean).arg(sigma)));
  }
};

LORIKEET_TEST_MAIN(BitsandbytesTest)
#include "bitsandbytes_test.moc"
