// The headless program as its users see it: exit codes, JSON keys, error texts, on a tiny model of our own.
#include <sys/stat.h>

#include <cmath>

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "tests/support/support.h"

using namespace lorikeet;
using lorikeet::test::data_path;
using lorikeet::test::ProgramResult;
using lorikeet::test::ScratchFolder;

namespace {

ProgramResult lorikeet_run(std::vector<std::string> arguments, int timeout_ms = 120000) {
  arguments.insert(arguments.begin(), LORIKEET_PROGRAM);
  return test::run_program(arguments, timeout_ms);
}

const std::string kModel = "parity/gqa_tied";  // 2 layers, vocabulary of a few dozen, no tokenizer

// Twelve rows of ids for the tiny model.
std::string token_rows() {
  std::string rows;
  for (int r = 0; r < 12; ++r) {
    Json ids = Json::array();
    for (int t = 0; t < 10 + r; ++t) ids.push_back((3 * r + 5 * t + r * t) % 40 + 1);
    rows += dump_json({{"input_ids", ids}, {"labels", ids}}) + "\n";
  }
  return rows;
}

}  // namespace

class CommandsTest : public QObject {
  Q_OBJECT

  ScratchFolder scratch_;
  std::string model_, data_;

  std::vector<std::string> training(const std::string& out) const {
    return {"train", "--json", "--quiet", "--threads", "1", "--out", out, "--set", "model.path=" + model_, "--set", "data.train=" + data_, "--set", "data.format=tokens",
            "--set", "training.max_steps=6", "--set", "training.gradient_accumulation=2", "--set", "data.max_length=64", "--set", "adapter.rank=4",
            "--set", "data.validation_fraction=0.2", "--set", "training.eval_every=3", "--set", "training.save_every=2"};
  }
  Json parsed(const ProgramResult& r) {
    try {
      return parse_json(r.out, "stdout");
    } catch (const std::exception& e) {
      qWarning("no JSON on stdout: %s\nstdout: %s\nstderr: %s", e.what(), r.out.c_str(), r.err.c_str());
      return Json();
    }
  }

