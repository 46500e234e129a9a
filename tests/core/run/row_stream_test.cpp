// The rows made in the background: the same as those made at once, whenever they are asked for, and how it ends.
#include "core/run/detail/row_stream.h"

#include <atomic>
#include <chrono>
#include <semaphore>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/ops/cpu_kernels.h"
#include "core/io/model_files.h"
#include "core/run/detail/batch_plan.h"
#include "core/run/detail/plan_facts.h"
#include "core/run/detail/training_data.h"
#include "tests/core/run/tiny_run.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::detail;
using namespace lorikeet::test;

namespace {

constexpr int64_t kSamples = 10000, kKnown = 500;

// None, one or three documents a sample.
std::vector<EncodedSample> documents_of(uint32_t sample) {
  RandomStream random(11, sample);
  std::vector<EncodedSample> out(sample % 7 == 0 ? 0 : sample % 11 == 0 ? 3 : 1);
  for (auto& d : out) {
    d.sample = sample;
    d.ids.assign(4 + random.below(40), static_cast<int32_t>(sample));
    d.labels = d.ids;
    d.labels[0] = -100;
  }
  return out;
}

std::vector<EncodedSample> documents_of(const std::vector<uint32_t>& samples) {
  std::vector<EncodedSample> out;
  for (const uint32_t s : samples)
    for (auto& d : documents_of(s)) out.push_back(std::move(d));
  return out;
}

std::vector<EncodedSample> all_documents() {
  std::vector<uint32_t> samples;
  for (uint32_t s = 0; s < kSamples; ++s) samples.push_back(s);
  return documents_of(samples);
}

RunConfig settings(bool packing = true, bool shuffle = true) {
  RunConfig c;
  c.data.max_length = 64;
  c.data.packing = packing;
  c.data.shuffle = shuffle;
  c.training.batch_size = 3;
  c.training.gradient_accumulation = 5;
  c.training.max_steps = 1000000;
  return c;
}

SamplesToCome with(std::function<std::vector<EncodedSample>(uint32_t)> encode) { return {std::move(encode), {}, kKnown}; }

std::unique_ptr<RowStream> stream(const RunConfig& c, SamplesToCome to_come) {
  auto order = sample_order(kSamples, row_settings(c, 0));
  order.resize(kKnown);
  return std::make_unique<RowStream>(documents_of(order), kSamples, c, std::move(to_come));
}

bool same(const TokenBatch& a, const TokenBatch& b) {
  return a.ids == b.ids && a.labels == b.labels && a.positions == b.positions && a.document_starts == b.document_starts;
}

// Steps [first, last) of both, token for token, with the epochs told after each.
bool same_steps(RowStream& stream, PackedRows& plain, const std::vector<EncodedSample>& documents, const RunConfig& c, int64_t first, int64_t last) {
  BatchPlan a(stream, c), b(plain, c);
  for (int64_t k = first; k < last; ++k) {
    const auto left = a.rows_of_step(k), right = b.rows_of_step(k);
    if (left.size() != right.size()) return false;
    for (size_t m = 0; m < left.size(); ++m)
      if (!same(stream.collate(left[m]), collate(documents, right[m], 0, right[m].size()))) return false;
    if (a.epochs_after(k + 1) != b.epochs_after(k + 1)) return false;
  }
  return true;
}

}  // namespace

class RowStreamTest : public QObject {
  Q_OBJECT
  ScratchFolder scratch_;

 private slots:
  void initTestCase() {
    register_cpu_kernels();
    ::setenv("XDG_CACHE_HOME", scratch_.path("cache").c_str(), 1);
  }

