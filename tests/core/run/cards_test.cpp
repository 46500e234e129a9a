// Plans for graphics cards that are not here.
#include "core/run/cards.h"

#include "core/base/error.h"
#include "core/io/model_files.h"
#include "core/ops/cpu_kernels.h"
#include "core/run/detail/gpu_estimate.h"
#include "core/run/detail/remedies.h"
#include "core/run/plan.h"
#include "tests/core/run/tiny_run.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class CardsTest : public QObject {
  Q_OBJECT
  ScratchFolder scratch_;
  RunConfig config_;

 private slots:
  void initTestCase() {
    register_cpu_kernels();
    write_tiny_model(scratch_.path("model"));
    write_tiny_data(scratch_.path("data.jsonl"), 40);
    config_ = tiny_config(scratch_.path("model"), scratch_.path("data.jsonl"));
  }

  void areFoundByWhatPeopleCallThem() {
    for (const char* name : {"RTX 4090", "rtx4090", "NVIDIA GeForce RTX 4090", "4090"}) QCOMPARE(std::string(card_named(name).name), std::string("RTX 4090"));
    QCOMPARE(std::string(card_named("a100-40gb").name), std::string("A100 40 GB"));
    QCOMPARE(std::string(card_named("A100 80GB").name), std::string("A100 80 GB"));
    QCOMPARE(std::string(card_named("H100").name), std::string("H100"));
    for (const char* name : {"", "409", "RTX", "H1000"}) VERIFY_THROWS(card_named(name), ConfigError, "known are T4, ");
  }

  void figuresArePlausible() {
    for (const Card& c : cards()) {
      QVERIFY(c.capability >= 75 && c.capability <= 130);
      QVERIFY(c.gigabytes >= 8 && c.gigabytes <= 300 && c.teraflops > 10 && c.teraflops < 5000 && c.bandwidth > 200 && c.bandwidth < 20000);
      QVERIFY(c.usable_bytes() < static_cast<uint64_t>(c.gigabytes * 1073741824.0) && c.usable_bytes() > static_cast<uint64_t>(c.gigabytes * 0.9 * 1073741824.0));
      QCOMPARE(&card_named(std::string(c.name)), &c);
    }
  }

  void aPlanIsForTheCard() {
    Planner planner;
    planner.prepare(config_);
    const Card& small = card_named("RTX 3060");
    const Plan here = planner.plan(config_), there = planner.plan(config_, &small);
    QVERIFY(there.device.find("RTX 3060") != std::string::npos && there.device != here.device);
    QCOMPARE(there.available_bytes, small.usable_bytes());
    QVERIFY(there.fits && there.bytes.total > 0 && there.seconds > 0 && !there.seconds_measured && !there.expanded);
    QVERIFY(there.seconds > planner.plan(config_, &card_named("H100")).seconds);
    for (const Finding& f : there.findings) QVERIFY2(f.key != "device.kind", f.text.c_str());  // that no GPU is here does not matter
  }

  // A large embedding table that is not the head stays on the host.
  void aHostTableTakesNothingOfTheCard() {
    const auto weights = [&](bool tied, uint64_t table) {
      detail::ModelFacts m;
      m.config = open_model(scratch_.path("model"))->config();
      m.config.tied_head = tied;
      if (table > 0) m.tensors.push_back({"model.embed_tokens.weight", "BF16", {}, table});
      m.tensors.push_back({"lm_head.weight", "BF16", {}, 1000});
      return detail::estimate_gpu_memory({.config = config_, .model = m, .batches = {}, .adapted = {}}).weights;
    };
    const uint64_t large = 64 << 20;
    QCOMPARE(weights(false, large), weights(false, 0));
    QCOMPARE(weights(false, large - 1), weights(false, 0) + large - 1);
    QCOMPARE(weights(true, large), weights(true, 0) + large);
  }

  void cardsBeforeBf16ComputeInF16() {
    Planner planner;
    RunConfig c = config_;
    planner.prepare(c);
    const auto activations = [&](const char* card, const char* compute) {
      c.device.compute = compute;
      const Plan p = planner.plan(c, &card_named(card));
      for (const Finding& f : p.findings) QTest::qVerify(f.key != "device.compute", f.text.c_str(), "", __FILE__, __LINE__);
      return p.bytes.activations;
    };
    QCOMPARE(activations("T4", "auto"), activations("T4", "f16"));
    QCOMPARE(activations("T4", "auto"), activations("RTX 3060", "auto"));
    QVERIFY(activations("T4", "auto") < activations("T4", "f32"));
    c.device.compute = "bf16";
    const Plan refused = planner.plan(c, &card_named("T4"));
    QVERIFY(std::any_of(refused.findings.begin(), refused.findings.end(), [](const Finding& f) { return f.key == "device.compute" && f.severity == "error" && f.fix_value == Json("f16"); }));
    c.device.kind = "cpu";
    c.device.compute = "f16";
    const Plan here = planner.plan(c);
    const auto found = std::find_if(here.findings.begin(), here.findings.end(), [](const Finding& f) { return f.key == "device.compute"; });
    QVERIFY(found != here.findings.end() && found->severity == "error" && found->fix_value == Json("auto"));
    QCOMPARE(std::count_if(here.findings.begin(), here.findings.end(), [](const Finding& f) { return f.key == "device.compute"; }), 1);
  }

  void theSmallestChangeIsTheFirstThatSuffices() {
    using detail::Remedy;
    const std::vector<Remedy> all = {{"training.checkpointing", "mlp", 900}, {"training.checkpointing", "full", 800}, {"optimizer.name", "paged_adamw", 700}, {"training.batch_size", "2", 500},
                                     {"training.batch_size", "1", 400}};
    QCOMPARE(detail::smallest_change(all, 1000, 50), std::string("; training.checkpointing=mlp would fit"));
    QCOMPARE(detail::smallest_change(all, 1000, 150), std::string("; training.checkpointing=full would fit"));
    QCOMPARE(detail::smallest_change(all, 1000, 450), std::string("; training.checkpointing=full optimizer.name=paged_adamw training.batch_size=2 would fit"));
    QCOMPARE(detail::smallest_change(all, 1000, 700), std::string("; take a smaller model or quantization.format"));
  }
};

LORIKEET_TEST_MAIN(CardsTest)
#include "cards_test.moc"
