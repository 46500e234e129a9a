#include "core/data/token_cache.h"

#include <chrono>
#include <fstream>
#include <thread>

#include "core/base/random.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr int64_t kVocabulary = 1000;
const std::string kKey(64, 'a'), kOtherKey(64, 'b');
const TokenCacheLimits kKeepAll{.folder_bytes = 1u << 30, .free_bytes = 0, .worth_keeping = 0};

// Samples of every kind: empty, untrained, trained in part, with labels that are not their ids.
std::vector<SampleTokens> samples(size_t n) {
  RandomStream random(5, 1);
  std::vector<SampleTokens> out(n);
  for (size_t i = 0; i < n; ++i) {
    const size_t length = i == 0 ? 0 : 1 + random.below(70);
    for (size_t t = 0; t < length; ++t) {
      const auto id = static_cast<int32_t>(random.below(kVocabulary));
      out[i].ids.push_back(id);
      out[i].labels.push_back(i % 3 == 0 || random.below(2) == 0 ? -100 : i % 5 == 0 ? (id + 1) % 1000 : id);
    }
  }
  return out;
}

// Thousands of damaged files need not be brought to the disk.
void put(const std::string& path, const std::string& content) { std::ofstream(path, std::ios::binary | std::ios::trunc) << content; }

}  // namespace

class TokenCacheTest : public QObject {
  Q_OBJECT
  ScratchFolder scratch_;
  int folders_ = 0;