  void givesTheBatchesOfThePlainPath_data() {
    QTest::addColumn<bool>("packing");
    QTest::addColumn<bool>("shuffle");
    QTest::addColumn<bool>("streamed");
    for (const bool packing : {true, false})
      for (const bool shuffle : {true, false})
        for (const bool streamed : {true, false})
          QTest::newRow((std::string(packing ? "packed" : "single") + (shuffle ? " shuffled" : "") + (streamed ? " streamed" : "")).c_str()) << packing << shuffle << streamed;
  }
  void givesTheBatchesOfThePlainPath() {
    QFETCH(bool, packing);
    QFETCH(bool, shuffle);
    QFETCH(bool, streamed);
    const RunConfig c = settings(packing, shuffle);
    const auto documents = all_documents();
    PackedRows plain(documents, kSamples, c);
    const auto rows = streamed ? stream(c, with([](uint32_t s) { return documents_of(s); })) : std::make_unique<RowStream>(all_documents(), kSamples, c);
    const int64_t an_epoch = BatchPlan(plain, c).steps_of_epoch(0);
    QVERIFY(same_steps(*rows, plain, documents, c, 0, 2 * an_epoch + 20));  // into the third epoch
    QCOMPARE(rows->samples_encoded(), kSamples);
  }
  void aStepInTheMiddleGivesTheRowsOfAnUnbrokenRun() {
    const RunConfig c = settings();
    const auto documents = all_documents();
    PackedRows plain(documents, kSamples, c);
    const int64_t an_epoch = BatchPlan(plain, c).steps_of_epoch(0);
    for (const int64_t k : {int64_t{1}, an_epoch / 2, an_epoch - 1, an_epoch, 3 * an_epoch + 7}) {
      const auto rows = stream(c, with([](uint32_t s) { return documents_of(s); }));
      QVERIFY(same_steps(*rows, plain, documents, c, k, k + 5));
    }
  }
  void theFirstStepsDoNotWaitForTheLastSample() {
    const RunConfig c = settings();
    std::counting_semaphore<kSamples> allowed(6000);
    const auto rows = stream(c, with([&](uint32_t s) {
                               allowed.acquire();
                               return documents_of(s);
                             }));
    BatchPlan plan(*rows, c);
    for (int64_t k = 0; k < 20; ++k) {
      for (const auto& micro : plan.rows_of_step(k)) QVERIFY(!rows->collate(micro).ids.empty());
      QVERIFY(plan.epochs_after(k + 1) > plan.epochs_after(k));
    }
    QVERIFY(rows->samples_encoded() < kSamples);  // the thread stands: 6500 at most
    allowed.release(kSamples - 6000);
    QVERIFY(plan.steps_of_epoch(0) > 100);
    QCOMPARE(rows->samples_encoded(), kSamples);
  }
  void anErrorOfALateSampleArrivesWithItsText() {
    const RunConfig c = settings();
    const uint32_t bad = sample_order(kSamples, row_settings(c, 0)).back();
    const auto rows = stream(c, with([bad](uint32_t s) {
                               if (s == bad) throw InputError("chats.jsonl", "line 9", "no such role");
                               return documents_of(s);
                             }));
    BatchPlan plan(*rows, c);
    try {
      plan.steps_of_epoch(0);
      QFAIL("the error did not arrive");
    } catch (const InputError& e) {
      QCOMPARE(std::string(e.what()), std::string("chats.jsonl: line 9: no such role"));
      QCOMPARE(e.exit_code(), static_cast<int>(kExitRefused));
    }
    QVERIFY_EXCEPTION_THROWN(plan.rows_of_step(0), InputError);  // and stays
  }
  void stoppingIsHeardWhileWaitingAndWhileTokenising() {
    const RunConfig c = settings();
    std::counting_semaphore<kSamples> allowed(0);
    std::atomic<bool> over{false};
    auto rows = stream(c, with([&](uint32_t s) {
                         while (!over && !allowed.try_acquire_for(std::chrono::milliseconds(1))) {
                         }
                         return documents_of(s);
                       }));
    std::stop_source stop;
    std::jthread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      stop.request_stop();
    });
    BatchPlan plan(*rows, c);
    QVERIFY_EXCEPTION_THROWN(plan.rows_of_step(0, stop.get_token()), Interrupted);
    over = true;
    bool done = false;
    auto other = stream(c, {.encode = [](uint32_t s) { return documents_of(s); }, .done = [&] { done = true; }, .known = kKnown});
    other.reset();  // leaves at once or has finished; either way it ends
    rows.reset();
    Q_UNUSED(done);
  }
  void nothingToTrainOnIsAnError() {
    const RunConfig c = settings();
    RowStream none({}, 50, c, {.encode = [](uint32_t) { return std::vector<EncodedSample>(); }, .done = {}, .known = 0});
    QVERIFY_EXCEPTION_THROWN(none.row_count(0, {}), RunError);
  }

  void readsOnlyAFirstLookWhereTheStepsAreGiven() {
    write_tiny_model(scratch_.path("model"));
    write_tiny_data(scratch_.path("data.jsonl"), 900);
    RunConfig c = tiny_config(scratch_.path("model"), scratch_.path("data.jsonl"));
    const auto files = open_model(c.model.path);
    const TrainingData whole = read_training_data(c, *files, {}, {}, 200);
    QVERIFY(!whole.to_come.encode);
    QCOMPARE(whole.train.looked_at, whole.train.samples);
    c.training.max_steps = 40;
    TrainingData first = read_training_data(c, *files, {}, {}, 200);
    QVERIFY(first.to_come.encode);
    QCOMPARE(first.train.looked_at, int64_t{200});
    QCOMPARE(first.train.samples, whole.train.samples);
    QCOMPARE(first.validation.documents.size(), whole.validation.documents.size());
    const DataFacts facts = data_facts(first);
    const BatchFacts batches = batch_facts(facts, c), exact = batch_facts(data_facts(whole), c);
    QCOMPARE(batches.steps, int64_t{40});
    QVERIFY(std::abs(batches.rows - exact.rows) * 10 < exact.rows);
    QVERIFY(batches.most_tokens >= exact.most_tokens && batches.most_targets >= exact.most_targets && batches.longest_document >= exact.longest_document);

    PackedRows plain(whole.train.documents, whole.train.samples, c);
    RowStream rows(std::move(first.train.documents), first.train.samples, c, std::move(first.to_come));
    QVERIFY(same_steps(rows, plain, whole.train.documents, c, 0, 40));
  }
  void takesEverythingAtOnceWithoutStepsOrPacking() {
    write_tiny_model(scratch_.path("model"));
    write_tiny_data(scratch_.path("data.jsonl"), 900);
    RunConfig c = tiny_config(scratch_.path("model"), scratch_.path("data.jsonl"));
    const auto files = open_model(c.model.path);
    c.training.max_steps = 40;
    c.data.packing = false;
    QVERIFY(!read_training_data(c, *files, {}, {}, 200).to_come.encode);
    c.data.packing = true;
    QVERIFY(!read_training_data(c, *files, {}, {}, 600).to_come.encode);  // a small set
    c.data.validation = {scratch_.path("data.jsonl")};
    const TrainingData apart = read_training_data(c, *files, {}, {}, 200);
    QVERIFY(apart.to_come.encode);
    QCOMPARE(apart.train.samples, int64_t{900});
    QCOMPARE(apart.validation.samples, int64_t{900});
  }
  void encodesTheSameFromTheCacheAndReportsTheFirstBadRow() {
    write_tiny_model(scratch_.path("model"));
    write_tiny_data(scratch_.path("many.jsonl"), 12000);  // enough to be kept
    const RunConfig c = tiny_config(scratch_.path("model"), scratch_.path("many.jsonl"));
    const auto files = open_model(c.model.path);
    const Dataset data = read_dataset(c.data.train, {});
    EncodeSettings s;
    s.max_length = 12;
    s.on_long = "split";
    QVERIFY(!SampleEncoder(data, c, s, *files).cached());
    const auto fresh = encode_all(data, c, s, *files, {}, {});
    QVERIFY(SampleEncoder(data, c, s, *files).cached());
    s.train_on_all = true;
    QVERIFY(!SampleEncoder(data, c, s, *files).cached());
    s.train_on_all = false;
    const auto again = encode_all(data, c, s, *files, {}, {});
    QCOMPARE(again.size(), fresh.size());
    for (size_t i = 0; i < fresh.size(); ++i) {
      QCOMPARE(again[i].dropped_reason, fresh[i].dropped_reason);
      QCOMPARE(again[i].documents.size(), fresh[i].documents.size());
      for (size_t d = 0; d < fresh[i].documents.size(); ++d) {
        const EncodedSample &a = again[i].documents[d], &b = fresh[i].documents[d];
        QVERIFY(a.ids == b.ids && a.labels == b.labels && a.sample == b.sample && a.truncated == b.truncated && a.original_tokens == b.original_tokens);
      }
    }
    Dataset spoiled = data;
    spoiled.content_hash = "other";
    for (const size_t bad : {size_t{7000}, size_t{3001}, size_t{11999}}) spoiled.samples[bad].ids.assign(4, 77), spoiled.samples[bad].labels.assign(4, 77);
    RunConfig threads = c;
    for (const int64_t n : {1, 3}) {
      threads.device.threads = n;
      try {
        encode_all(spoiled, threads, s, *files, {}, {});
        QFAIL("a token id beyond the vocabulary was taken");
      } catch (const InputError& e) {
        QCOMPARE(QString::fromStdString(e.where()), QString("line 3002"));
      }
    }
    std::stop_source stopped;
    stopped.request_stop();
    QVERIFY_EXCEPTION_THROWN(encode_all(spoiled, c, s, *files, stopped.get_token(), {}), Interrupted);
  }
};

LORIKEET_TEST_MAIN(RowStreamTest)
#include "row_stream_test.moc"
