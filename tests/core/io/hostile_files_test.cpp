// Every kind of input file, damaged in many ways: cut off, flipped, giant lengths, wrong types, deep nesting. Each
// result is either whole (nothing in the format could notice) or an InputError with one short, printable sentence;
// nothing else, no hang, no memory beyond bounds.
#include <QElapsedTimer>
#include <fstream>
#include <functional>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/system.h"
#include "core/io/gguf.h"
#include "core/io/inspect.h"
#include "core/io/safetensors.h"
#include "core/ops/cpu_kernels.h"
#include "tests/core/io/file_makers.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr qint64 kLongestMs = 2000;
#ifdef LORIKEET_SANITIZED
constexpr uint64_t kMostMemory = 1200u << 20;  // the sanitizer holds back freed memory
#else
constexpr uint64_t kMostMemory = 300u << 20;
#endif
constexpr size_t kLongestMessage = 300;

/// What one attempt gave: "" accepted, "refused", else what was wrong with it.
std::string outcome(const std::function<void()>& attempt) {
  QElapsedTimer timer;
  timer.start();
  std::string result;
  try {
    attempt();
  } catch (const InputError& e) {
    result = "refused";
    const std::string text = e.what();
    if (text.size() > kLongestMessage) result = "a message of " + std::to_string(text.size()) + " bytes: " + text;
    if (text.size() < 10) result = "no sentence: " + text;
    for (const char c : text)
      if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) result = "control characters in the message";
  } catch (const std::exception& e) {
    result = std::string("another error: ") + e.what();
  }
  if (timer.elapsed() > kLongestMs) result = "took " + std::to_string(timer.elapsed()) + " ms";
  return result;
}

/// Without the care of real writing: tens of thousands of files are written here. Over what is there, because ext4
/// brings a file that was emptied first to the disk when it is closed.
void write_plain(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::in | std::ios::out)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  fs::resize_file(path, bytes.size());
}

struct Count {
  int accepted = 0, refused = 0;
  std::string wrong;
  void add(const std::string& result, const std::string& which) {
    if (result.empty())
      ++accepted;
    else if (result == "refused")
      ++refused;
    else if (wrong.empty())
      wrong = which + ": " + result;
  }
};

/// One kind of file: a folder in which everything is right, and the file in it that is damaged.
struct Kind {
  std::string file;         // damaged, below the folder
  std::string inspect;      // looked at, below the folder ("" the folder)
  bool has_length = false;  // the format knows its own length: no cut may be accepted
};

std::string small_safetensors() {
  // The least Llama again, as a folder's weights.
  struct Row {
    const char* name;
    int rows, columns;
  };
  const Row rows[] = {{"model.embed_tokens.weight", 4, 8},
                      {"model.norm.weight", 8, 0},
                      {"model.layers.0.input_layernorm.weight", 8, 0},
                      {"model.layers.0.post_attention_layernorm.weight", 8, 0},
                      {"model.layers.0.self_attn.q_proj.weight", 8, 8},
                      {"model.layers.0.self_attn.k_proj.weight", 4, 8},
                      {"model.layers.0.self_attn.v_proj.weight", 4, 8},
                      {"model.layers.0.self_attn.o_proj.weight", 8, 8},
                      {"model.layers.0.mlp.gate_proj.weight", 8, 8},
                      {"model.layers.0.mlp.up_proj.weight", 8, 8},
                      {"model.layers.0.mlp.down_proj.weight", 8, 8}};
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}";
  size_t at = 0;
  for (const Row& r : rows) {
    const size_t bytes = static_cast<size_t>(r.rows * std::max(1, r.columns)) * 2;
    const std::string shape =
        r.columns ? std::to_string(r.rows) + "," + std::to_string(r.columns) : std::to_string(r.rows);
    header += ",\"" + std::string(r.name) + "\":{\"dtype\":\"BF16\",\"shape\":[" + shape + "],\"data_offsets\":[" +
              std::to_string(at) + "," + std::to_string(at + bytes) + "]}";
    at += bytes;
  }
  return safetensors_bytes(header + "}", at);
}

const char* const kConfig =
    R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":4,"hidden_size":8,"intermediate_size":8,
"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"max_position_embeddings":16,"rms_norm_eps":1e-05,"rope_theta":10000.0,
"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":16},
"tie_word_embeddings":true,"attention_bias":false,"hidden_act":"silu","quantization_config":null,"eos_token_id":[1,2]})";
const char* const kTokenizer =
    R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":3,"content":"<e>","single_word":false,
