// Each check of the GGUF reader with a file made to fail just that check.
#include "core/io/gguf.h"

#include <QElapsedTimer>

#include "core/base/error.h"
#include "core/io/model_files.h"
#include "tests/core/io/file_makers.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {
std::string list_value(int32_t element_type, uint64_t count, const std::string& bytes) {
  std::string b;
  put(b, element_type);
  put(b, count);
  return b + bytes;
}
}  // namespace

class GgufTest : public QObject {
  Q_OBJECT
 private slots:
  void readsVersionsTwoAndThree() {
    ScratchFolder scratch;
    for (const uint32_t version : {2u, 3u}) {
      GgufMaker m = small_llama();
      m.version = version;
      const GgufFile file(scratch.write("m.gguf", m.bytes()));
      QCOMPARE(file.version(), static_cast<int>(version));
      QCOMPARE(file.tensors().size(), size_t{11});
      QVERIFY((file.find("blk.0.attn_k.weight")->shape == std::vector<int64_t>{4, 8}));
      QCOMPARE(file.integer("llama.block_count", 1, 10).value(), int64_t{1});
      QCOMPARE(file.trailing_bytes(), uint64_t{0});
    }
    QCOMPARE(open_model(scratch.path("m.gguf"))->config().kv_heads, int64_t{1});
  }

  void readsAllTypesOfValues() {
    GgufMaker m;
    const auto number = [](auto v) {
      std::string b;
      put(b, v);
      return b;
    };
    m.raw_pair("a.u8", 0, number(uint8_t{200}))
        .raw_pair("a.i8", 1, number(int8_t{-3}))
        .raw_pair("a.u16", 2, number(uint16_t{60000}));
    m.raw_pair("a.i16", 3, number(int16_t{-300}))
        .raw_pair("a.i32", 5, number(int32_t{-70000}))
        .raw_pair("a.u64", 10, number(uint64_t{1} << 40));
    m.raw_pair("a.i64", 11, number(-(int64_t{1} << 40)))
        .raw_pair("a.f64", 12, number(0.1))
        .raw_pair("a.bool", 7, std::string(1, '\1'));
    m.f32("a.f32", 0.5f).string("a.text", "x").strings("a.list", {"p", "", "q"});
    m.raw_pair("a.numbers", 9, list_value(5, 2, number(int32_t{-1}) + number(int32_t{7})));
    ScratchFolder scratch;
    const GgufFile f(scratch.write("v.gguf", m.bytes()));
    QCOMPARE(f.integer("a.u8", 0, 255).value(), int64_t{200});
    QCOMPARE(f.integer("a.i8", -9, 9).value(), int64_t{-3});
    QCOMPARE(f.integer("a.u16", 0, 70000).value(), int64_t{60000});
    QCOMPARE(f.integer("a.i16", -500, 0).value(), int64_t{-300});
    QCOMPARE(f.integer("a.i32", -80000, 0).value(), int64_t{-70000});
    QCOMPARE(f.integer("a.u64", 0, INT64_MAX).value(), int64_t{1} << 40);
    QCOMPARE(f.integer("a.i64", INT64_MIN, 0).value(), -(int64_t{1} << 40));
    QCOMPARE(f.number("a.f64").value(), 0.1);
    QCOMPARE(f.number("a.f32").value(), 0.5);
    QCOMPARE(f.boolean("a.bool").value(), true);
    QCOMPARE(QString::fromStdString(f.text("a.text").value()), QString("x"));
    QCOMPARE(std::get<GgufArray>(f.metadata().at("a.list")).strings.size(), size_t{3});
    QCOMPARE(std::get<GgufArray>(f.metadata().at("a.numbers")).numbers[0], -1.0);
    QVERIFY(!f.text("a.none").has_value());
    VERIFY_THROWS(f.text("a.u8"), InputError, "another type");
    VERIFY_THROWS(f.integer("a.text", 0, 1), InputError, "another type");
    VERIFY_THROWS(f.integer("a.u64", 0, 100), InputError, "wanted 0 to 100");
    VERIFY_THROWS(f.boolean("a.u8"), InputError, "another type");
    VERIFY_THROWS(f.number("a.bool"), InputError, "another type");
  }

