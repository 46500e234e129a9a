// An exported adapter is the adapter: bit for bit, from PEFT folders, runs and checkpoints.
#include "core/export/peft.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/io/adapter_files.h"
#include "core/io/safetensors.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class PeftTest : public QObject {
  Q_OBJECT
 private slots:
  void carriesAnAdapterOverBitByBit() {
    ScratchFolder scratch;
    ExportInput input;
    input.adapter = data_path("models/tiny-llama-lora");
    input.out = scratch.path("deep/out");
    const auto files = exporters().get("peft")(input, {});
    QCOMPARE(files.size(), size_t{2});
    for (const ExportedFile& f : files) {
      QCOMPARE(QString::fromStdString(f.sha256), QString::fromStdString(sha256_of_file(f.path)));
      QCOMPARE(f.bytes, fs::file_size(f.path));
    }
    const SafetensorsFile a(input.adapter + "/adapter_model.safetensors"), b(input.out + "/adapter_model.safetensors");
    QCOMPARE(b.entries().size(), a.entries().size());
    for (const SafetensorsEntry& e : a.entries()) {
      const auto x = a.bytes(e), y = b.bytes(*b.find(e.name));
      QVERIFY(x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin()));
    }
    const Json config = read_json_file(input.out + "/adapter_config.json");
    QCOMPARE(config["rank_pattern"].value("layers.1.self_attn.q_proj", 0), 2);
    QVERIFY(config["lora_alpha"].is_number_integer());
  }

  void takesTheAdapterOfARunOrCheckpoint() {
    ScratchFolder scratch;
    fs::create_directories(scratch.path("run"));
    fs::copy(data_path("models/tiny-llama-lora"), scratch.path("run/adapter"));
    scratch.write("run/run.json", "{}");
    ExportInput input;
    input.adapter = scratch.path("run");
    input.out = scratch.path("out");
    QCOMPARE(exporters().get("peft")(input, {}).size(), size_t{2});
    // A checkpoint whose manifest does not hold is refused.
    scratch.write("run/manifest.json", R"({"files":{"adapter/adapter_model.safetensors":{"bytes":1,"sha256":"00"}}})");
    input.out = scratch.path("other");
    VERIFY_THROWS(exporters().get("peft")(input, {}), InputError, "run");
    QVERIFY(!fs::exists(scratch.path("other")));
  }

  void leavesNothingWhenRefused() {
    ScratchFolder scratch;
    ExportInput input;
    input.adapter = data_path("models/tiny-llama");
    input.out = scratch.path("out");
    VERIFY_THROWS(exporters().get("peft")(input, {}), InputError, "is a model, not an adapter");
    input.adapter = data_path("models/tiny-llama-lora");
    scratch.write("file", "x");
    input.out = scratch.path("file");
    VERIFY_THROWS(exporters().get("peft")(input, {}), RunError, "not a folder");
    input.out = scratch.path();
    VERIFY_THROWS(exporters().get("peft")(input, {}), RunError, "not empty");
    std::stop_source stop;
    stop.request_stop();
    input.out = scratch.path("out");
    VERIFY_THROWS(exporters().get("peft")(input, stop.get_token()), Interrupted, "stopped");
    QCOMPARE(std::distance(fs::directory_iterator(scratch.path()), fs::directory_iterator()), std::ptrdiff_t{1});
    VERIFY_THROWS(exporters().get("zip"), UnsupportedError, "peft");
  }
};

LORIKEET_TEST_MAIN(PeftTest)
#include "peft_test.moc"
