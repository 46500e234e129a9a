#include "core/config/run_config.h"

#include <limits>
#include <set>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

Json json(const std::string& text) { return parse_json(text, "test"); }

// Draws any allowed value of a field.
struct Draw {
  const Field& f;
  RandomStream& random;
  double number() const { return random.below(8) == 0 ? f.max : f.min + (std::min(f.max, f.min + 1e6) - f.min) * random.uniform(); }
  std::string text() const {
    const std::vector<std::string> texts = {"", "a", "with blank", "a,b", "it's", "\"quoted\"", "grün €", "[1]", "12", "true", "x=y", "-", "\n\t\\"};
    if (!f.choices.empty()) {
      const auto all = split(f.choices, '|');
      return all[random.below(all.size())];
    }
    return texts[random.below(texts.size())];
  }
  void operator()(bool* p) const { *p = random.below(2) == 1; }
  void operator()(int64_t* p) const { *p = static_cast<int64_t>(number()); }
  void operator()(double* p) const { *p = number(); }
  void operator()(std::string* p) const { *p = text(); }
  void operator()(StringList* p) const {
    const bool targets = f.key == "adapter.target_modules";
    p->clear();
    if (targets && random.below(3) == 0) {
      p->push_back(R"(.*layers\.(1|2)\..*_proj)");
      return;
    }
    const auto n = random.below(4) + (targets ? 1 : 0);
    for (uint64_t i = 0; i < n; ++i) {
      std::string t = targets ? "module_" + std::to_string(i) : text();
      p->push_back(t.empty() ? "x" : t);
    }
  }
  void operator()(NumberMap* p) const {
    p->clear();
    for (uint64_t i = random.below(3); i > 0; --i)
      (*p)["layers." + std::to_string(i) + ".q_proj"] = f.key == "adapter.rank_pattern" ? std::floor(number()) : number();
  }
};

RunConfig random_config(uint64_t seed) {
  RandomStream random(seed, stream_of("config"));
  RunConfig c;
  for (const Field& f : config_fields())
    if (random.below(3) != 0) std::visit(Draw{f, random}, f.ref(c));
  return c;
}

}  // namespace