"lstrip":false,"rstrip":false,"normalized":false,"special":true}],"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[
{"type":"Split","pattern":{"Regex":"\\p{N}"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,
"use_regex":true}]},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<e>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
"pair":[],"special_tokens":{"<e>":{"id":"<e>","ids":[3],"tokens":["<e>"]}}},"decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,
"use_regex":true},"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,
"byte_fallback":false,"ignore_merges":false,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}})";
const char* const kTokenizerConfig =
    R"({"bos_token":{"content":"<e>","lstrip":false,"special":true},"eos_token":"<e>","model_max_length":1e30,
"added_tokens_decoder":{"3":{"content":"<e>","special":true}},"chat_template":"{% for m in messages %}{{ m['content'] }}{% endfor %}","add_bos_token":false})";

void make_model_folder(const ScratchFolder& s) {
  fs::create_directories(s.path("model"));
  s.write("model/config.json", kConfig);
  s.write("model/tokenizer.json", kTokenizer);
  s.write("model/tokenizer_config.json", kTokenizerConfig);
  s.write("model/model-00001-of-00001.safetensors", small_safetensors());
  Json map = Json::object();
  const SafetensorsFile file(s.path("model/model-00001-of-00001.safetensors"));
  for (const SafetensorsEntry& e : file.entries()) map[e.name] = "model-00001-of-00001.safetensors";
  s.write("model/model.safetensors.index.json", dump_json({{"metadata", {{"total_size", 1}}}, {"weight_map", map}}));
}

void make_all(const ScratchFolder& s) {
  make_model_folder(s);
  fs::create_directories(s.path("single"));
  s.write("single/config.json", kConfig);
  s.write("single/model.safetensors", small_safetensors());
  GgufMaker gguf = small_llama();
  gguf.string("tokenizer.ggml.model", "gpt2")
      .string("tokenizer.ggml.pre", "gpt-2")
      .strings("tokenizer.ggml.tokens", {"a", "b", "ab", "<e>"});
  gguf.strings("tokenizer.ggml.merges", {"a b"})
      .u32("tokenizer.ggml.eos_token_id", 3)
      .string("tokenizer.chat_template", "{{ messages }}");
  s.write("model.gguf", gguf.bytes());
  s.write("adapter.gguf", small_gguf_adapter().bytes());
  fs::create_directories(s.path("adapter"));
  s.write(
      "adapter/adapter_config.json",
      R"({"peft_type":"LORA","task_type":"CAUSAL_LM","r":2,"lora_alpha":4,"lora_dropout":0.1,"bias":"none","target_modules":["q_proj"],)"
      R"("rank_pattern":{"layers.0.self_attn.q_proj":2},"alpha_pattern":{},"use_rslora":false,"init_lora_weights":true,"base_model_name_or_path":"x"})");
  write_safetensors(s.path("adapter/adapter_model.safetensors"),
                    {{"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", random_tensor({2, 8}, 1)},
                     {"base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", random_tensor({8, 2}, 2)}});
}

const std::vector<std::pair<const char*, Kind>> kKinds = {
    {"gguf", {"model.gguf", "model.gguf", true}},
    {"safetensors", {"single/model.safetensors", "single", true}},
    {"index", {"model/model.safetensors.index.json", "model", true}},
    {"config", {"model/config.json", "model", true}},
    {"tokenizer", {"model/tokenizer.json", "model", true}},
    {"tokenizer config", {"model/tokenizer_config.json", "model", true}},
    {"adapter config", {"adapter/adapter_config.json", "adapter", true}},
    {"adapter tensors", {"adapter/adapter_model.safetensors", "adapter", true}},
    {"gguf adapter", {"adapter.gguf", "adapter.gguf", true}},
};

/// All places of a JSON value, depth first.
void walk(Json& v, const std::string& name, const std::function<void(Json&, const std::string&)>& visit) {
  visit(v, name);
  if (v.is_object())
    for (auto& [key, member] : v.items()) walk(member, name + "/" + key, visit);
  if (v.is_array())
    for (size_t i = 0; i < v.size(); ++i) walk(v[i], name + "/" + std::to_string(i), visit);
}

}  // namespace

class HostileFilesTest : public QObject {
  Q_OBJECT