  void refusesEachBrokenRule_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* what, const std::string& bytes, const char* part) {
      QTest::newRow(what) << QByteArray::fromStdString(bytes) << part;
    };
    const auto changed = [](const std::function<void(GgufMaker&)>& change) {
      GgufMaker m = small_llama();
      change(m);
      return m.bytes();
    };
    row("empty", "", "no GGUF");
    row("other magic", "GGUX" + small_llama().bytes().substr(4), "no GGUF");
    row("version 1", changed([](auto& m) { m.version = 1; }), "version 1");
    row("version 4", changed([](auto& m) { m.version = 4; }), "version 4");
    row("big-endian", changed([](auto& m) { m.version = 0x03000000; }), "big-endian");
    row("tensor count huge", changed([](auto& m) { m.tensor_count = ~uint64_t{0}; }), "at most 65536");
    row("tensor count beyond the file", changed([](auto& m) { m.tensor_count = 60000; }), "bytes follow");
    row("key count huge", changed([](auto& m) { m.pair_count = uint64_t{1} << 40; }), "at most 65536");
    row("key count beyond the file", changed([](auto& m) { m.pair_count = 65000; }), "bytes follow");
    row("empty key", changed([](auto& m) { m.u32("", 1); }), "empty key");
    row("key not ASCII", changed([](auto& m) { m.u32("a\x1b[31m", 1); }), "plain ASCII");
    row("key twice", changed([](auto& m) { m.u32("llama.block_count", 1); }), "twice");
    row("unknown value type", changed([](auto& m) { m.raw_pair("a", 13, "1234"); }), "unknown value type 13");
    row("negative value type", changed([](auto& m) { m.raw_pair("a", -1, "1234"); }), "unknown value type");
    row("truth value 2", changed([](auto& m) { m.raw_pair("a", 7, std::string(1, '\2')); }), "only 0 and 1");
    row("list in a list", changed([](auto& m) { m.raw_pair("a", 9, list_value(9, 1, std::string(12, '\0'))); }),
        "lists inside lists");
    row("list of unknown type", changed([](auto& m) { m.raw_pair("a", 9, list_value(77, 1, "1234")); }),
        "element type 77");
    row("list beyond the file", changed([](auto& m) { m.raw_pair("a", 9, list_value(4, 1u << 20, "1234")); }),
        "a list of 1048576");
    row("list too long", changed([](auto& m) { m.raw_pair("a", 9, list_value(0, (1u << 24) + 1, "")); }), "elements");
    row("list length wraps", changed([](auto& m) { m.raw_pair("a", 9, list_value(10, ~uint64_t{0} / 8 + 2, "")); }),
        "elements");
    std::string huge;
    put<uint64_t>(huge, ~uint64_t{0});
    row("text length wraps", changed([&](auto& m) { m.raw_pair("a", 8, huge); }), "at most");
    huge.clear();
    put<uint64_t>(huge, 1u << 23);
    row("text beyond the file", changed([&](auto& m) { m.raw_pair("a", 8, huge); }), "are left");
    row("alignment 0", changed([](auto& m) { m.u32("general.alignment", 0); }), "alignment");
    row("alignment 12", changed([](auto& m) { m.u32("general.alignment", 12); }), "power of two");
    row("alignment 2 MiB", changed([](auto& m) { m.u32("general.alignment", 1u << 21); }), "alignment");
    row("alignment of another type", changed([](auto& m) { m.string("general.alignment", "32"); }), "another type");
    const auto one = [](const std::string& name, const std::vector<int64_t>& ne, int32_t type, uint64_t offset) {
      GgufMaker m;
      m.tensor_info(name, ne, type, offset);
      m.data.push_back(std::string(64, '\0'));
      return m.bytes();
    };
    row("no dimensions", one("t", {}, 0, 0), "0 dimensions");
    row("five dimensions", one("t", {1, 1, 1, 1, 1}, 0, 0), "5 dimensions");
    row("negative dimension", one("t", {-4}, 0, 0), "negative");
    row("unknown tensor type", one("t", {4}, 99, 0), "unknown type 99");
    row("removed tensor type", one("t", {4}, 4, 0), "unknown type 4");
    row("no whole blocks", one("t", {33}, 8, 0), "whole blocks");
    row("elements wrap to 0", one("t", {int64_t{1} << 32, int64_t{1} << 32}, 0, 0), "overflow");
    row("bytes wrap", one("t", {int64_t{1} << 31, int64_t{1} << 31}, 0, 0), "overflow");
    row("elements beyond signed", one("t", {int64_t{1} << 62, 2}, 24, 0), "overflow");
    row("bigger than the file", one("t", {1000}, 0, 0), "are left");
    row("offset not the running sum", one("t", {4}, 0, 32), "must lie at 0");
    row("offset huge", one("t", {4}, 0, ~uint64_t{31}), "must lie at 0");
    row("name too long", one(std::string(64, 'n'), {4}, 0, 0), "at most 63");
    row("name empty", one("", {4}, 0, 0), "empty");
    GgufMaker twice;
    twice.tensor("t", {4}).tensor("t", {4});
    row("tensor twice", twice.bytes(), "twice");
    GgufMaker gap;
    gap.tensor("t", {4});
    gap.next_offset = 64;
    gap.tensor("u", {4});
    row("hole between tensors", gap.bytes(), "must lie at 32");
  }
  void refusesEachBrokenRule() {
    QFETCH(QByteArray, bytes);
    QFETCH(QString, part);
    ScratchFolder scratch;
    const std::string path = scratch.write("bad.gguf", bytes.toStdString());
    VERIFY_THROWS(GgufFile(path), InputError, part.toStdString());
  }

  void refusesModelsThatCannotBe_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* what, const std::string& bytes, const char* part) {
      QTest::newRow(what) << QByteArray::fromStdString(bytes) << part;
    };
    const auto replaced = [](const std::string& key, const std::string& value) {
      std::string bytes = small_llama().bytes();
      const size_t at = bytes.find(key) + key.size() + 4;
      return bytes.replace(at, value.size(), value);
    };
    const auto u32 = [](uint32_t v) {
      std::string b;
      put(b, v);
      return b;
    };
    row("other architecture", replaced("general.architecture", std::string("\x05\0\0\0\0\0\0\0gemma", 13)), "gemma");
    row("no layers", replaced("llama.block_count", u32(0)), "wanted 1 to 1024");
    row("a million layers", replaced("llama.block_count", u32(1000000)), "wanted 1 to 1024");
    row("another number of layers", replaced("llama.block_count", u32(2)), "missing");
    row("heads that do not divide", replaced("llama.attention.head_count", u32(3)), "do not divide");
    row("more key heads than heads", replaced("llama.attention.head_count_kv", u32(4)), "wanted 1 to 2");
    row("huge width", replaced("llama.embedding_length", u32(1u << 30)), "wanted 1 to");
    row("zero width", replaced("llama.feed_forward_length", u32(0)), "wanted 1 to");
    row("epsilon 0", replaced("layer_norm_rms_epsilon", u32(0)), "epsilon");
    row("epsilon NaN", replaced("layer_norm_rms_epsilon", u32(0x7fc00000)), "finite");
    row("wrong width of a tensor", replaced("llama.feed_forward_length", u32(16)), "wanted 16 x 8");
    GgufMaker adapter = small_llama();
    adapter.string("general.type", "adapter");
    row("adapter", adapter.bytes(), "adapter");
    GgufMaker experts = small_llama();
    experts.u32("llama.expert_count", 8);
    row("experts", experts.bytes(), "mixture-of-experts");
    GgufMaker part = small_llama();
    part.u32("split.count", 3);
    row("part of a split model", part.bytes(), "join");
    GgufMaker yarn = small_llama();
    yarn.string("llama.rope.scaling.type", "yarn");
    row("yarn", yarn.bytes(), "yarn");
    GgufMaker tokens = small_llama();
    tokens.string("tokenizer.ggml.model", "gpt2")
        .strings("tokenizer.ggml.tokens", {"a", "b", "ab", "d", "e"})
        .strings("tokenizer.ggml.merges", {"a b"});
    row("more tokens than rows", tokens.bytes(), "has 5 ids, but the embedding has 4 rows");
    GgufMaker refused;
    refused = small_llama();
    const size_t type_at = refused.infos.find("blk.0.ffn_up.weight") + 19 + 4 + 16;
    refused.infos.replace(type_at, 4, u32(26));  // I32
    row("type that cannot be read", refused.bytes(), "I32");
  }
  void refusesModelsThatCannotBe() {
    QFETCH(QByteArray, bytes);
    QFETCH(QString, part);
    ScratchFolder scratch;
    const std::string path = scratch.write("bad.gguf", bytes.toStdString());
    VERIFY_THROWS(open_model(path), InputError, part.toStdString());
  }

  void warnsOfTrailingBytesAndOtherTensors() {
    GgufMaker m = small_llama();
    m.tensor("vision.weight", {4});
    ScratchFolder scratch;
    const auto files = open_model(scratch.write("m.gguf", m.bytes() + std::string(1000, 'x')));
    QCOMPARE(files->warnings().size(), size_t{3});  // tensor, trailing bytes, no tokenizer
    QVERIFY(files->warnings()[0].find("vision.weight") != std::string::npos);
  }

  void namesTensorsOfDamagedWeights() {
    GgufMaker m = small_llama();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(m.data[9].data() + 4 * (8 * 3 + 5), &nan, 4);  // ffn_up row 3 column 5
    ScratchFolder scratch;
    const auto files = open_model(scratch.write("m.gguf", m.bytes()));
    Context cx(1);
    VERIFY_THROWS(load_model(*files, cx, {}, {}), InputError,
                  "model.layers.0.mlp.up_proj.weight: a value in row 3, column 5");
  }

  void translatesNamesBothWays_data() {
    QTest::addColumn<QString>("hf");
    QTest::addColumn<QString>("gguf");
    QTest::newRow("query") << "model.layers.12.self_attn.q_proj.weight"
                           << "blk.12.attn_q.weight";
    QTest::newRow("bias") << "model.layers.0.mlp.down_proj.bias"
                          << "blk.0.ffn_down.bias";
    QTest::newRow("norm") << "model.layers.3.post_attention_layernorm.weight"
                          << "blk.3.ffn_norm.weight";
    QTest::newRow("head") << "lm_head.weight"
                          << "output.weight";
  }
  void translatesNamesBothWays() {
    QFETCH(QString, hf);
    QFETCH(QString, gguf);
    QCOMPARE(QString::fromStdString(gguf_name_of(hf.toStdString())), gguf);
    QCOMPARE(QString::fromStdString(hf_name_of_gguf(gguf.toStdString())), hf);
  }
  void refusesNumbersInNamesThatAreNone() {
    for (const char* name : {"blk.-1.attn_q.weight", "blk.01.attn_q.weight", "blk.99999999999999999999.attn_q.weight",
                             "blk..attn_q.weight", "blk.1.attn_q", "blk.1x.attn_q.weight"})
      QCOMPARE(QString::fromStdString(hf_name_of_gguf(name)), QString());
  }

  void decidesOnManyKeysQuickly_data() {
    QTest::addColumn<int>("keys");
    QTest::addColumn<bool>("refused");
    QTest::newRow("65,536 keys") << 65536 << false;
    QTest::newRow("100,000 keys") << 100000 << true;
  }
  void decidesOnManyKeysQuickly() {
    QFETCH(int, keys);
    QFETCH(bool, refused);
    GgufMaker m;
    for (int i = 0; i < keys; ++i) m.u32("some.long.common.prefix.key." + std::to_string(i), 1);
    ScratchFolder scratch;
    const std::string path = scratch.write("many.gguf", m.bytes());
    QElapsedTimer timer;
    timer.start();
    if (refused)
      VERIFY_THROWS(GgufFile(path), InputError, "at most 65536");
    else
      QCOMPARE(GgufFile(path).metadata().size(), static_cast<size_t>(keys));
    QVERIFY2(timer.elapsed() < 2000, qPrintable(QString::number(timer.elapsed())));
  }

  void readsTensorsOfTheDefaultModel() {
    const std::string path = default_model();
    if (path.empty()) QSKIP("the default model was not fetched (./studio model)");
    const GgufFile file(path);
    QCOMPARE(file.tensors().size(), size_t{272});
    QCOMPARE(file.metadata().size(), size_t{33});
    QCOMPARE(tokenizer_of_gguf(file).tokens.size(), size_t{49152});
  }
};

LORIKEET_TEST_MAIN(GgufTest)
#include "gguf_test.moc"
