#include "core/data/encode.h"

#include "core/base/error.h"
#include "tests/core/data/tiny_tokenizer.h"
#include "tests/support/support.h"

using namespace lorikeet;
using lorikeet::test::TinyTokenizer;

namespace {

const QString kChatMl = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
                        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const QString kTrimming = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
                          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const QString kInst = "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
                      "{% elif m['role'] == 'assistant' %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}";
const QString kBlocks = "{% for m in messages %}{% if m['role'] == 'assistant' %}A:{% generation %}{{ m['content'] }}<|im_end|>\n{% endgeneration %}"
                        "{% else %}U:{{ m['content'] }}\n{% endif %}{% endfor %}";
const QString kPlainMark = "{% for m in messages %}### {{ m['role'] }}\n{{ m['content'] }}[end]\n{% endfor %}"
                           "{% if add_generation_prompt %}### assistant\n{% endif %}";
// Earlier answers lose what stands before </think>, the last one keeps it.
const QString kThinking =
    "{% for m in messages %}{% set c = m['content'] %}{% if m['role'] == 'assistant' and '</think>' in c %}"
    "{% if loop.last %}{% set c = '<think>' + c.split('</think>')[0].split('<think>')[-1] + '</think>' + c.split('</think>')[-1] %}"
    "{% else %}{% set c = c.split('</think>')[-1] %}{% endif %}{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ c }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const QString kTools = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}{% if m['tool_calls'] %}"
                       "{% for c in m['tool_calls'] %}CALL {{ c['function'] | tojson }}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
                       "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const QString kShouting = "{% for m in messages %}{{ m['role'] }}:{{ m['content'] | upper }}\n{% endfor %}";
const QString kRefusing = "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system turns here') }}{% endif %}"
                          "{{ m['content'] }}{% endfor %}";
const QString kDoubling = "{% for m in messages %}{{ m['content'] }}/{{ m['content'] }}{% endfor %}";

Sample chat(const std::string& messages) {
  Sample s;
  s.kind = SampleKind::chat;
  s.origin = {"set.jsonl", 7};
  s.messages = parse_json(messages, "test");
  return s;
}

Sample turns(const std::vector<std::pair<std::string, std::string>>& all) {
  Json messages = Json::array();
  for (const auto& [role, content] : all) messages.push_back({{"role", role}, {"content", content}});
  return chat(dump_json(messages));
}

Sample completion(const std::string& prompt, const std::string& text) {
  Sample s;
  s.kind = prompt.empty() ? SampleKind::text : SampleKind::completion;
  s.origin = {"set.jsonl", 7};
  s.prompt = prompt;
  s.completion = text;
  return s;
}

EncodeSettings settings() {
  EncodeSettings s;
  s.template_variables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  return s;
}

// The document's text with its trained stretches in {braces}.
std::string marked(const EncodedSample& e, const Tokenizer& tokenizer) {
  std::string out;
  bool inside = false;
  for (size_t t = 0; t < e.ids.size(); ++t) {
    if ((e.labels[t] >= 0) != inside) out += inside ? '}' : '{';
    inside = e.labels[t] >= 0;
    out += tokenizer.decode({e.ids[t]});
  }
  return out + (inside ? "}" : "");
}

std::string all_marked(const EncodeOutcome& o, const Tokenizer& tokenizer) {
  std::string out;
  for (const auto& d : o.documents) out += (out.empty() ? "" : " || ") + marked(d, tokenizer);
  return o.documents.empty() ? "dropped: " + o.dropped_reason : out;
}

std::string encoded(const Sample& s, const QString& source, const Tokenizer& tokenizer, const EncodeSettings& how) {
  const ChatTemplate chat_template(source.toStdString(), "template.jinja");
  return all_marked(encode_sample(s, 0, tokenizer, &chat_template, how), tokenizer);
}

}  // namespace

class EncodeTest : public QObject {
  Q_OBJECT
  const TinyTokenizer plain_{{"\n\n"}};