  void all_kinds() {
    QTest::addColumn<int>("kind");
    for (size_t i = 0; i < kKinds.size(); ++i) QTest::newRow(kKinds[i].first) << static_cast<int>(i);
  }
  /// Writes `bytes` in place of the kind's file and inspects.
  std::string attempt(const Kind& kind, const std::string& bytes) {
    write_plain(scratch_->path(kind.file), bytes);
    return outcome([&] { inspect_file_or_folder(scratch_->path(kind.inspect)); });
  }
  void finish(const Count& count, const Kind& kind, const std::string& original) {
    QVERIFY2(count.wrong.empty(), count.wrong.c_str());
    QCOMPARE(QString::fromStdString(attempt(kind, original)), QString());
    const uint64_t peak = peak_resident_bytes();
    QVERIFY2(peak < kMostMemory, qPrintable(QString("%1 MiB").arg(peak >> 20)));
    qInfo("%d refused, %d accepted", count.refused, count.accepted);
  }
  std::unique_ptr<ScratchFolder> scratch_;

 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void init() {
    scratch_ = std::make_unique<ScratchFolder>();
    make_all(*scratch_);
  }

  void startsFromFilesThatAreRight_data() { all_kinds(); }
  void startsFromFilesThatAreRight() {
    QFETCH(int, kind);
    const Kind& k = kKinds[static_cast<size_t>(kind)].second;
    QCOMPARE(QString::fromStdString(attempt(k, read_file(scratch_->path(k.file)))), QString());
  }

  void refusesEveryCut_data() { all_kinds(); }
  void refusesEveryCut() {
    QFETCH(int, kind);
    const Kind& k = kKinds[static_cast<size_t>(kind)].second;
    const std::string original = read_file(scratch_->path(k.file));
    Count count;
    for (size_t n = 0; n < original.size(); ++n) {
      const std::string result = attempt(k, original.substr(0, n));
      count.add(result, "cut after " + std::to_string(n) + " bytes");
      if (result.empty() && k.has_length && count.wrong.empty())
        count.wrong = "accepted after " + std::to_string(n) + " of " + std::to_string(original.size()) + " bytes";
    }
    finish(count, k, original);
  }

  void survivesEveryFlippedByte_data() { all_kinds(); }
  void survivesEveryFlippedByte() {
    QFETCH(int, kind);
    const Kind& k = kKinds[static_cast<size_t>(kind)].second;
    const std::string original = read_file(scratch_->path(k.file));
    Count count;
    for (size_t n = 0; n < original.size(); ++n)
      for (const int mask : {0xff, 1 << (n % 8)}) {
        std::string bytes = original;
        bytes[n] = static_cast<char>(bytes[n] ^ mask);
        count.add(attempt(k, bytes), "byte " + std::to_string(n) + " flipped by " + std::to_string(mask));
      }
    finish(count, k, original);
  }

  void survivesGiantLengths_data() {
    QTest::addColumn<int>("kind");
    for (const int i : {0, 1, 7, 8}) QTest::newRow(kKinds[static_cast<size_t>(i)].first) << i;
  }
  void survivesGiantLengths() {
    QFETCH(int, kind);
    const Kind& k = kKinds[static_cast<size_t>(kind)].second;
    const std::string original = read_file(scratch_->path(k.file));
    Count count;
    const size_t end = std::min<size_t>(original.size() - 8, 1600);  // header and metadata
    for (size_t n = 0; n < end; ++n)
      for (const uint64_t v : {~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << 40, uint64_t{0xffffffff}}) {
        std::string bytes = original;
        std::memcpy(bytes.data() + n, &v, 8);
        count.add(attempt(k, bytes), "number at byte " + std::to_string(n));
      }
    QVERIFY(count.refused > 100);
    finish(count, k, original);
  }

  void survivesWrongTypes_data() {
    QTest::addColumn<int>("kind");
    for (const int i : {2, 3, 4, 5, 6}) QTest::newRow(kKinds[static_cast<size_t>(i)].first) << i;
  }
  void survivesWrongTypes() {
    QFETCH(int, kind);
    const Kind& k = kKinds[static_cast<size_t>(kind)].second;
    const std::string original = read_file(scratch_->path(k.file));
    Json j = parse_json(original, "test"), deep = 1;
    for (int i = 0; i < 50; ++i) deep = Json::array({deep});
    const Json replacements[] = {nullptr,
                                 true,
                                 -1,
                                 0,
                                 1.5,
                                 1e300,
                                 uint64_t{1} << 63,
                                 "",
                                 std::string(3000, 'x') + "\x1b[31m",
                                 Json::array(),
                                 Json::object(),
                                 deep,
                                 Json::array({1, "a", nullptr}),
                                 Json{{"content", 3}},
                                 "../../etc/passwd"};
    Count count;
    Json copy = j;
    walk(j, "", [&](Json& place, const std::string& name) {
      const Json kept = place;
      for (const Json& r : replacements) {
        place = r;
        count.add(attempt(k, dump_json(j)), name + " replaced by " + dump_json(r).substr(0, 40));
      }
      place = kept;
    });
    walk(copy, "", [&](Json& place, const std::string& name) {
      if (!place.is_object()) return;
      const Json kept = place;
      for (const auto& [key, value] : kept.items()) {
        place = kept;
        place.erase(key);
        count.add(attempt(k, dump_json(copy)), name + " without " + key);
      }
      place = kept;
    });
    finish(count, k, original);
  }

