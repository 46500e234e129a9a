// Each rule for safetensors with a file that breaks just that rule; written files are read back and are the
// reference's.
#include "core/io/safetensors.h"

#include <QElapsedTimer>
#include <cmath>

#include "core/base/error.h"
#include "core/io/npy.h"
#include "tests/core/io/file_makers.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {
const std::string kGood =
    R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})";
std::string with(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  return text.replace(at, from.size(), to);
}
}  // namespace

class SafetensorsTest : public QObject {
  Q_OBJECT
 private slots:
  void readsBackWhatItWrites() {
    ScratchFolder scratch;
    const std::vector<std::pair<std::string, Tensor>> tensors = {{"z.f32", random_tensor({3, 5}, 1)},
                                                                 {"a.bytes", Tensor::from<uint8_t>({1, 2, 3}, {3})},
                                                                 {"empty", Tensor::zeros({0, 4})},
                                                                 {"b.f16", random_tensor({7}, 2).to(DType::f16)},
                                                                 {"scalar", random_tensor({}, 3)},
                                                                 {"c.i64", Tensor::from<int64_t>({-5}, {1})},
                                                                 {"view", random_tensor({4, 6}, 4).columns(1, 4)}};
    const std::string path = scratch.path("t.safetensors");
    const std::string hash = write_safetensors(path, tensors, {{"made by", "a test"}});
    QCOMPARE(QString::fromStdString(hash), QString::fromStdString(sha256_of_file(path)));
    const SafetensorsFile file(path);
    QCOMPARE(file.entries().size(), tensors.size());
    QCOMPARE(QString::fromStdString(file.metadata().at("format")), QString("pt"));
    QCOMPARE(QString::fromStdString(file.metadata().at("made by")), QString("a test"));
    for (const auto& [name, tensor] : tensors) {
      const SafetensorsEntry* e = file.find(name);
      QVERIFY(e);
      const Tensor read = file.tensor(*e), whole = tensor.clone();
      QVERIFY(read.dtype() == tensor.dtype() && read.shape() == tensor.shape());
      QVERIFY(std::memcmp(read.raw(), whole.raw(), whole.bytes()) == 0);
    }
    // Wide types first, then names; the header fills whole 8 bytes.
    QCOMPARE(QString::fromStdString(file.entries().front().name), QString("c.i64"));
    QCOMPARE(QString::fromStdString(file.entries().back().name), QString("a.bytes"));
    QVERIFY(file.entries().front().begin % 8 == 0);
  }