 private slots:
  void trainsAnswersWithTheirEnd_data() {
    QTest::addColumn<QString>("source");
    QTest::addColumn<QString>("expected");
    QTest::newRow("ChatML") << kChatMl << "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n{A<|im_end|>}\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n{B b<|im_end|>}\n";
    QTest::newRow("trimming") << kTrimming << "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n{A<|im_end|>}\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n{B b<|im_end|>}\n";
    QTest::newRow("[INST]") << kInst << "<s>[INST] U [/INST] {A</s>}[INST] V [/INST] {B b</s>}";
    QTest::newRow("generation blocks") << kBlocks << "U:U\nA:{A<|im_end|>}\nU:V\nA:{B b<|im_end|>}\n";
    QTest::newRow("end mark that is plain text") << kPlainMark << "### user\nU[end]\n### assistant\n{A[end]}\n### user\nV[end]\n### assistant\n{B b[end]}\n";
  }
  void trainsAnswersWithTheirEnd() {
    QFETCH(QString, source);
    QFETCH(QString, expected);
    const Sample s = turns({{"user", "U"}, {"assistant", "A"}, {"user", "V"}, {"assistant", "B b"}});
    QCOMPARE(encoded(s, source, plain_, settings()), expected.toStdString());
  }
  void blanksOfAnAnswerAreTrainedWhereTheTemplateKeepsThem() {
    const Sample s = turns({{"user", "U"}, {"assistant", "  A \n"}});
    QCOMPARE(encoded(s, kChatMl, plain_, settings()), std::string("<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n{  A \n<|im_end|>}\n"));
    QCOMPARE(encoded(s, kTrimming, plain_, settings()), std::string("<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n{A<|im_end|>}\n"));
    const Sample line = turns({{"user", "U"}, {"assistant", "\nA"}});
    QCOMPARE(encoded(line, kTrimming, plain_, settings()), std::string("<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n{A<|im_end|>}\n"));
    // A token that begins in the header is not trained: nothing could produce it there.
    QCOMPARE(encoded(line, kChatMl, plain_, settings()), std::string("<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n\n{A<|im_end|>}\n"));
  }
  void aConversationOfManyTurnsTakesNoLonger() {
    std::vector<std::pair<std::string, std::string>> many;
    for (int i = 0; i < 2000; ++i) {
      many.emplace_back("user", "U");
      many.emplace_back("assistant", " A");
    }
    EncodeSettings s = settings();
    s.max_length = 1 << 20;
    QElapsedTimer timer;
    timer.start();
    const std::string text = encoded(turns(many), kChatMl, plain_, s);
    QVERIFY2(timer.elapsed() < 2000, qPrintable(QString::number(timer.elapsed())));
    QVERIFY(text.ends_with("<|im_start|>assistant\n{ A<|im_end|>}\n"));
  }
  void dropsThoughtsAsTheTemplateDoes() {
    const Sample s = turns({{"user", "U"}, {"assistant", "<think>x</think>A"}, {"user", "V"}, {"assistant", "<think>y</think>B"}});
    QCOMPARE(encoded(s, kThinking, plain_, settings()),
             std::string("<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n{A<|im_end|>}\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n"
                         "{<think>y</think>B<|im_end|>}\n"));
  }
  void turnsMarkedUntrainedAreMasked() {
    const Sample s = chat(R"([{"role":"user","content":"U"},{"role":"assistant","content":"A","train":false},{"role":"user","content":"V"},{"role":"assistant","content":"B"}])");
    QCOMPARE(encoded(s, kInst, plain_, settings()), std::string("<s>[INST] U [/INST] A</s>[INST] V [/INST] {B</s>}"));
    EncodeSettings all = settings();
    all.train_on_all = true;
    QCOMPARE(encoded(s, kInst, plain_, all), std::string("<s>{[INST] U [/INST] }A</s>{[INST] V [/INST] B</s>}"));
  }
  void trainsEverythingWhenAsked() {
    EncodeSettings all = settings();
    all.train_on_all = true;
    QCOMPARE(encoded(turns({{"user", "U"}, {"assistant", "A"}}), kInst, plain_, all), std::string("<s>{[INST] U [/INST] A</s>}"));
  }
  void emptyAnswersTrainTheEnd() {
    QCOMPARE(encoded(turns({{"user", "U"}, {"assistant", ""}}), kChatMl, plain_, settings()),
             std::string("<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n{<|im_end|>}\n"));
  }
  void trainsToolCallsAsTheTemplatePrintsThem() {
    const Sample s = chat(R"([{"role":"user","content":"U"},{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{"x":1}}}]},{"role":"tool","content":"2"},{"role":"assistant","content":"A"}])");
    const std::string rest = "\n<|im_start|>tool\n2<|im_end|>\n<|im_start|>assistant\n{A<|im_end|>}\n";
    const std::string begin = "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n";
    QCOMPARE(encoded(s, kTools, plain_, settings()), begin + R"({CALL {"name": "f", "arguments": {"x": 1}}<|im_end|>})" + rest);
    // A template that knows no tool calls would drop them without a word; they are written out instead.
    QCOMPARE(encoded(s, kChatMl, plain_, settings()), begin + R"({{"name":"f","arguments":{"x":1}}<|im_end|>})" + rest);
  }
  void contentLooksLikeOurMarks() {
    const Sample s = turns({{"user", "U"}, {"assistant", "a\xEF\xA2\xA0" "0\xEF\xA2\xA1"}});
    QCOMPARE(encoded(s, kChatMl, plain_, settings()),
             std::string("<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n{a\xEF\xA2\xA0" "0\xEF\xA2\xA1<|im_end|>}\n"));
  }
  void templatesThatChangeTheWordsStillShowThem() {
    QCOMPARE(encoded(turns({{"user", "u"}, {"assistant", "a"}}), kShouting, plain_, settings()), std::string("user:U\nassistant:{A}\n"));
  }
  void templatesThatHideTheAnswerAreRefused() {
    VERIFY_THROWS(encoded(turns({{"user", "u"}, {"assistant", "a"}, {"user", "v"}}), "{{ messages | length }}{% for m in messages %}{{ m['content'] }}/{{ m['content'] }}{% endfor %}", plain_, settings()),
                  InputError, "set.jsonl: line 7: the chat template does not show where the answer in message 2");
  }
  void templateRefusalsNameTheRow() {
    const auto bad = [&] { return encoded(turns({{"system", "S"}, {"assistant", "a"}}), kRefusing, plain_, settings()); };
    VERIFY_THROWS(bad(), InputError, "set.jsonl: line 7");
    VERIFY_THROWS(bad(), InputError, "no system turns here");
  }
  void chatsNeedATemplate() {
    VERIFY_THROWS(encode_sample(turns({{"user", "U"}}), 0, plain_, nullptr, settings()), InputError, "set data.template to chatml");
  }
  void completionsTrainWhatFollowsThePrompt_data() {
    QTest::addColumn<QString>("prompt");
    QTest::addColumn<QString>("completion");
    QTest::addColumn<bool>("bos");
    QTest::addColumn<bool>("all");
    QTest::addColumn<QString>("expected");
    QTest::newRow("end added") << "P " << "C" << false << false << "P {C</s>}";
    QTest::newRow("end there") << "P " << "C</s>" << false << false << "P {C</s>}";
    QTest::newRow("begin as the tokenizer") << "P " << "C" << true << false << "<s>P {C</s>}";
    QTest::newRow("all") << "P " << "C" << true << true << "<s>{P C</s>}";
    QTest::newRow("empty completion") << "P" << "" << false << false << "P{</s>}";
    QTest::newRow("token over the boundary") << "P " << "word x" << true << false << "<s>P {word x</s>}";
    QTest::newRow("text") << "" << "T" << false << false << "T{</s>}";
    QTest::newRow("text with begin") << "" << "T" << true << false << "<s>{T</s>}";
  }
  void completionsTrainWhatFollowsThePrompt() {
    QFETCH(QString, prompt);
    QFETCH(QString, completion);
    QFETCH(bool, bos);
    QFETCH(bool, all);
    QFETCH(QString, expected);
    const TinyTokenizer tokenizer({" word"}, bos);
    EncodeSettings how = settings();
    how.train_on_all = all;
    const auto out = encode_sample(::completion(prompt.toStdString(), completion.toStdString()), 3, tokenizer, nullptr, how);
    QCOMPARE(all_marked(out, tokenizer), expected.toStdString());
    QCOMPARE(out.documents[0].sample, size_t{3});
  }
  void aTokenOverTheBoundaryIsCutAsInUse() {
    const TinyTokenizer tokenizer({" word"}, false);
    const auto out = encode_sample(completion("P ", "word"), 0, tokenizer, nullptr, settings());
    QCOMPARE(out.documents[0].ids, (std::vector<int32_t>{'P', ' ', 'w', 'o', 'r', 'd', TinyTokenizer::kEos}));
    QCOMPARE(encode_sample(completion("P", " word"), 0, tokenizer, nullptr, settings()).documents[0].ids,
             (std::vector<int32_t>{'P', TinyTokenizer::kFirstWord, TinyTokenizer::kEos}));
  }
  void longSamples_data() {
    QTest::addColumn<QString>("on_long");
    QTest::addColumn<int>("length");
    QTest::addColumn<QString>("prompt");
    QTest::addColumn<QString>("expected");
    QTest::newRow("fits exactly") << "truncate" << 7 << "" << "a{bcdef</s>}";
    QTest::newRow("truncated has no end") << "truncate" << 6 << "" << "a{bcdef}";
    QTest::newRow("truncated") << "truncate" << 4 << "" << "a{bcd}";
    QTest::newRow("dropped") << "drop" << 6 << "" << "dropped: 7 tokens, longer than 6";
    QTest::newRow("kept") << "drop" << 7 << "" << "a{bcdef</s>}";
    QTest::newRow("split") << "split" << 3 << "" << "a{bc} || d{ef}";  // the end alone would be no target
    QTest::newRow("split with end") << "split" << 5 << "" << "a{bcde} || f{</s>}";
    QTest::newRow("truncated to nothing") << "truncate" << 4 << "PPPP" << "dropped: no trainable token after truncation from 11 to 4 tokens";
    QTest::newRow("split drops the prompt's piece") << "split" << 4 << "PPPP" << "a{bcd} || e{f</s>}";
  }
  void longSamples() {
    QFETCH(QString, on_long);
    QFETCH(int, length);
    QFETCH(QString, prompt);
    QFETCH(QString, expected);
    EncodeSettings how = settings();
    how.on_long = on_long.toStdString();
    how.max_length = length;
    const auto out = encode_sample(completion(prompt.toStdString(), "abcdef"), 0, plain_, nullptr, how);
    QCOMPARE(all_marked(out, plain_), expected.toStdString());
    for (const auto& d : out.documents) {
      QCOMPARE(d.original_tokens, static_cast<int64_t>(prompt.size() + 7));
      QCOMPARE(d.truncated, d.ids.size() != static_cast<size_t>(prompt.size() + 7));
      QVERIFY(d.target_tokens() > 0);
      QCOMPARE(d.labels[0], -100);
    }
  }
  void aChatWithoutAnswerIsDropped() {
    QCOMPARE(encoded(turns({{"user", "U"}}), kChatMl, plain_, settings()), std::string("dropped: no trainable token"));
  }
  void tokensAreTakenAsTheyAre() {
    Sample s;
    s.kind = SampleKind::tokens;
    s.origin = {"ids.jsonl", 4};
    s.ids = {'a', 'b', 'c'};
    s.labels = {'a', -100, 'z'};
    const auto out = encode_sample(s, 0, plain_, nullptr, settings());
    QCOMPARE(out.documents[0].ids, s.ids);
    QCOMPARE(out.documents[0].labels, (std::vector<int32_t>{-100, -100, 'z'}));
    s.labels = {'a', -100, -100};
    QCOMPARE(encode_sample(s, 0, plain_, nullptr, settings()).dropped_reason, std::string("no trainable token"));
    s.labels = {'a', 'b', 5000};
    VERIFY_THROWS(encode_sample(s, 0, plain_, nullptr, settings()), InputError, "ids.jsonl: line 4: labels[2] is 5000");
    s.ids[1] = 261;
    VERIFY_THROWS(encode_sample(s, 0, plain_, nullptr, settings()), InputError, "input_ids[1] is 261, but the model's vocabulary ends at 260");
  }
  void theEndTokenStaysATargetWhateverThePadIs() {
    TinyTokenizer tokenizer;
    tokenizer.pad = tokenizer.eos;
    QCOMPARE(all_marked(encode_sample(completion("P", "C"), 0, tokenizer, nullptr, settings()), tokenizer), std::string("P{C</s>}"));
  }
  void showsTokensAsTheyAre() {
    const auto out = encode_sample(turns({{"user", "U"}, {"assistant", "\xC3\xA9"}}), 0, plain_, [] {
      static const ChatTemplate t(kInst.toStdString(), "t");
      return &t;
    }(), settings());
    const auto shown = show_tokens(out.documents[0], plain_);
    QCOMPARE(shown.size(), out.documents[0].ids.size());
    QCOMPARE(shown[0].text, std::string("<s>"));
    QVERIFY(shown[0].special && !shown[0].trained);
    QVERIFY(shown[shown.size() - 3].text.starts_with("\\x"));  // half a character
    QVERIFY(shown.back().special && shown.back().trained);
  }
};

LORIKEET_TEST_MAIN(EncodeTest)
#include "encode_test.moc"
