// Several cards: which one a thread works with, whole runs on one of them, two at the same time, a card that is not there.
#include <thread>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/ops/adamw8bit_update.h"
#include "core/run/chat.h"
#include "core/run/detail/run_setup.h"
#include "core/run/plan.h"
#include "core/run/queries.h"
#include "core/tensor/device_cards.h"
#include "cuda/emulation/block.h"
#include "cuda/emulation/device_space.h"
#include "tests/core/run/tiny_run.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;
namespace emulation = lorikeet::cuda::emulation;

class CardsCudaTest : public QObject {
  Q_OBJECT
  ScratchFolder scratch_;
  RunConfig config_;

  std::string path(const std::string& name) const { return scratch_.path(name); }
  RunConfig on(const std::string& device) const {
    RunConfig c = config_;
    c.device.kind = device;
    return c;
  }
  std::string run(const RunConfig& c, const std::string& name, const JobEvents& events = {}) const {
    make_train_job(c, {}, path(name))->run({}, events);
    return essence_of_run(path(name));
  }
  static std::string recorded_device(const std::string& run) { return run_information(run)["config"]["device"]["kind"].get<std::string>(); }
  struct Room {  // of a card, until the end
    int card;
    Room(int n, size_t bytes) : card(n) { set(bytes); }
    ~Room() { set(0); }
    void set(size_t bytes) const {
      const CardScope scope(DeviceType::cuda, card);
      emulation::set_device_bytes(bytes);
    }
  };

 private slots:
  void initTestCase() {
    emulation::set_device_count(2);
    LORIKEET_NEEDS_GPU();
    ::setenv("XDG_CACHE_HOME", path("cache").c_str(), 1);
    write_tiny_model(path("model"));
    write_tiny_data(path("data.jsonl"), 16);
    config_ = tiny_config(path("model"), path("data.jsonl"));
    config_.device.compute = "f32";
    config_.training.max_steps = 3;
  }
  void init() { emulation::set_device_count(2); }

  void memoryGoesBackToItsCard() {
    const uint64_t first = emulation::device_bytes_in_use(0), second = emulation::device_bytes_in_use(1);
    Tensor t;
    {
      const CardScope scope(DeviceType::cuda, 1);
      t = on_gpu(random_tensor({64, 64}, 1));
      QCOMPARE(emulation::device_bytes_in_use(1), second + t.bytes());
      QCOMPARE(device_memory(DeviceType::cuda).statistics().live_bytes, second + t.bytes());
    }
    QCOMPARE(device_cards(DeviceType::cuda)->in_use(), 0);
    QCOMPARE(emulation::device_bytes_in_use(0), first);
    QCOMPARE(device_memory(DeviceType::cuda).statistics().live_bytes, first);
    std::thread([&] { t = Tensor(); }).join();  // which works with card 0
    QCOMPARE(emulation::device_bytes_in_use(0), first);
    QCOMPARE(emulation::device_bytes_in_use(1), second);
  }

  void cardsDoNotReachEachOthersMemory() {
    const Tensor here = on_gpu(random_tensor({4, 4}, 1));
    const CardScope scope(DeviceType::cuda, 1);
    Tensor there = gpu_empty({4, 4});
    VERIFY_THROWS(there.copy_from(here), emulation::EmulationError, "copy: memory of card 0 in work of card 1");
    VERIFY_THROWS(on_cpu(here), emulation::EmulationError, "memory of card 0 in work of card 1");
  }