  void writesTheBytesOfTheReferenceWriter() {
    // expected.safetensors comes from the reference library; read and written again it must not change.
    ScratchFolder scratch;
    const std::string original = data_path("models/expected.safetensors");
    const SafetensorsFile file(original);
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const SafetensorsEntry& e : file.entries()) tensors.emplace_back(e.name, file.tensor(e));
    write_safetensors(scratch.path("again.safetensors"), tensors);
    const SafetensorsFile again(scratch.path("again.safetensors"));
    QCOMPARE(again.entries().size(), file.entries().size());
    for (size_t i = 0; i < file.entries().size(); ++i) {
      QCOMPARE(QString::fromStdString(again.entries()[i].name), QString::fromStdString(file.entries()[i].name));
      const auto a = again.bytes(again.entries()[i]), b = file.bytes(file.entries()[i]);
      QVERIFY(a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0);
    }
  }

  void readsMisalignedTensors() {
    ScratchFolder scratch;
    std::string bytes = safetensors_bytes(
        R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
        5);
    const float value = 1.25f;
    std::memcpy(bytes.data() + bytes.size() - 4, &value, 4);
    const SafetensorsFile file(scratch.write("odd.safetensors", bytes));
    QCOMPARE(file.tensor(*file.find("b")).data<float>()[0], value);
  }

  void refusesEachBrokenRule_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* what, const std::string& bytes, const char* part) {
      QTest::newRow(what) << QByteArray::fromStdString(bytes) << part;
    };
    const auto header = [](const std::string& text) { return safetensors_bytes(text, 11); };
    row("empty", "", "at least 8");
    row("seven bytes", std::string(7, '\0'), "at least 8");
    std::string length;
    put<uint64_t>(length, 100'000'001);
    row("header too long", length + kGood, "100000001");
    length.clear();
    put<uint64_t>(length, 0xffffffffffffffffull);
    row("header length wraps", length + kGood, "at most 100000000");
    length.clear();
    put<uint64_t>(length, kGood.size() + 100);
    row("header beyond the file", length + kGood, "cut off");
    row("not an object", header("[" + kGood.substr(1)), "begin with {");
    row("a blank in front", header(" " + kGood), "begin with {");
    row("not UTF-8", header(with(kGood, "\"a\"", "\"\xff\"")), "UTF-8");
    row("broken JSON", header(with(kGood, "\"a\":", "\"a\"")), "JSON");
    row("newline behind the header", header(kGood + "\n"), "does not end with }");
    row("text behind the header", header(kGood + "{}"), "JSON");
    row("unknown dtype", header(with(kGood, "F32", "F33")), "F33");
    row("fraction in the shape", header(with(kGood, "[2]", "[2.0]")), "fraction");
    row("exponent in the shape", header(with(kGood, "[2]", "[2e0]")), "fraction");
    row("negative size", header(with(kGood, "[2]", "[-2]")), "negative");
    row("huge integer", header(with(kGood, "[2]", "[9007199254740993]")), "2^53");
    row("integer beyond 64 bits", header(with(kGood, "[2]", "[99999999999999999999]")), "");
    row("size overflows", header(with(kGood, "[2]", "[4503599627370496,4503599627370496]")), "overflows");
    row("end before begin", header(with(kGood, "[0,8]", "[8,0]")), "end before they begin");
    row("size and offsets differ", header(with(kGood, "[2]", "[3]")), "need 12");
    row("hole", safetensors_bytes(with(kGood, "[8,11]", "[9,12]"), 12), "hole");
    row("overlap", safetensors_bytes(with(kGood, "[8,11]", "[5,8]"), 11), "inside the tensor");
    row("first not at 0", safetensors_bytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3), "hole");
    row("trailing byte", safetensors_bytes(kGood, 12), "follow the last tensor");
    row("cut off", safetensors_bytes(kGood, 10), "cut off");
    row("tensor twice", header(with(kGood, "\"b\"", "\"a\"")), "twice");
    row("member twice", header(with(kGood, "\"shape\":[2]", "\"shape\":[2],\"shape\":[2]")), "twice");
    row("metadata key twice", header(with(kGood, "{\"a\"", R"({"__metadata__":{"x":"1","x":"2"},"a")")), "twice");
    row("unknown member", header(with(kGood, "\"shape\":[2]", "\"shape\":[2],\"x\":[]")), "unknown member");
    row("member missing", header(with(kGood, "\"shape\":[2],", "")), "shape is missing");
    row("three offsets", header(with(kGood, "[0,8]", "[0,8,8]")), "two are wanted");
    row("shape too deep", header(with(kGood, "[2]", "[[2]]")), "list");
    row("shape is text", header(with(kGood, "[2]", "\"2\"")), "");
    row("dtype is a number", header(with(kGood, "\"F32\"", "3")), "");
    row("tensor is a list", header(with(kGood, R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", "[1]")), "");
    row("rank nine", header(with(kGood, "[2]", "[1,1,1,1,1,1,1,1,2]")), "more than 8");
    row("metadata not text", header(with(kGood, "{\"a\"", R"({"__metadata__":{"x":1},"a")")), "texts");
    row("metadata deep", header(with(kGood, "{\"a\"", R"({"__metadata__":{"x":{"y":"z"}},"a")")), "texts");
    row("long name", header(with(kGood, "\"a\"", "\"" + std::string(5000, 'n') + "\"")), "4096");
    row("bits no whole bytes", safetensors_bytes(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2),
        "whole bytes");
  }
  void refusesEachBrokenRule() {
    QFETCH(QByteArray, bytes);
    QFETCH(QString, part);
    ScratchFolder scratch;
    const std::string path = scratch.write("bad.safetensors", bytes.toStdString());
    VERIFY_THROWS(SafetensorsFile(path), InputError, part.toStdString());
  }

  void acceptsWhatTheFormatAllows_data() {
    QTest::addColumn<QByteArray>("bytes");
    const auto row = [](const char* what, const std::string& bytes) {
      QTest::newRow(what) << QByteArray::fromStdString(bytes);
    };
    row("good", safetensors_bytes(kGood, 11));
    row("padded", safetensors_bytes(kGood + "     ", 11));
    row("no tensors", safetensors_bytes("{}", 0));
    row("other order", safetensors_bytes(with(with(kGood, "[0,8]", "[3,11]"), "[8,11]", "[0,3]"), 11));
    row("empty tensor", safetensors_bytes(R"({"a":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}})", 0));
    row("four bits", safetensors_bytes(R"({"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}})", 2));
  }
  void acceptsWhatTheFormatAllows() {
    QFETCH(QByteArray, bytes);
    ScratchFolder scratch;
    SafetensorsFile file(scratch.write("good.safetensors", bytes.toStdString()));
  }

  void readsFiftyThousandTensorsInTwoSeconds() {
    std::string header = "{";
    for (int i = 0; i < 50000; ++i)
      header += (i ? "," : "") +
                QString("\"model.layers.%1.x.weight\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%1,%2]}")
                    .arg(i)
                    .arg(i + 1)
                    .toStdString();
    ScratchFolder scratch;
    const std::string path = scratch.write("many.safetensors", safetensors_bytes(header + "}", 50000));
    QElapsedTimer timer;
    timer.start();
    const SafetensorsFile file(path);
    QCOMPARE(file.entries().size(), size_t{50000});
    QVERIFY2(timer.elapsed() < 2000, qPrintable(QString::number(timer.elapsed())));
  }

  void leavesTheOldFileWhenWritingFails() {
    ScratchFolder scratch;
    VERIFY_THROWS(write_safetensors(scratch.path("none/t.safetensors"), {}), IoError, "none/t.safetensors");
    VERIFY_THROWS(
        write_safetensors(scratch.path("t.safetensors"), {{"a", Tensor::zeros({1})}, {"a", Tensor::zeros({1})}}),
        RunError, "twice");
    QVERIFY(!fs::exists(scratch.path("t.safetensors")));
  }

  void writesNpyThatNumpyReads() {
    ScratchFolder scratch;
    const Tensor t = random_tensor({3, 4}, 9);
    write_npy(scratch.path("t.npy"), t);
    const std::string bytes = read_file(scratch.path("t.npy"));
    QCOMPARE(bytes.size() % 64, (t.bytes()) % 64);
    QCOMPARE(bytes.size(), size_t{128} + t.bytes());
    QVERIFY(bytes.starts_with(
        std::string("\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3,4,), }", 65)));
    QCOMPARE(bytes[127], '\n');
    QVERIFY(std::memcmp(bytes.data() + 128, t.raw(), t.bytes()) == 0);
  }
};

LORIKEET_TEST_MAIN(SafetensorsTest)
#include "safetensors_test.moc"