class RunConfigTest : public QObject {
  Q_OBJECT
 private slots:
  void defaultsAreTheContracts() {
    const Json expected = json(R"({
      "model":{"path":"","revision":""},
      "data":{"train":[],"validation":[],"validation_fraction":0.05,"format":"auto","template":"auto","train_on":"responses",
              "max_length":1024,"on_long":"truncate","packing":true,"limit":0,"shuffle":true,"system_prompt":""},
      "quantization":{"format":"nf4","double_quant":true,"block_size":64},
      "adapter":{"method":"lora","rank":16,"alpha":32.0,"dropout":0.0,"target_modules":["all-linear"],"rank_pattern":{},
                 "alpha_pattern":{},"from":"","rslora":false,"dora":false,"init":"default"},
      "optimizer":{"name":"adamw","learning_rate":0.0002,"beta1":0.9,"beta2":0.999,"eps":1e-08,"weight_decay":0.0,"max_grad_norm":1.0},
      "schedule":{"name":"cosine","warmup_ratio":0.03,"warmup_steps":0},
      "training":{"epochs":1.0,"max_steps":0,"batch_size":1,"gradient_accumulation":8,"seed":42,"checkpointing":"auto",
                  "deterministic":true,"save_every":0,"eval_every":0,"keep_checkpoints":2},
      "device":{"kind":"auto","compute":"auto","threads":0,"memory_limit":0,"pin_threads":false,"numa_groups":1},
      "run":{"name":"","folder":""}})");
    QCOMPARE(dump_json(config_to_json(RunConfig{}), 1), dump_json(expected, 1));
  }
  void everyRowSaysWhatItIs() {
    std::set<std::string_view> keys, labels;
    for (const Field& f : config_fields()) {
      QVERIFY2(keys.insert(f.key).second, f.key.data());
      QVERIFY2(labels.insert(f.label).second, f.label.data());
      QVERIFY2(f.help.size() > 15 && f.help.ends_with('.'), f.key.data());
      RunConfig c;
      const bool number = std::holds_alternative<int64_t*>(f.ref(c)) || std::holds_alternative<double*>(f.ref(c));
      QVERIFY2(!number || f.min < f.max, f.key.data());
      const Json value = field_value(c, f.key);
      set_field(c, f.key, f.key == "adapter.target_modules" ? Json("all-linear") : value);  // each default is allowed
    }
    RunConfig c;
    QVERIFY(c == RunConfig{});
  }
  void dumpAndParseGiveTheSame() {
    for (uint64_t seed = 0; seed < 300; ++seed) {
      const RunConfig c = random_config(seed);
      RunConfig back;
      apply_config_json(back, json(dump_json(config_to_json(c), static_cast<int>(seed % 3) - 1)));
      QVERIFY2(back == c, dump_json(config_to_json(c), 1).c_str());
    }
  }
  void takes_data() {
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("value");
    const auto row = [](const char* name, const char* text, const char* key, const char* value) { QTest::newRow(name) << text << key << value; };
    row("whole", R"({"adapter":{"rank":8}})", "adapter.rank", "8");
    row("whole written as 8.0", R"({"adapter":{"rank":8.0}})", "adapter.rank", "8");
    row("double written whole", R"({"adapter":{"alpha":16}})", "adapter.alpha", "16.0");
    row("all digits", R"({"optimizer":{"learning_rate":0.00012345678901234567}})", "optimizer.learning_rate", "0.00012345678901234567");
    row("one path", R"({"data":{"train":"a,b.jsonl"}})", "data.train", R"(["a,b.jsonl"])");
    row("paths", R"({"data":{"train":["a","b"]}})", "data.train", R"(["a","b"])");
    row("no path", R"({"data":{"validation":""}})", "data.validation", "[]");
    row("template", R"({"data":{"template":"chatml"}})", "data.template", "\"chatml\"");
    row("targets as text", R"({"adapter":{"target_modules":"all-linear"}})", "adapter.target_modules", R"(["all-linear"])");
    row("targets a,b", R"({"adapter":{"target_modules":"q_proj, v_proj"}})", "adapter.target_modules", R"(["q_proj","v_proj"])");
    row("pattern with comma", R"({"adapter":{"target_modules":"(q|v){1,2}_proj"}})", "adapter.target_modules", R"(["(q|v){1,2}_proj"])");
    row("rank pattern", R"({"adapter":{"rank_pattern":{"q_proj":4}}})", "adapter.rank_pattern", R"({"q_proj":4.0})");
    row("auto steps", R"({"training":{"save_every":"auto"}})", "training.save_every", "0");
    row("second GPU", R"({"device":{"kind":"cuda:1"}})", "device.kind", "\"cuda:1\"");
    row("large seed", R"({"training":{"seed":9007199254740991}})", "training.seed", "9007199254740991");
  }
  void takes() {
    QFETCH(QString, text);
    QFETCH(QString, key);
    QFETCH(QString, value);
    RunConfig c;
    std::vector<std::string> given;
    apply_config_json(c, json(text.toStdString()), &given);
    QCOMPARE(dump_json(field_value(c, key.toStdString())), value.toStdString());
    QCOMPARE(given, std::vector<std::string>{key.toStdString()});
  }
  void refuses_data() {
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("where");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* name, const char* text, const char* where, const char* part) { QTest::newRow(name) << text << where << part; };
    row("misspelt key", R"({"adapter":{"rnak":8}})", "adapter.rnak", R"(nearest is "adapter.rank")");
    row("key of another section", R"({"training":{"learning_rate":1}})", "training.learning_rate", "\"optimizer.learning_rate\"");
    row("section unknown", R"({"adaptor":{"rank":8}})", "adaptor", R"(nearest is "adapter")");
    row("abbreviation", R"({"optimizer":{"lr":8}})", "optimizer.lr", R"(nearest is "optimizer.learning_rate")");
    row("like nothing", R"({"foo":{"bar":8}})", "foo", "nearest is");
    row("dotted in a file", R"({"adapter.rank":8})", "adapter.rank", "nested");
    row("no section", R"({"rank":8})", "rank", "\"adapter.rank\"");
    row("section no object", R"({"adapter":8})", "adapter", "object of settings");
    row("list", "[]", "", "object of sections");
    row("rank 0", R"({"adapter":{"rank":0}})", "adapter.rank", "0 is out of range; allowed: 1 to 4096");
    row("rank 8.5", R"({"adapter":{"rank":8.5}})", "adapter.rank", "whole number is expected, found 8.5");
    row("rank text", R"({"adapter":{"rank":"8"}})", "adapter.rank", R"(whole number is expected, found "8")");
    row("rank null", R"({"adapter":{"rank":null}})", "adapter.rank", "found null");
    row("rank huge", R"({"adapter":{"rank":18446744073709551615}})", "adapter.rank", "out of range");
    row("negative rate", R"({"optimizer":{"learning_rate":-1e-4}})", "optimizer.learning_rate", "out of range");
    row("flag as number", R"({"data":{"packing":1}})", "data.packing", "true or false is expected, found 1");
    row("text as number", R"({"run":{"name":5}})", "run.name", "a text is expected, found 5");
    row("choice", R"({"quantization":{"format":"nf5"}})", "quantization.format", "did you mean \"nf");
    row("on_long", R"({"data":{"on_long":"cut"}})", "data.on_long", "truncate, drop, split");
    row("device", R"({"device":{"kind":"cuda:x"}})", "device.kind", "not one of auto, cpu, cuda");
    row("list of numbers", R"({"data":{"train":[1]}})", "data.train", "list of texts");
    row("list with empty", R"({"data":{"train":["a",""]}})", "data.train", "empty text");
    row("no targets", R"({"adapter":{"target_modules":[]}})", "adapter.target_modules", "names no module");
    row("pattern among names", R"({"adapter":{"target_modules":["q_proj",".*v"]}})", "adapter.target_modules", "stands alone");
    row("pattern of halves", R"({"adapter":{"rank_pattern":{"q":4.5}}})", "adapter.rank_pattern", "whole number");
    row("pattern no object", R"({"adapter":{"alpha_pattern":4}})", "adapter.alpha_pattern", "object of numbers");
    row("NUL", "{\"run\":{\"name\":\"a\\u0000b\"}}", "run.name", "NUL");
    row("auto elsewhere", R"({"training":{"max_steps":"auto"}})", "training.max_steps", "whole number");
  }
  void refuses() {
    QFETCH(QString, text);
    QFETCH(QString, where);
    QFETCH(QString, part);
    RunConfig c;
    try {
      apply_config_json(c, json(text.toStdString()));
      QFAIL("taken");
    } catch (const ConfigError& e) {
      QCOMPARE(e.where(), where.toStdString());
      QVERIFY2(std::string(e.what()).find(part.toStdString()) != std::string::npos, e.what());
      QCOMPARE(e.exit_code(), 2);
    }
    QVERIFY(c == RunConfig{});
  }
  void appliesAllOrNothing() {
    RunConfig c;
    std::vector<std::string> given;
    VERIFY_THROWS(apply_config_json(c, json(R"({"adapter":{"rank":8,"alpha":-1}})"), &given), ConfigError, "adapter.alpha");
    QVERIFY(c == RunConfig{});
    QVERIFY(given.empty());
  }
  void refusesNumbersThatAreNone() {
    RunConfig c;
    VERIFY_THROWS(set_field(c, "optimizer.learning_rate", std::numeric_limits<double>::quiet_NaN()), ConfigError, "out of range");
    VERIFY_THROWS(set_field(c, "adapter.rank", std::numeric_limits<double>::infinity()), ConfigError, "out of range");
  }
  void readsAFileAndNamesItInErrors() {
    test::ScratchFolder folder;
    std::vector<std::string> given;
    QCOMPARE(read_config_file(folder.write("good.json", R"({"adapter":{"rank":8}})"), &given).adapter.rank, 8);
    QCOMPARE(given, std::vector<std::string>{"adapter.rank"});
    VERIFY_THROWS(read_config_file(folder.write("bad.json", R"({"adapter":{"rank":0}})")), ConfigError, "bad.json: adapter.rank");
    VERIFY_THROWS(read_config_file(folder.write("cut.json", R"({"adapter":{"rank")")), InputError, "cut.json");
    VERIFY_THROWS(read_config_file(folder.path("none.json")), InputError, "no such file");
  }
  void differenceListsWhatDiffers() {
    RunConfig a, b;
    QVERIFY(config_difference(a, b).empty());
    b.adapter.rank = 64;
    b.data.train = {"x"};
    const auto d = config_difference(a, b);
    QCOMPARE(d.size(), size_t{2});
    QCOMPARE(d[0].key, std::string("data.train"));
    QCOMPARE(d[1].key, std::string("adapter.rank"));
    QCOMPARE(dump_json(d[1].left), std::string("16"));
    QCOMPARE(dump_json(d[1].right), std::string("64"));
    QVERIFY(!(a == b));
  }
  void presetsAreConfigurations() {
    for (const char* name : {"sample", "balanced", "small-memory", "quality"}) {
      std::vector<std::string> given;
      read_config_file(std::string(LORIKEET_SOURCE_DIR) + "/resources/presets/" + name + ".json", &given);
      QVERIFY2(given.size() >= 6, name);
    }
  }
  void findsEachFieldByItsKey() {
    QVERIFY(find_field("adapter.rank") != nullptr);
    QVERIFY(find_field("adapter") == nullptr);
    QCOMPARE(config_fields().size(), size_t{56});
  }
};

LORIKEET_TEST_MAIN(RunConfigTest)
#include "run_config_test.moc"
