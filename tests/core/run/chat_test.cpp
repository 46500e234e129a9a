/// Answers of a small model on disk: at once and one by one, with every cache, stopped, and as the default model gives
/// them.
#include "core/base/error.h"
#include "core/base/system.h"
#include "core/ops/cpu_kernels.h"
#include "core/run/chat.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

std::vector<Json> questions() {
  std::vector<Json> out;
  for (const char* text : {"a", "one and two", "the quick brown fox jumps over it", "", "no", "where is it", "x y z"})
    out.push_back(Json::array({{{"role", "user"}, {"content", text}}}));
  return out;
}

}  // namespace

class ChatTest : public QObject {
  Q_OBJECT
  std::string tiny_ = test::data_path("models/tiny-llama");

 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void manyAtOnceEqualOneByOne() {
    for (const char* quant : {"keep", "nf4"})
      for (const char* cache : {"f32", "bf16", "int8"}) {
        ChatModel chat({.model = tiny_, .adapter = "", .quant = quant, .threads = 2, .compute = "f32", .kv_cache = cache});
        QCOMPARE(chat.kv_cache(), std::string(cache));
        const SamplingOptions o{.max_new_tokens = 20};
        std::vector<Generated> single;
        for (const Json& q : questions()) single.push_back(chat.answer(q, o, {}, nullptr));
        for (int64_t batch : {1, 3, 16}) {
          int64_t told = 0;
          const auto many = chat.answer_all(questions(), o, batch, {}, [&](int64_t done) { told = done; });
          QCOMPARE(told, static_cast<int64_t>(single.size()));
          for (size_t i = 0; i < single.size(); ++i) {
            QVERIFY(many[i].ids == single[i].ids);
            QCOMPARE(many[i].text, single[i].text);
            QCOMPARE(many[i].stop_reason, single[i].stop_reason);
          }
        }
      }
  }
  void drawsAreTheSameForASeed() {
    ChatModel chat({.model = tiny_, .threads = 2});
    for (double top_p : {1.0, 0.7}) {
      const SamplingOptions o{.max_new_tokens = 30, .temperature = 1.5, .top_p = top_p, .seed = 9}, other{.max_new_tokens = 30, .temperature = 1.5, .top_p = top_p, .seed = 10};
      const auto a = chat.complete("a b", o, {}, nullptr), b = chat.complete("a b", o, {}, nullptr), c = chat.complete("a b", other, {}, nullptr);
      QVERIFY(a.ids == b.ids);
      QVERIFY(a.ids != c.ids);
    }
  }
  void speedsAreOfThePromptAndOfTheSteps() {
    ChatModel chat({.model = tiny_, .threads = 1, .compute = "f32"});
    const Generated none = chat.complete("a b c", {.max_new_tokens = 0}, {}, nullptr);
    QVERIFY(none.ids.empty() && none.tokens_per_s == 0 && none.prompt_tokens_per_s == 0);
    const double began = monotonic_seconds();
    const Generated g = chat.complete("a b c", {.max_new_tokens = 40}, {}, nullptr);
    const double seconds = monotonic_seconds() - began;
    QVERIFY(g.prompt_tokens > 0 && g.prompt_tokens_per_s > 0 && g.tokens_per_s > 0);
    const double steps = static_cast<double>(g.ids.size()) - (g.stop_reason == "end_token" ? 0 : 1);
    QVERIFY(steps / g.tokens_per_s + static_cast<double>(g.prompt_tokens) / g.prompt_tokens_per_s <= seconds);
    QVERIFY(g.kv_bytes > 0);
  }
  void aStopIsHeardWithinAToken() {
    ChatModel chat({.model = tiny_, .threads = 2});
    std::stop_source stop;
    int pieces = 0;
    const Generated g = chat.complete("a", {.max_new_tokens = 100, .temperature = 2, .seed = 3}, stop.get_token(), [&](const std::string&) {
      if (++pieces == 4) stop.request_stop();
    });
    QCOMPARE(g.stop_reason, std::string("cancelled"));
    QCOMPARE(pieces, 4);
  }
  void anUnknownCacheIsRefused() {
    VERIFY_THROWS(ChatModel({.model = tiny_, .kv_cache = "int5"}), UsageError, "auto, f32, bf16, int8");
  }
  void autoFollowsTheComputeType() {
    QCOMPARE(ChatModel({.model = tiny_, .compute = "f32"}).kv_cache(), std::string("f32"));
    QCOMPARE(ChatModel({.model = tiny_, .compute = "bf16"}).kv_cache(), std::string("bf16"));
  }
};

LORIKEET_TEST_MAIN(ChatTest)
#include "chat_test.moc"