 private slots:
  void initTestCase() {
    model_ = data_path(kModel);
    qputenv("XDG_CACHE_HOME", QByteArray::fromStdString(scratch_.path("cache")));
    data_ = scratch_.write("rows.jsonl", token_rows());
    QVERIFY2(fs::exists(LORIKEET_PROGRAM), "build the target lorikeet first");
  }
  void helpTeachesEveryCommand() {
    const ProgramResult whole = lorikeet_run({});
    QCOMPARE(whole.code, 0);
    for (const char* command : {"device", "inspect", "tokenize", "detokenize", "render", "data", "score", "plan", "train", "resume", "generate", "export", "quantize",
                                "runs", "compare", "selftest"}) {
      QVERIFY2(whole.out.find(command) != std::string::npos, command);
      const ProgramResult one = lorikeet_run({command, "--help"});
      QCOMPARE(one.code, 0);
      const size_t examples = one.out.find("Examples:");
      QVERIFY2(examples != std::string::npos, command);
      size_t count = 0;
      for (size_t at = examples; (at = one.out.find(std::string("\n  lorikeet ") + command, at)) != std::string::npos; ++at) ++count;
      QVERIFY2(count >= 2, command);
    }
  }
  void deviceSaysWhatIsThere() {
    const ProgramResult r = lorikeet_run({"device", "--json"});
    QCOMPARE(r.code, 0);
    const Json j = parsed(r);
    QVERIFY(j["cpu"]["level"].is_string());
    QVERIFY(j["cpu"]["levels_available"].size() >= 1);
    QVERIFY(j["cpu"]["threads"].get<int>() >= 1);
    QVERIFY(j["cpu"]["bytes"].get<uint64_t>() > 0);
    QVERIFY(j["gpus"].is_array());
    QCOMPARE(parsed(lorikeet_run({"device", "--json", "--cpu-level", "scalar"}))["cpu"]["level"].get<std::string>(), std::string("scalar"));
  }
  void selftestPasses() {
    const ProgramResult r = lorikeet_run({"selftest", "--json"});
    QVERIFY2(r.code == 0, (r.out + r.err).c_str());
    const Json j = parsed(r);
    QVERIFY(j["passed"].get<bool>());
    for (const auto& l : j["levels"]) QVERIFY(l["max_error"].get<double>() < 1e-4 && l["gflops"].get<double>() > 0);
  }
  void wrongUsageIsExitTwo_data() {
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<QString>("part");
    QTest::newRow("unknown command") << QStringList{"trian"} << "trian";
    QTest::newRow("unknown option") << QStringList{"device", "--fast"} << "--fast";
    QTest::newRow("unknown key") << QStringList{"train", "--set", "adapter.rnak=4"} << "adapter.rank";
    QTest::newRow("unknown card") << QStringList{"plan", "--device-model", "Voodoo 2"} << "known are T4";
    QTest::newRow("a card that is not here makes no steps") << QStringList{"plan", "--device-model", "T4", "--probe"} << "--device-model";
    QTest::newRow("rank zero") << QStringList{"plan", "--set", "adapter.rank=0"} << "adapter.rank";
    QTest::newRow("wrong type") << QStringList{"plan", "--set", "training.epochs=many"} << "training.epochs";
    QTest::newRow("no equals") << QStringList{"plan", "--set", "adapter.rank"} << "=";
    QTest::newRow("unknown device") << QStringList{"device", "--device", "tpu"} << "tpu";
    QTest::newRow("no number of a device") << QStringList{"device", "--device", "cuda:x"} << "cuda:N";
    QTest::newRow("negative number of a device") << QStringList{"device", "--device", "cuda:-1"} << "cuda:N";
    QTest::newRow("level") << QStringList{"device", "--cpu-level", "sse9"} << "sse9";
    QTest::newRow("ids") << QStringList{"detokenize", "--model", "x", "--ids", "1,b"} << "\"b\"";
    QTest::newRow("threads") << QStringList{"device", "--threads", "-1"} << "-1";
    QTest::newRow("many threads") << QStringList{"device", "--threads", "10000"} << "10000";
    QTest::newRow("optimizer") << QStringList{"plan", "--set", "optimizer.name=sgd"} << "paged_adamw8bit";
    const QString model = QString::fromStdString("model.path=" + model_), data = QString::fromStdString("data.train=" + data_), out = QString::fromStdString(scratch_.path("never"));
    const QStringList train = {"train", "--out", out, "--set", model, "--set", data, "--set", "data.format=tokens", "--set"};
    QTest::newRow("groups") << (QStringList(train) << "device.numa_groups=3" << "--threads" << "2") << "3 groups cannot be made of 2 threads";
    QTest::newRow("memory") << (QStringList(train) << "device.memory_limit=1000") << "device.memory_limit: 1.0 kB cannot hold the weights";
  }
  void wrongUsageIsExitTwo() {
    QFETCH(QStringList, arguments);
    QFETCH(QString, part);
    std::vector<std::string> list = {};
    for (const auto& a : arguments) list.push_back(a.toStdString());
    list.push_back("--json");
    const ProgramResult r = lorikeet_run(list);
    QVERIFY2(r.code == 2, (std::to_string(r.code) + r.err).c_str());
    QVERIFY2(r.err.find(part.toStdString()) != std::string::npos, r.err.c_str());
    const Json j = parsed(r);
    for (const char* key : {"kind", "message", "file", "where"}) QVERIFY2(j["error"].contains(key), key);
  }
  void aLevelOfTheEnvironmentIsChecked() {
    ::setenv("LORIKEET_CPU_LEVEL", "nonsense", 1);
    const ProgramResult r = lorikeet_run({"device", "--json"}), forced = lorikeet_run({"device", "--json", "--cpu-level", "scalar"});
    ::unsetenv("LORIKEET_CPU_LEVEL");
    QCOMPARE(r.code, 2);
    QVERIFY2(r.err.find("LORIKEET_CPU_LEVEL=nonsense: known are scalar, avx2, avx512, amx") != std::string::npos, r.err.c_str());
    QCOMPARE(forced.code, 0);
  }
  void threadsZeroMeansDecide() {
    QCOMPARE(lorikeet_run({"device", "--json", "--threads", "0"}).code, 0);
    const Json j = parsed(lorikeet_run({"device", "--json"}));
    for (const char* key : {"cpus", "physical_cores", "memory_nodes"}) QVERIFY2(j["cpu"][key].get<int>() >= 1, key);
  }
  void refusedFilesAreExitThree_data() {
    QTest::addColumn<QByteArray>("name");
    QTest::addColumn<QByteArray>("content");
    QTest::newRow("truncated gguf") << QByteArray("a.gguf") << QByteArray("GGUF\x03\0\0\0\x05", 9);
    QTest::newRow("giant counts") << QByteArray("b.gguf") << QByteArray("GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f", 24);
    QTest::newRow("safetensors header") << QByteArray("c.safetensors") << QByteArray("\xff\xff\xff\xff\0\0\0\0{}", 10);
    QTest::newRow("json depth") << QByteArray("d.jsonl") << QByteArray(5000, '[');
    QTest::newRow("noise") << QByteArray("e.bin") << QByteArray("\x01\x02\x03");
  }
  void refusedFilesAreExitThree() {
    QFETCH(QByteArray, name);
    QFETCH(QByteArray, content);
    const std::string path = scratch_.write(name.toStdString(), content.toStdString());
    const ProgramResult r = lorikeet_run({"inspect", path, "--json"}, 20000);
    QVERIFY2(r.code == 3, (std::to_string(r.code) + " " + r.err + r.out).c_str());
    const Json j = parsed(r);
    QVERIFY(j["error"]["message"].get<std::string>().size() <= 300);
    QVERIFY(r.err.find(name.toStdString()) != std::string::npos);
  }
  void whatIsMissingIsRefused_data() {
    QTest::addColumn<QStringList>("arguments");
    const QString none = QString::fromStdString(scratch_.path("none")), model = QString::fromStdString(model_);
    const QString longest = QString(300, 'n');
    QTest::newRow("inspect") << QStringList{"inspect", longest};
    QTest::newRow("tokenize") << QStringList{"tokenize", "--model", model, "--file", none};
    QTest::newRow("tokenize, long") << QStringList{"tokenize", "--model", model, "--file", longest};
    QTest::newRow("render") << QStringList{"render", "--model", model, "--messages", none};
    QTest::newRow("generate") << QStringList{"generate", "--model", model, "--messages", none};
    QTest::newRow("data") << QStringList{"data", none};
    QTest::newRow("score") << QStringList{"score", "--model", model, "--ids", "1,2", "--adapter", longest};
    QTest::newRow("export") << QStringList{"export", longest, "--to", "peft", "--out", none};
    QTest::newRow("verify") << QStringList{"verify", none};
    QTest::newRow("resume") << QStringList{"resume", longest};
    QTest::newRow("compare") << QStringList{"compare", none, none};
    QTest::newRow("runs") << QStringList{"runs", none};
    QTest::newRow("config") << QStringList{"plan", none};
    QTest::newRow("template") << QStringList{"plan", "--set", "model.path=" + model, "--set", "data.train=" + QString::fromStdString(scratch_.write("qa.jsonl", "{\"question\":\"a\",\"answer\":\"b\"}\n")), "--set", "data.template=" + none + ".jinja"};
    QTest::newRow("starting adapter") << QStringList{"plan", "--set", "model.path=" + model, "--set", "data.train=" + QString::fromStdString(data_), "--set", "adapter.from=" + none};
  }
  void whatIsMissingIsRefused() {
    QFETCH(QStringList, arguments);
    std::vector<std::string> list;
    for (const auto& a : arguments) list.push_back(a.toStdString());
    list.push_back("--json");
    const ProgramResult r = lorikeet_run(list, 20000);
    QVERIFY2(r.code == 3, (std::to_string(r.code) + " " + r.err).c_str());
    const Json error = parsed(r)["error"];
    QVERIFY(error["message"].get<std::string>().size() <= 300);
    QVERIFY(!error["file"].get<std::string>().empty());
  }
  void aPipeIsNoDataFile() {
    const std::string path = scratch_.path("pipe.jsonl");
    QCOMPARE(::mkfifo(path.c_str(), 0600), 0);
    QCOMPARE(lorikeet_run({"data", path}, 20000).code, 3);
    fs::remove(path);
  }
  void planRefusesAsTrainDoes() {
    const std::string nothing = scratch_.write("masked.jsonl", "{\"input_ids\":[1,2],\"labels\":[-100,-100]}\n");
    const ProgramResult masked = lorikeet_run({"plan", "--json", "--set", "model.path=" + model_, "--set", "data.train=" + nothing});
    QVERIFY2(masked.code == 3 && masked.err.find("masked.jsonl") != std::string::npos, masked.err.c_str());
    const std::vector<std::string> base = {"plan", "--json", "--set", "model.path=" + model_, "--set", "data.train=" + data_};
    auto with = [&](const std::string& setting) {
      auto all = base;
      all.insert(all.end(), {"--set", setting});
      return lorikeet_run(all);
    };
    const ProgramResult targets = with("adapter.target_modules=no_such_proj");
    QCOMPARE(targets.code, 2);
    QVERIFY2(targets.err.find("adapter.target_modules: adapter") == std::string::npos, targets.err.c_str());
    const ProgramResult idle = with("adapter.target_modules=q_proj,no_such_proj");
    QVERIFY2(idle.code == 0 && idle.out.find("no_such_proj") != std::string::npos, idle.out.c_str());
    const std::string adapter = data_path("parity/gqa_tied/adapter");
    auto contradicting = base;
    contradicting.insert(contradicting.end(), {"--set", "adapter.from=" + adapter, "--set", "adapter.rank=77"});
    const ProgramResult rank = lorikeet_run(contradicting);
    QVERIFY2(rank.code == 2 && rank.err.find("adapter.from") != std::string::npos, rank.err.c_str());
  }
  void trialStepsCorrectThePlan() {
    const auto probes = [] {
      size_t n = 0;
      for (const auto& entry : fs::directory_iterator(fs::temp_directory_path())) n += entry.path().filename().string().starts_with("lorikeet-probe-");
      return n;
    };
    const size_t before = probes();
    std::vector<std::string> arguments = {"plan", "--json", "--set", "model.path=" + model_, "--set", "data.train=" + data_, "--set", "training.seed=5"};
    const Json plain = parse_json(lorikeet_run(arguments).out, "stdout");
    QVERIFY(plain["probe"].is_null() || !plain["probe"].contains("peak_bytes"));
    arguments.push_back("--probe");
    const ProgramResult r = lorikeet_run(arguments);
    QVERIFY2(r.code == 0, r.err.c_str());
    const Json plan = parse_json(r.out, "stdout");
    QCOMPARE(plan["probe"]["steps"].get<int>(), 2);
    QVERIFY(plan["probe"]["tokens_per_s"].get<double>() > 0 && plan["probe"]["step_ms"].get<double>() > 0);
    const double planned = plan["bytes"]["total"].get<double>(), peak = plan["probe"]["peak_bytes"].get<double>();
    QVERIFY2(peak > 0.5 * planned && peak < 2 * planned, r.out.c_str());
    QVERIFY(plan["seconds_measured"].get<bool>() && plan["seconds"].get<double>() > 0 && plan["fits"].get<bool>());
    QCOMPARE(plan["steps"], plain["steps"]);  // of the run, not of the trial
    QCOMPARE(probes(), before);
    arguments.insert(arguments.end(), {"--set", "adapter.target_modules=no_such_proj"});
    QCOMPARE(lorikeet_run(arguments).code, 2);
    QCOMPARE(probes(), before);
  }
  void aRunNameIsOneFolder() {
    for (const std::string& name : {std::string("../evil"), std::string(".."), std::string("a/b"), std::string(300, 'n'), std::string("a\nb")}) {
      auto arguments = training("");
      std::erase(arguments, "--out");
      std::erase(arguments, "");
      arguments.insert(arguments.end(), {"--set", "run.folder=" + scratch_.path("runs"), "--set", "run.name=" + name});
      const ProgramResult r = lorikeet_run(arguments);
      QVERIFY2(r.code == 2 && r.err.find("run.name") != std::string::npos, r.err.c_str());
    }
    QVERIFY(!fs::exists(scratch_.path("evil")) && !fs::exists(scratch_.path("runs")));
  }
  void damagedRunsAreRefused_data() {
    QTest::addColumn<QByteArray>("content");
    QTest::newRow("array") << QByteArray("[]");
    QTest::newRow("no config") << QByteArray("{\"format_version\":1}");
    QTest::newRow("unknown key") << QByteArray("{\"format_version\":1,\"config\":{\"adapter\":{\"evil\":1}}}");
    QTest::newRow("config text") << QByteArray("{\"format_version\":1,\"config\":\"x\"}");
    QTest::newRow("no JSON") << QByteArray("hello");
  }
  void damagedRunsAreRefused() {
    QFETCH(QByteArray, content);
    fs::create_directories(scratch_.path("damaged"));
    scratch_.write("damaged/run.json", content.toStdString());
    const std::string run = scratch_.path("damaged");
    for (const auto& arguments : {std::vector<std::string>{"compare", run, run}, std::vector<std::string>{"resume", run}}) {
      const ProgramResult r = lorikeet_run(arguments);
      QVERIFY2(r.code == 3 && r.err.find("run.json") != std::string::npos, r.err.c_str());
    }
  }
  void helpListsEverySetting() {
    const std::string help = lorikeet_run({"train", "--help"}).out;
    for (const char* key : {"model.path", "adapter.rank_pattern", "training.gradient_accumulation", "device.memory_limit", "run.folder"}) QVERIFY2(help.find(key) != std::string::npos, key);
  }
  void fetchSaysThatItIsNotHere() {
    const ProgramResult r = lorikeet_run({"fetch", "org/name", "--json"});
    QCOMPARE(r.code, 2);
    QVERIFY(parsed(r)["error"]["message"].get<std::string>().find("downloads nothing") != std::string::npos);
  }
  void aMissingModelIsRefused() {
    const ProgramResult r = lorikeet_run({"score", "--model", scratch_.path("none"), "--ids", "1,2", "--json"});
    QCOMPARE(r.code, 3);
    QVERIFY(r.err.find("none") != std::string::npos);
  }
  void scoreWritesLogits() {
    const std::string file = scratch_.path("logits.npy");
    const ProgramResult r = lorikeet_run({"score", "--model", model_, "--ids", "1,5,9,3", "--logits", file, "--json"});
    QVERIFY2(r.code == 0, r.err.c_str());
    const Json j = parsed(r);
    QCOMPARE(j["target_tokens"].get<int>(), 3);
    QVERIFY(std::abs(j["perplexity"].get<double>() - std::exp(j["loss"].get<double>())) < 1e-9);
    QVERIFY(read_file(file).starts_with("\x93NUMPY"));
    const Json one = parsed(lorikeet_run({"score", "--model", model_, "--ids", "1", "--json"}));
    QVERIFY(one["loss"].is_null());
    QCOMPARE(lorikeet_run({"score", "--model", model_, "--ids", "1,999999"}).code, 3);
  }
  void inspectsAModelAndData() {
    const Json m = parsed(lorikeet_run({"inspect", model_, "--json"}));
    QCOMPARE(m["kind"].get<std::string>(), std::string("model"));
    QVERIFY(m["parameters"].get<int64_t>() > 0 && m["context_length"].get<int64_t>() > 0 && m["formats"].is_object() && m["warnings"].is_array());
    const Json d = parsed(lorikeet_run({"inspect", data_, "--json"}));
    QCOMPARE(d["kind"].get<std::string>(), std::string("data"));
    QCOMPARE(d["format"].get<std::string>(), std::string("tokens"));
  }
  void trainsResumesAndExports() {
    const std::string run = scratch_.path("run");
    const ProgramResult trained = lorikeet_run(training(run));
    QVERIFY2(trained.code == 0, trained.err.c_str());
    const Json t = parsed(trained);
    for (const char* key : {"run", "steps", "final_loss", "best_eval_loss", "seconds", "tokens_per_s", "peak_bytes"}) QVERIFY2(t.contains(key), key);
    QCOMPARE(t["steps"].get<int>(), 6);
    for (const char* name : {"run.json", "metrics.jsonl", "log.txt", "plan.json", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"})
      QVERIFY2(fs::exists(run + "/" + name), name);
    checkMetrics(run);

    const ProgramResult again = lorikeet_run(training(run));
    QVERIFY(again.code == 1 || again.code == 2);  // the folder is not empty
    QVERIFY(again.err.find("run") != std::string::npos);

    const ProgramResult exported = lorikeet_run({"export", run, "--to", "peft", "--out", scratch_.path("peft"), "--json"});
    QVERIFY2(exported.code == 0, exported.err.c_str());
    const Json e = parsed(exported);
    QVERIFY(e["verify"]["passed"].get<bool>());
    QVERIFY(e["verify"]["max_abs_logit"].get<double>() <= 1e-5);
    for (const auto& f : e["files"]) QCOMPARE(f["sha256"].get<std::string>(), sha256_of_file(f["path"].get<std::string>()));

    const ProgramResult verified = lorikeet_run({"verify", scratch_.path("peft"), "--against", run, "--json"});
    QVERIFY2(verified.code == 0, verified.err.c_str());
    QVERIFY(parsed(verified)["verify"]["passed"].get<bool>());
    QCOMPARE(parsed(verified)["verify"]["max_abs_logit"].get<double>(), e["verify"]["max_abs_logit"].get<double>());
    QVERIFY(parsed(lorikeet_run({"verify", scratch_.path("peft"), "--json"}))["verify"]["passed"].get<bool>());
    const ProgramResult early = lorikeet_run({"verify", scratch_.path("peft"), "--against", run + "/checkpoints/step-4", "--json"});
    QVERIFY2(early.code == 1 && !parsed(early)["verify"]["passed"].get<bool>(), early.out.c_str());

    const Json with_run = parsed(lorikeet_run({"score", "--adapter", run, "--ids", "1,5,9,3,4,4", "--json"}));
    const Json with_export = parsed(lorikeet_run({"score", "--model", model_, "--adapter", scratch_.path("peft"), "--ids", "1,5,9,3,4,4", "--json"}));
    QCOMPARE(with_run["loss"].get<double>(), with_export["loss"].get<double>());
    QVERIFY(parsed(lorikeet_run({"runs", scratch_.path(), "--json"}))["runs"].size() >= 1);
    QCOMPARE(parsed(lorikeet_run({"inspect", run, "--json"}))["kind"].get<std::string>(), std::string("run"));
    QCOMPARE(parsed(lorikeet_run({"inspect", scratch_.path("peft"), "--json"}))["kind"].get<std::string>(), std::string("adapter"));
  }
  void checkMetrics(const std::string& run) {
    int training_lines = 0, evaluations = 0;
    for (const auto& line : split(read_file(run + "/metrics.jsonl"), '\n')) {
      if (line.empty()) continue;
      const Json j = parse_json(line, "metrics.jsonl");
      if (j.contains("loss")) {
        ++training_lines;
        for (const char* key : {"step", "epoch", "loss", "learning_rate", "grad_norm", "tokens", "target_tokens", "tokens_per_s", "step_ms", "device_bytes", "host_bytes", "time"})
          QVERIFY2(j.contains(key), key);
      } else if (j.contains("eval_loss")) {
        ++evaluations;
        QVERIFY(j.contains("step") && j.contains("eval_tokens") && j.contains("time"));
      } else {
        QVERIFY(j.contains("event") && j.contains("text"));
      }
    }
    QCOMPARE(training_lines, 6);
    QVERIFY(evaluations >= 2);
  }
  void plansWithoutWeights() {
    const ProgramResult r = lorikeet_run({"plan", "--json", "--set", "model.path=" + model_, "--set", "data.train=" + data_, "--set", "data.format=tokens"});
    QVERIFY2(r.code == 0, r.err.c_str());
    const Json j = parsed(r);
    uint64_t sum = 0;
    for (const char* part : {"weights", "adapter", "optimizer", "activations", "scratch"}) sum += j["bytes"][part].get<uint64_t>();
    QCOMPARE(j["bytes"]["total"].get<uint64_t>(), sum);
    for (const char* key : {"fits", "policy", "seconds", "disk_bytes", "probe"}) QVERIFY2(j.contains(key), key);
  }
  void quantizeReportsBitsAndError() {
    const ProgramResult r = lorikeet_run({"quantize", model_, "--format", "nf4", "--json"});
    QVERIFY2(r.code == 0, r.err.c_str());
    const Json j = parsed(r);
    QVERIFY(j["bits_per_weight"].get<double>() > 4 && j["bits_per_weight"].get<double>() < 5);
    QVERIFY(j["relative_error"].get<double>() > 0.05 && j["relative_error"].get<double>() < 0.15);
    QVERIFY(!j["tensors"].empty());
    QCOMPARE(lorikeet_run({"quantize", model_, "--format", "nf5"}).code, 2);
  }
  void impossibleSettingsAreToldBeforeAnyWork_data() {
    QTest::addColumn<QString>("setting");
    QTest::addColumn<int>("code");
    QTest::newRow("rank") << "adapter.rank=0" << 2;
    QTest::newRow("targets") << "adapter.target_modules=no_such_proj" << 2;
    QTest::newRow("optimizer") << "optimizer.name=sgd9" << 2;
    QTest::newRow("format") << "quantization.format=nf7" << 2;
    QTest::newRow("data") << "data.train=/nonexistent/rows.jsonl" << 3;
    QTest::newRow("dora") << "adapter.dora=true" << 2;
  }
  void impossibleSettingsAreToldBeforeAnyWork() {
    QFETCH(QString, setting);
    QFETCH(int, code);
    const std::string out = scratch_.path("never-" + std::string(QTest::currentDataTag()));
    auto arguments = training(out);
    arguments.push_back("--set");
    arguments.push_back(setting.toStdString());
    const ProgramResult r = lorikeet_run(arguments);
    QVERIFY2(r.code == code, (std::to_string(r.code) + " " + r.err).c_str());
    QVERIFY2(!fs::exists(out + "/run.json"), "a run folder was left behind");
  }
};

LORIKEET_TEST_MAIN(CommandsTest)
#include "commands_test.moc"
