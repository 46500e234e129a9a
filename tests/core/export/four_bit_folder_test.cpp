// What is written as a bitsandbytes checkpoint reads back as the same weights, with everything a loader needs beside
// it.
#include "core/export/four_bit_folder.h"

#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/io/safetensors.h"
#include "core/ops/cpu_kernels.h"
#include "tests/core/io/file_makers.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {
Tensor decoded(Context& cx, const ModelFiles& files, const std::string& name, int64_t rows, int64_t columns,
               const LoadOptions& options) {
  const auto source = files.weights(cx, options);
  const FrozenWeightPtr w = source->matrix(name, rows, columns, true);
  Tensor out = Tensor::empty({rows, columns});
  w->decode_rows(0, rows, out.data<float>(), columns);
  return out;
}
}  // namespace

class FourBitFolderTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void keepsTheWindowOfAGguf() {
    Context cx(1);
    ScratchFolder scratch;
    GgufMaker maker = small_llama();
    maker.u32("llama.attention.sliding_window", 4);
    const auto source = open_model(scratch.write("windowed.gguf", maker.bytes()));
    QCOMPARE(source->config().sliding_window, int64_t{4});
    write_four_bit_folder(*source, cx, "nf4", {}, scratch.path("out"), {});
    const auto again = open_model(scratch.path("out"));
    QCOMPARE(again->config().sliding_window, int64_t{4});
    QCOMPARE(QString::fromStdString(again->config().architecture), QString("MistralForCausalLM"));
  }

  void readsBackAsTheWeightsThatWereCoded_data() {
    QTest::addColumn<QString>("model");
    QTest::addColumn<QString>("format");
    QTest::addColumn<bool>("nested");
    QTest::newRow("folder, nf4 nested") << "tiny-llama"
                                        << "nf4" << true;
    QTest::newRow("folder, fp4 plain") << "tiny-llama"
                                       << "fp4" << false;
    QTest::newRow("gguf F32") << "tiny-llama-F32.gguf"
                              << "nf4" << true;
    QTest::newRow("gguf Q8_0") << "tiny-llama-Q8_0.gguf"
                               << "nf4" << false;
    QTest::newRow("already nf4") << "tiny-llama-nf4"
                                 << "nf4" << true;
  }
  void readsBackAsTheWeightsThatWereCoded() {
    QFETCH(QString, model);
    QFETCH(QString, format);
    QFETCH(bool, nested);
    Context cx(2);
    ScratchFolder scratch;
    LoadOptions options;
    options.quantization = format.toStdString();
    options.quant.double_quant = nested;
    const auto source = open_model(data_path("models/" + model.toStdString()));
    const FourBitFolder written =
        write_four_bit_folder(*source, cx, options.quantization, options.quant, scratch.path("out"), {});
    QVERIFY(written.files.size() >= 2);
    for (const ExportedFile& f : written.files)
      QCOMPARE(QString::fromStdString(f.sha256), QString::fromStdString(sha256_of_file(f.path)));
    const auto again = open_model(scratch.path("out"));
    for (const LinearShape& s : linear_shapes(source->config())) {
      const Tensor a = decoded(cx, *source, s.name + ".weight", s.rows, s.columns, options);
      const Tensor b = decoded(cx, *again, s.name + ".weight", s.rows, s.columns, {});
      QVERIFY(std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
    }
    const int64_t v = source->config().vocab_size, c = source->config().hidden_size;
    QCOMPARE(max_abs_difference(decoded(cx, *source, "model.embed_tokens.weight", v, c, {}),
                                decoded(cx, *again, "model.embed_tokens.weight", v, c, {})),
             0.0);
    const auto wa = rope_inverse_frequencies(source->config()), wb = rope_inverse_frequencies(again->config());
    for (size_t i = 0; i < wa.size(); ++i) QVERIFY(std::fabs(wa[i] - wb[i]) <= 1e-6 * wa[i]);
  }

  void makesATokenizerFromGgufMetadata() {
    Context cx(1);
    ScratchFolder scratch;
    const auto source = open_model(data_path("models/tiny-llama-F16.gguf"));
    const FourBitFolder written = write_four_bit_folder(*source, cx, "nf4", {}, scratch.path("out"), {});
    QVERIFY(written.warnings.empty());
    const auto again = open_model(scratch.path("out"));
    QVERIFY(again->tokenizer() != nullptr);
    for (const char* text : {"the dog learns from the cat", "  blanks  and\nlines 2024!",
                             "<|im_start|>user\nhi<|im_end|>", "caf\xc3\xa9 \xf0\x9f\x99\x82"})
      QCOMPARE(again->tokenizer()->encode(text), source->tokenizer()->encode(text));
    QCOMPARE(QString::fromStdString(again->chat_template_source()),
             QString::fromStdString(source->chat_template_source()));
    QCOMPARE(again->template_variables(), source->template_variables());
  }

  void writesNothingWhereSomethingIs() {
    Context cx(1);
    ScratchFolder scratch;
    const auto source = open_model(data_path("models/tiny-llama"));
    scratch.write("mine.txt", "x");
    VERIFY_THROWS(write_four_bit_folder(*source, cx, "nf4", {}, scratch.path(), {}), RunError, "not empty");
    fs::create_directory_symlink(scratch.path(), scratch.path() + "/link");
    VERIFY_THROWS(write_four_bit_folder(*source, cx, "nf4", {}, scratch.path("link"), {}), RunError, "not a folder");
    VERIFY_THROWS(write_four_bit_folder(*source, cx, "int8", {}, scratch.path("o"), {}), UnsupportedError, "int8");
    std::stop_source stop;
    stop.request_stop();
    VERIFY_THROWS(write_four_bit_folder(*source, cx, "nf4", {}, scratch.path("o"), stop.get_token()), Interrupted,
                  "stopped");
    QCOMPARE(std::distance(fs::directory_iterator(scratch.path()), fs::directory_iterator()), std::ptrdiff_t{2});
  }
};

LORIKEET_TEST_MAIN(FourBitFolderTest)
#include "four_bit_folder_test.moc"