  std::string fresh_folder() { return scratch_.path("cache" + std::to_string(++folders_)); }
  static bool write(const std::string& folder, const std::string& key, const std::vector<SampleTokens>& all, TokenCacheLimits limits = kKeepAll) {
    TokenCacheWriter writer(folder, key, static_cast<int64_t>(all.size()), limits);
    for (size_t i = all.size(); i-- > 0;) writer.add(i, all[i]);  // the order is free
    return writer.commit();
  }
  static bool opens(const std::string& folder, const std::string& key, int64_t n) { return TokenCacheReader::open(folder, key, n, kVocabulary) != nullptr; }
  static size_t files_in(const std::string& folder) {
    return fs::exists(folder) ? static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator())) : 0;
  }
  static std::string file_of(const std::string& folder) { return folder + "/" + kKey + ".tokens"; }

 private slots:
  void givesBackWhatWasAdded() {
    const auto folder = fresh_folder();
    const auto all = samples(500);
    QVERIFY(!opens(folder, kKey, 500));
    QVERIFY(write(folder, kKey, all));
    const auto reader = TokenCacheReader::open(folder, kKey, 500, kVocabulary);
    QVERIFY(reader);
    QCOMPARE(reader->samples(), int64_t{500});
    for (size_t i = 0; i < all.size(); ++i) {
      QCOMPARE(reader->tokens(i).ids, all[i].ids);
      QCOMPARE(reader->tokens(i).labels, all[i].labels);
    }
  }
  void anotherKeyCountOrVocabularyIsNoHit() {
    const auto folder = fresh_folder();
    QVERIFY(write(folder, kKey, samples(50)));
    QVERIFY(!opens(folder, kOtherKey, 50));
    QVERIFY(!opens(folder, kKey, 49));
    QVERIFY(!TokenCacheReader::open(folder, kKey, 50, 500));  // ids beyond the vocabulary
    fs::copy_file(file_of(folder), folder + "/" + kOtherKey + ".tokens");
    QVERIFY(!opens(folder, kOtherKey, 50));  // the key stands in the file too
    QVERIFY(opens(folder, kKey, 50));
  }
  void everyDamagedByteIsSeen() {
    const auto folder = fresh_folder();
    QVERIFY(write(folder, kKey, samples(12)));
    const std::string whole = read_file(file_of(folder));
    for (size_t at = 0; at < whole.size(); ++at) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
      put(file_of(folder), damaged);
      QVERIFY2(!opens(folder, kKey, 12), std::to_string(at).c_str());
    }
    for (size_t length = 0; length < whole.size(); length += 7) {
      put(file_of(folder), whole.substr(0, length));
      QVERIFY2(!opens(folder, kKey, 12), std::to_string(length).c_str());
    }
    QVERIFY(write(folder, kKey, samples(12)));  // rewritten
    QVERIFY(opens(folder, kKey, 12));
  }
  void foreignContentIsIgnored() {
    const auto folder = fresh_folder();
    fs::create_directories(folder);
    RandomStream random(3, 1);
    for (const size_t bytes : {size_t{0}, size_t{3}, size_t{103}, size_t{104}, size_t{105}, size_t{5000}}) {
      std::string noise(bytes, '\0');
      for (char& c : noise) c = static_cast<char>(random.below(256));
      write_file_atomic(file_of(folder), noise);
      QVERIFY(!opens(folder, kKey, 12));
      QVERIFY(!opens(folder, kKey, int64_t{1} << 60));
    }
    fs::remove(file_of(folder));
    fs::create_directories(file_of(folder));
    QVERIFY(!opens(folder, kKey, 12));
    QVERIFY(!write(folder, kKey, samples(12)));  // a folder in its place: no cache, no error
  }
  void nothingIsLeftOfAnUnfinishedOrSmallSet() {
    const auto folder = fresh_folder();
    const auto all = samples(40000);
    {
      TokenCacheWriter writer(folder, kKey, 40000, kKeepAll);
      for (size_t i = 1; i < all.size(); ++i) writer.add(i, all[i]);
      writer.add(5, all[5]);  // a second time does not stand for the missing one
      QVERIFY(files_in(folder) == 1);
      QVERIFY(!writer.commit());
    }
    QCOMPARE(files_in(folder), size_t{0});
    QVERIFY(!write(folder, kKey, samples(20), {.worth_keeping = 1u << 18}));
    QCOMPARE(files_in(folder), size_t{0});
  }
  void aFullOrReadOnlyDiskIsNoError() {
    QVERIFY(!write("/proc/no/such", kKey, samples(100)));
    const auto folder = fresh_folder();
    QVERIFY(!write(folder, kKey, samples(100), {.free_bytes = uint64_t{1} << 60, .worth_keeping = 0}));
    QCOMPARE(files_in(folder), size_t{0});
    QVERIFY(!write(folder, kKey, samples(100), {.folder_bytes = 100, .free_bytes = 0, .worth_keeping = 0}));
    QCOMPARE(files_in(folder), size_t{0});
  }
  void theLongestUnusedGoFirst() {
    const auto folder = fresh_folder();
    const auto all = samples(200);
    const auto key = [](char c) { return std::string(64, c); };
    for (const char c : {'1', '2', '3'}) {
      QVERIFY(write(folder, key(c), all));
      fs::last_write_time(folder + "/" + key(c) + ".tokens", fs::file_time_type::clock::now() - std::chrono::hours('9' - c));
    }
    const uint64_t one = fs::file_size(folder + "/" + key('1') + ".tokens");
    QVERIFY(opens(folder, key('1'), 200));  // used: now the youngest
    write_file_atomic(folder + "/notes.txt", "not ours");
    QVERIFY(write(folder, key('4'), all, {.folder_bytes = 3 * one, .free_bytes = 0, .worth_keeping = 0}));
    QVERIFY(opens(folder, key('1'), 200));
    QVERIFY(!opens(folder, key('2'), 200));
    QVERIFY(opens(folder, key('3'), 200));
    QVERIFY(opens(folder, key('4'), 200));
    QVERIFY(fs::exists(folder + "/notes.txt"));
  }
  void writersBesideEachOtherLeaveOneWholeFile() {
    const auto folder = fresh_folder();
    const auto all = samples(3000);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int round = 0; round < 3; ++round) write(folder, kKey, all);
      });
    TokenCacheWriter shared(folder, kOtherKey, 3000, kKeepAll);  // and one filled by several threads
    std::vector<std::thread> adders;
    for (size_t t = 0; t < 4; ++t)
      adders.emplace_back([&, t] {
        for (size_t i = t; i < all.size(); i += 4) shared.add(i, all[i]);
      });
    for (auto* group : {&threads, &adders})
      for (auto& t : *group) t.join();
    QVERIFY(shared.commit());
    QCOMPARE(files_in(folder), size_t{2});
    for (const auto& key : {kKey, kOtherKey}) {
      const auto reader = TokenCacheReader::open(folder, key, 3000, kVocabulary);
      QVERIFY(reader);
      for (size_t i = 0; i < all.size(); ++i) QCOMPARE(reader->tokens(i).ids, all[i].ids);
    }
  }
};

LORIKEET_TEST_MAIN(TokenCacheTest)
#include "token_cache_test.moc"
