// The sample project's data keeps what its task promises, and is what its script makes.
#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/data/dataset.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

std::string sample_file(const std::string& name) { return std::string(LORIKEET_SOURCE_DIR) + "/resources/sample/" + name; }

Json answer_of(const Sample& s) { return parse_json(s.messages[2]["content"].get_ref<const std::string&>(), "answer"); }

bool is_time(const std::string& t) {
  const auto hour = parse_int(t.substr(0, 2)), minute = parse_int(t.substr(3));
  return t.size() == 5 && t[2] == ':' && hour && minute && *hour < 24 && *minute < 60;
}

}  // namespace

class SampleProjectTest : public QObject {
  Q_OBJECT
  Dataset train_, held_out_;

 private slots:
  void initTestCase() {
    train_ = read_dataset({sample_file("appointments.jsonl")}, {});
    held_out_ = read_dataset({sample_file("appointments_heldout.jsonl")}, {});
  }
  void isReadWithoutABadRow() {
    QCOMPARE(train_.samples.size(), size_t{600});
    QCOMPARE(held_out_.samples.size(), size_t{100});
    QCOMPARE(train_.bad_row_count + held_out_.bad_row_count, 0);
    QCOMPARE(train_.evidence, std::string("recognised by the \"messages\" key in all 600 rows"));
  }
  void everyAnswerIsOneStrictObject() {
    for (const Dataset* d : {&train_, &held_out_})
      for (const auto& s : d->samples) {
        const Json a = answer_of(s);
        std::vector<std::string> keys;
        for (const auto& [key, value] : a.items()) keys.push_back(key);
        QCOMPARE(keys, (std::vector<std::string>{"title", "who", "day", "time", "place"}));
        QVERIFY2(is_time(a["time"].get<std::string>()), dump_json(a).c_str());
        // What can be copied stands in the sentence.
        const auto& sentence = s.messages[1]["content"].get_ref<const std::string&>();
        for (const char* key : {"title", "who", "place"})
          QVERIFY2(to_lower_ascii(sentence).find(to_lower_ascii(a[key].get<std::string>())) != std::string::npos, sentence.c_str());
      }
  }
  void heldOutRowsAreNew() {
    std::set<std::string> sentences;
    std::set<std::pair<std::string, std::string>> pairs;
    for (const auto& s : train_.samples) {
      QVERIFY(sentences.insert(s.messages[1]["content"].get<std::string>()).second);
      const Json a = answer_of(s);
      pairs.insert({a["title"].get<std::string>(), a["who"].get<std::string>()});
    }
    for (const auto& s : held_out_.samples) {
      QVERIFY(sentences.insert(s.messages[1]["content"].get<std::string>()).second);
      const Json a = answer_of(s);
      QVERIFY(!pairs.count({a["title"].get<std::string>(), a["who"].get<std::string>()}));
    }
  }
  void theScriptMakesTheseBytes() {
    const test::ScratchFolder folder;
    const auto result = test::run_program({"python3", sample_file("make_appointments.py"), folder.path()});
    if (result.code == -2) QSKIP("python3 is not here");
    QVERIFY2(result.code == 0, result.err.c_str());
    for (const char* name : {"appointments.jsonl", "appointments_heldout.jsonl"})
      QVERIFY(read_file(folder.path(name)) == read_file(sample_file(name)));
  }
};

LORIKEET_TEST_MAIN(SampleProjectTest)
#include "sample_project_test.moc"