  void refusesDeepNestingAndHugeTexts_data() { survivesWrongTypes_data(); }
  void refusesDeepNestingAndHugeTexts() {
    QFETCH(int, kind);
    const Kind& k = kKinds[static_cast<size_t>(kind)].second;
    const std::string original = read_file(scratch_->path(k.file));
    Count count;
    const std::string cases[] = {std::string(100000, '['),
                                 std::string(100000, '['),
                                 "{\"a\":" + std::string(100000, '{'),
                                 "{\"x\":" + std::string(200, '[') + std::string(200, ']') + "," + original.substr(1),
                                 "{\"x\":1,\"x\":2," + original.substr(1),
                                 original + original,
                                 "\xef\xbb\xbf" + original + "}",
                                 "\xff\xfe" + original,
                                 std::string(1 << 20, ' '),
                                 "{\"x\":\"" + std::string(1 << 20, 'y'),
                                 "{\"x\":1e999999}",
                                 "{\"x\":NaN}",
                                 "null",
                                 "[]",
                                 "3",
                                 "\"text\"",
                                 std::string("{\"a\0b\":1}", 9)};
    int n = 0;
    for (const std::string& bytes : cases) {
      const std::string result = attempt(k, bytes);
      count.add(result, "case " + std::to_string(n));
      if (result.empty() && count.wrong.empty()) count.wrong = "case " + std::to_string(n) + " accepted";
      ++n;
    }
    finish(count, k, original);
  }

  void readsEveryFlippedBitOfTheHeaders() {
    // The two readers alone, every single bit.
    Count count;
    const std::string path = scratch_->write("one", "");
    for (const bool gguf : {true, false}) {
      const std::string original = read_file(scratch_->path(gguf ? "model.gguf" : "single/model.safetensors"));
      for (size_t n = 0; n < std::min<size_t>(original.size(), 1800); ++n)
        for (int bit = 0; bit < 8; ++bit) {
          std::string bytes = original;
          bytes[n] = static_cast<char>(bytes[n] ^ (1 << bit));
          write_plain(path, bytes);
          count.add(outcome([&] {
                      if (gguf)
                        GgufFile file(path);
                      else
                        SafetensorsFile file(path);
                    }),
                    std::to_string(n) + "/" + std::to_string(bit));
        }
    }
    QVERIFY2(count.wrong.empty(), count.wrong.c_str());
    QVERIFY(count.refused > 5000);
  }

  void keepsShardsInsideTheirFolder_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"../single/model.safetensors", "/etc/passwd", "..", ".", "", "a/b.safetensors",
                             "a\\b.safetensors", "C:evil.safetensors", "a\\u0000b"})
      QTest::newRow(name) << name;
  }
  void keepsShardsInsideTheirFolder() {
    QFETCH(QString, name);
    const Kind& k = kKinds[2].second;
    Json index = parse_json(read_file(scratch_->path(k.file)), "test");
    std::string text = dump_json(index);
    const std::string good = "model-00001-of-00001.safetensors";
    std::string shown = name.toStdString();
    if (shown.find("\\u") == std::string::npos)
      for (size_t at = 0; (at = shown.find('\\', at)) != std::string::npos; at += 2) shown.insert(at, 1, '\\');
    for (size_t at = 0; (at = text.find(good, at)) != std::string::npos;) text.replace(at, good.size(), shown);
    scratch_->write(k.file, text);
    VERIFY_THROWS(inspect_file_or_folder(scratch_->path("model")), InputError, "plain file name");
  }

  void decidesOnManyShardsQuickly() {
    const Kind& k = kKinds[2].second;
    Json map = Json::object();
    auto& members = static_cast<Json::object_t::Container&>(map.get_ref<Json::object_t&>());
    for (int i = 0; i < 200000; ++i)
      members.emplace_back("t" + std::to_string(i), "model-" + std::to_string(i) + ".safetensors");
    QCOMPARE(QString::fromStdString(attempt(k, dump_json({{"weight_map", map}}))), QString("refused"));
  }
};

LORIKEET_TEST_MAIN(HostileFilesTest)
#include "hostile_files_test.moc"