  void tablesOfAnOpAreOnEachCard() {
    const auto updated = [&](int card) {
      const CardScope scope(DeviceType::cuda, card);
      Context cx(1, DeviceType::cuda);
      constexpr int64_t kSize = 600, kBlocks = 3;
      Tensor p = on_gpu(random_tensor({kSize}, 1)), m = Tensor::zeros({kSize}, DType::u8, DeviceType::cuda), v = Tensor::zeros({kSize}, DType::u8, DeviceType::cuda);
      Tensor m_absmax = Tensor::zeros({kBlocks}, DType::f32, DeviceType::cuda), v_absmax = Tensor::zeros({kBlocks}, DType::f32, DeviceType::cuda);
      const Tensor g = on_gpu(random_tensor({kSize}, 2));
      for (int64_t t = 1; t <= 2; ++t) adamw8bit_update(cx, {{{p, g, m, v, m_absmax, v_absmax}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0.1, t});
      return on_cpu(p);
    };
    QCOMPARE(updated(1).to_vector<float>(), updated(0).to_vector<float>());
  }

  void aRunStaysOnItsCard_data() {
    QTest::addColumn<QString>("optimizer");
    QTest::addColumn<QString>("checkpointing");
    QTest::newRow("adamw") << "adamw" << "none";
    QTest::newRow("8 bits, paged, offloaded") << "paged_adamw8bit" << "offload";
  }
  void aRunStaysOnItsCard() {
    QFETCH(QString, optimizer);
    QFETCH(QString, checkpointing);
    const std::string name = "stays-" + optimizer.toStdString();
    config_.optimizer.name = optimizer.toStdString();
    config_.training.checkpointing = checkpointing.toStdString();
    const uint64_t before = emulation::device_bytes_in_use(0);
    int steps = 0;
    JobEvents events;
    events.on_step = [&](const StepReport& r) {
      ++steps;
      QCOMPARE(emulation::device_bytes_in_use(0), before);
      QVERIFY(emulation::device_bytes_in_use(1) > 0 && r.device_bytes >= emulation::device_bytes_in_use(1));
    };
    const std::string second = run(on("cuda:1"), name + "-1", events);
    QCOMPARE(steps, 3);
    QCOMPARE(recorded_device(path(name + "-1")), std::string("cuda:1"));
    QCOMPARE(run_information(path(name + "-1"))["device"]["kind"].get<std::string>(), std::string("cuda:1"));
    QCOMPARE(run_information(path(name + "-1"))["device"]["name"].get<std::string>(), std::string("emulated"));
    QCOMPARE(QString::fromStdString(second), QString::fromStdString(run(on("cuda:0"), name + "-0")));
    config_.optimizer.name = "adamw";
    config_.training.checkpointing = "none";
  }

  void twoRunsAtOnce() {
    std::string texts[2];
    std::vector<std::thread> threads;
    for (int card = 0; card < 2; ++card)
      threads.emplace_back([&, card] {
        try {
          texts[card] = run(on(card == 0 ? "cuda" : "cuda:1"), "at-once-" + std::to_string(card));
        } catch (const std::exception& e) {
          texts[card] = e.what();
        }
      });
    for (std::thread& t : threads) t.join();
    QCOMPARE(QString::fromStdString(texts[0]), QString::fromStdString(texts[1]));
    QCOMPARE(QString::fromStdString(texts[0]), QString::fromStdString(essence_of_run(path("stays-adamw-0"))));
  }

  void answersComeFromTheirCard() {
    const auto answer = [&](const char* device) {
      ChatModel chat({.model = data_path("models/tiny-llama"), .quant = "nf4", .threads = 2, .compute = "f32", .device = device});
      return chat.answer(Json::array({{{"role", "user"}, {"content", "one and two"}}}), {.max_new_tokens = 8}, {}, nullptr).ids;
    };
    ScoreRequest request;
    request.model = path("model");
    request.config = on("cuda:1");
    for (int i = 1; i < 20; ++i) request.ids.push_back(i % 7);
    const uint64_t before = emulation::device_bytes_in_use(0), left = emulation::device_bytes_in_use(1);
    const Room none(0, static_cast<size_t>(before) + 1);  // card 0 gives nothing
    QVERIFY(!answer("cuda:1").empty());
    QCOMPARE(answer("auto"), answer("cpu"));
    make_score_job(request)->run({}, {});
    QCOMPARE(emulation::device_bytes_in_use(0), before);
    QCOMPARE(emulation::device_bytes_in_use(1), left);
  }

  void autoTakesTheCardWithTheMostRoom() {
    QCOMPARE(detail::chosen_device("auto"), std::string("cuda"));
    const Room little(0, 32u << 20);
    QCOMPARE(detail::chosen_device("auto"), std::string("cuda:1"));
    run(on("auto"), "auto");
    QCOMPARE(recorded_device(path("auto")), std::string("cuda:1"));
    emulation::set_too_old(1, true);
    const std::string other = detail::chosen_device("auto");
    emulation::set_too_old(1, false);
    QCOMPARE(other, std::string("cuda"));
  }

  void aCardThatIsNotThereIsSaid() {
    const auto start = [&](const char* device) { return make_train_job(on(device), {}, path("refused"))->run({}, {}); };
    VERIFY_THROWS(start("cuda:7"), UnsupportedError, "there is no GPU 7; this machine has GPU 0 (emulated, ");
    VERIFY_THROWS(start("cuda:7"), UnsupportedError, "GPU 1 (emulated, ");
    VERIFY_THROWS(start("cuda:x"), ConfigError, "cuda:x");
    VERIFY_THROWS(ChatModel({.model = path("model"), .device = "cuda:7"}), UnsupportedError, "there is no GPU 7");
    VERIFY_THROWS(run_selftest(1, "cuda:7"), UnsupportedError, "there is no GPU 7");
    QVERIFY(!fs::exists(path("refused")));
    emulation::set_too_old(1, true);
    std::string message;
    try {
      start("cuda:1");
    } catch (const UnsupportedError& e) {
      message = e.what();
    }
    QCOMPARE(usable_cards().size(), size_t(1));
    emulation::set_too_old(1, false);
    QCOMPARE(usable_cards().size(), size_t(2));
    QVERIFY2(message.find("GPU 1 cannot be used (compute capability 6.0") != std::string::npos, message.c_str());
    Planner planner;
    planner.prepare(on("cuda:7"));
    const Plan plan = planner.plan(on("cuda:7"));
    QVERIFY(std::any_of(plan.findings.begin(), plan.findings.end(), [](const Finding& f) { return f.severity == "error" && f.key == "device.kind" && f.fix_value == "auto"; }));
  }

  void thePlanAsksItsCard() {
    const Room little(1, 24u << 20);
    Planner planner;
    planner.prepare(on("cuda"));
    QVERIFY(planner.plan(on("cuda")).available_bytes > (200u << 20));
    QVERIFY(planner.plan(on("cuda:1")).available_bytes <= (24u << 20));
    QCOMPARE(device_cards(DeviceType::cuda)->in_use(), 0);
  }

  void aRunGoesOnWithAnotherCard() {
    QCOMPARE(train_until(*make_train_job(on("cuda:1"), {}, path("moved")), 2), JobOutcome::cancelled);
    emulation::set_device_count(1);
    VERIFY_THROWS(make_resume_job(path("moved"), 0)->run({}, {}), UnsupportedError, "there is no GPU 1; this machine has GPU 0 (emulated, ");
    VERIFY_THROWS(make_resume_job(path("moved"), 0)->run({}, {}), UnsupportedError, "resume --device cuda");
    const uint64_t before = emulation::device_bytes_in_use(1);
    QCOMPARE(make_resume_job(path("moved"), 0, "cuda")->run({}, {}), JobOutcome::finished);
    QCOMPARE(emulation::device_bytes_in_use(1), before);
    QCOMPARE(recorded_device(path("moved")), std::string("cuda"));
    QCOMPARE(QString::fromStdString(essence_of_run(path("moved"))), QString::fromStdString(essence_of_run(path("stays-adamw-0"))));
  }
  void oneNumberIsOneCard() {
    QCOMPARE(train_until(*make_train_job(on("cuda"), {}, path("same")), 2), JobOutcome::cancelled);
    QCOMPARE(make_resume_job(path("same"), 0, "cuda:0")->run({}, {}), JobOutcome::finished);
    QCOMPARE(recorded_device(path("same")), std::string("cuda"));
  }

  void theSelftestTriesEach() {
    const auto names = [](const std::string& device) {
      std::vector<std::string> out;
      const Json report = run_selftest(1, device);
      for (const Json& level : report["levels"])
        if (const std::string name = level["name"].get<std::string>(); name.starts_with("cuda")) out.push_back(name);
      return out;
    };
    QCOMPARE(names("auto"), (std::vector<std::string>{"cuda:0", "cuda:1"}));
    QCOMPARE(names("cuda:1"), (std::vector<std::string>{"cuda:1"}));
  }
};

LORIKEET_TEST_MAIN(CardsCudaTest)
#include "cards_cuda_test.moc"
