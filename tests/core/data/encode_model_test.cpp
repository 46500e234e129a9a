// The default model's own tokenizer and chat template on whole sets: what is trained is every answer with its end.
#include "core/base/error.h"
#include "core/data/encode.h"
#include "core/data/packing.h"
#include "core/io/model_files.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

// What a person would expect to be trained of a chat: its answers, each with the end-of-turn mark.
std::string expected(const Sample& s) {
  std::string out;
  for (const Json& m : s.messages) {
    if (m["role"] != "assistant" || !m.value("train", true)) continue;
    out += m["content"].get<std::string>();
    if (m.contains("tool_calls"))
      for (const Json& c : m["tool_calls"]) out += dump_json(c["function"]);
    out += "<|im_end|>";
  }
  return out;
}

std::string trained(const EncodedSample& e, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (const int32_t label : e.labels)
    if (label >= 0) ids.push_back(label);
  return tokenizer.decode(ids);
}

}  // namespace

class EncodeModelTest : public QObject {
  Q_OBJECT
  ModelFilesPtr files_;
  TokenizerPtr tokenizer_;
  std::unique_ptr<ChatTemplate> chat_;
  EncodeSettings settings_;

  std::vector<EncodeOutcome> encode(const Dataset& d) const {
    std::vector<EncodeOutcome> out;
    for (size_t i = 0; i < d.samples.size(); ++i) out.push_back(encode_sample(d.samples[i], i, *tokenizer_, chat_.get(), settings_));
    return out;
  }

 private slots:
  void initTestCase() {
    if (test::default_model().empty()) QSKIP("the default model is not here; ./studio model fetches it");
    files_ = open_model(test::default_model());
    tokenizer_ = files_->tokenizer();
    chat_ = std::make_unique<ChatTemplate>(files_->chat_template_source(), test::default_model());
    settings_.template_variables = files_->template_variables();
    settings_.max_length = 1 << 20;
  }
  void answersAreTrained_data() {
    QTest::addColumn<QString>("path");
    QTest::newRow("sample") << QString(LORIKEET_SOURCE_DIR "/resources/sample/appointments.jsonl");
    for (const char* name : {"instruct/llms_from_scratch_alpaca.json", "chat/fastchat_dummy_sharegpt.json", "chat/glaive_toolcall_en_demo.json",
                             "chat/oasst1_messages.jsonl", "chat/oasst_tree_en_50.jsonl", "eval/gsm8k/train_3000.jsonl"})
      QTest::newRow(name) << QString::fromStdString(test::shared_data(name));
  }
  void answersAreTrained() {
    QFETCH(QString, path);
    if (path.isEmpty()) QSKIP("the shared data sets are not here");
    const Dataset d = read_dataset({path.toStdString()}, {.limit = 400});
    const auto encoded = encode(d);
    for (size_t i = 0; i < encoded.size(); ++i) {
      QCOMPARE(encoded[i].documents.size(), size_t{1});
      // Answers that begin with a line end lose it to the header's token; all else is as given.
      const std::string got = trained(encoded[i].documents[0], *tokenizer_), want = expected(d.samples[i]);
      QVERIFY2(got == want, (place_of(d.samples[i].origin) + "\n" + got + "\n--- expected\n" + want).c_str());
    }
  }
  void sampleProjectIsShortAndPacksWell() {
    const Dataset d = read_dataset({LORIKEET_SOURCE_DIR "/resources/sample/appointments.jsonl"}, {});
    std::vector<EncodedSample> documents;
    size_t longest = 0, tokens = 0;
    for (auto& o : encode(d)) {
      longest = std::max(longest, o.documents[0].ids.size());
      tokens += o.documents[0].ids.size();
      documents.push_back(std::move(o.documents[0]));
    }
    const double fill = fill_share(documents, make_rows(documents, static_cast<int64_t>(documents.size()), {512, true, true, 42, 0}), 512);
    qInfo("%zu tokens, longest %zu, rows filled to %.2f %%", tokens, longest, 100 * fill);
    QVERIFY(longest <= 128);
    QVERIFY(fill >= 0.97);
    QVERIFY(audit(d, encode(d), *tokenizer_).empty());
  }
};

LORIKEET_TEST_MAIN(EncodeModelTest)
#include "encode_model_test.moc"
