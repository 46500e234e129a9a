#include "core/data/packing.h"

#include <set>

#include "core/base/error.h"
#include "core/base/random.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

EncodedSample document(size_t length, int32_t mark) {
  EncodedSample e;
  e.ids.assign(length, mark);
  e.labels.assign(length, mark);
  e.labels[0] = -100;
  return e;
}

// Lengths as chat sets have them: most short, a long tail up to the row length. Or "even": 14 to 21 % of a row, as in sets
// made from one pattern, and "wide": all lengths alike.
std::vector<EncodedSample> documents(size_t n, int64_t longest, uint64_t seed, const QString& kind = "chat") {
  RandomStream random(seed, 1);
  std::vector<EncodedSample> out;
  for (size_t i = 0; i < n; ++i) {
    const auto whole = static_cast<double>(longest);
    const double length = kind == "even" ? random.uniform(0.14, 0.21) * whole : kind == "wide" ? random.uniform(0.02, 1) * whole : std::exp(4.6 + 0.8 * random.normal());
    out.push_back(document(static_cast<size_t>(std::clamp<double>(length, 5, static_cast<double>(longest))), static_cast<int32_t>(i)));
    out.back().sample = i;
  }
  return out;
}

// make_rows over documents that are one sample each.
std::vector<Row> rows_of(const std::vector<EncodedSample>& all, int64_t length, bool packing, bool shuffle, uint64_t seed, int64_t epoch) {
  return make_rows(all, static_cast<int64_t>(all.size()), {length, packing, shuffle, seed, epoch});
}

}  // namespace

class PackingTest : public QObject {
  Q_OBJECT
 private slots:
  void fillsRowsWithoutLosingOrDoubling_data() {
    QTest::addColumn<int>("count");
    QTest::addColumn<int>("row_length");
    QTest::addColumn<bool>("shuffle");
    QTest::addColumn<QString>("kind");
    QTest::newRow("600") << 600 << 512 << true << "chat";
    QTest::newRow("600 in order") << 600 << 512 << false << "chat";
    QTest::newRow("20000, several windows") << 20000 << 1024 << true << "chat";
    QTest::newRow("20000 in order") << 20000 << 1024 << false << "chat";
    QTest::newRow("600 even") << 600 << 512 << true << "even";
    QTest::newRow("20000 even") << 20000 << 1024 << true << "even";
    QTest::newRow("20000 wide") << 20000 << 1024 << true << "wide";
  }
  void fillsRowsWithoutLosingOrDoubling() {
    QFETCH(int, count);
    QFETCH(int, row_length);
    QFETCH(bool, shuffle);
    QFETCH(QString, kind);
    const auto all = documents(static_cast<size_t>(count), row_length, 7, kind);
    const auto rows = rows_of(all, row_length, true, shuffle, 42, 0);
    std::vector<int> seen(all.size());
    for (const auto& row : rows) {
      size_t tokens = 0;
      for (const uint32_t d : row) ++seen[d], tokens += all[d].ids.size();
      QVERIFY(tokens <= static_cast<size_t>(row_length));
    }
    for (const int s : seen) QCOMPARE(s, 1);
    const double fill = fill_share(all, rows, row_length);
    qInfo("%.2f %% filled", 100 * fill);
    QVERIFY(fill >= 0.97);
  }
  void fewDocumentsThatFitExactlyAreFoundTogether() {
    // Rows of 512 cut into pieces and mixed: only the pieces of a row fit together without a gap.
    RandomStream random(21, 1);
    std::vector<EncodedSample> all;
    for (int row = 0; row < 12; ++row) {
      int64_t room = 512;
      while (room > 0) {
        const int64_t length = room < 160 ? room : 60 + static_cast<int64_t>(random.below(100));
        all.push_back(document(static_cast<size_t>(length), row));
        all.back().sample = all.size() - 1;
        room -= length;
      }
    }
    for (const uint64_t seed : {1, 2, 3}) {
      const auto rows = rows_of(all, 512, true, true, seed, 0);
      QVERIFY2(rows.size() <= 13, std::to_string(rows.size()).c_str());
      std::set<uint32_t> seen;
      for (const auto& row : rows) seen.insert(row.begin(), row.end());
      QCOMPARE(seen.size(), all.size());
    }
  }
  void documentsThatCannotPairAreStillAllThere() {
    std::vector<EncodedSample> all;
    for (int32_t i = 0; i < 9000; ++i) {
      all.push_back(document(60, i));
      all.back().sample = static_cast<size_t>(i);
    }
    const auto rows = rows_of(all, 100, true, true, 1, 0);
    QCOMPARE(rows.size(), all.size());
    QCOMPARE(fill_share(all, rows, 100), 0.6);
  }
  void orderComesFromSeedAndEpoch() {
    const auto all = documents(300, 256, 3);
    QCOMPARE(rows_of(all, 256, true, true, 42, 0), rows_of(all, 256, true, true, 42, 0));
    QVERIFY(rows_of(all, 256, true, true, 42, 0) != rows_of(all, 256, true, true, 42, 1));
    QVERIFY(rows_of(all, 256, true, true, 42, 0) != rows_of(all, 256, true, true, 43, 0));
    QVERIFY(rows_of(all, 256, false, true, 42, 0) != rows_of(all, 256, false, true, 42, 1));
    QCOMPARE(rows_of(all, 256, true, false, 42, 0), rows_of(all, 256, true, false, 7, 5));
  }
  void rowsAreFinalBeforeLaterDocumentsAreKnown() {
    const auto all = documents(9000, 512, 13);
    const RowSettings settings{512, true, true, 42, 0};
    const auto rows = make_rows(all, 9000, settings);
    RowPacker packer(settings);
    std::vector<Row> early;
    const auto order = sample_order(9000, settings);
    for (size_t i = 0; i < 5000; ++i)
      for (auto& row : packer.add({order[i], static_cast<int64_t>(all[order[i]].ids.size())})) early.push_back(std::move(row));
    QVERIFY(early.size() > 500);
    for (size_t r = 0; r < early.size(); ++r) QCOMPARE(early[r], rows[r]);
  }
  void samplesWithoutDocumentsAndWithSeveralKeepTheOrderOfTheRest() {
    const auto all = documents(300, 256, 3);
    std::vector<EncodedSample> some;
    for (const auto& e : all)
      if (e.sample % 3 != 0) some.push_back(e), some.push_back(document(9, 7)), some.back().sample = e.sample;
    const RowSettings settings{256, false, false, 42, 0};
    for (const bool shuffle : {false, true}) {
      RowSettings s = settings;
      s.shuffle = shuffle;
      const auto rows = make_rows(some, 300, s);
      std::vector<int> seen(some.size());
      for (const auto& row : rows) ++seen[row.at(0)];
      QVERIFY(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
    }
    QVERIFY_EXCEPTION_THROWN(make_rows(some, 100, settings), ShapeError);
  }
  void piecesOfOneTextAreMixedWhenShuffled() {
    std::vector<EncodedSample> pieces;
    for (int32_t i = 0; i < 1000; ++i) pieces.push_back(document(64, i));  // all of sample 0
    for (const bool packing : {true, false}) {
      const auto rows = make_rows(pieces, 1, {64, packing, true, 42, 0});
      QCOMPARE(rows.size(), size_t{1000});
      size_t in_order = 0;
      for (size_t r = 1; r < rows.size(); ++r) in_order += rows[r][0] == rows[r - 1][0] + 1;
      QVERIFY(in_order < 20);
    }
  }
  void withoutPackingEachDocumentIsARow() {
    const auto all = documents(50, 256, 3);
    const auto rows = rows_of(all, 256, false, false, 42, 0);
    QCOMPARE(rows.size(), size_t{50});
    for (uint32_t i = 0; i < 50; ++i) QCOMPARE(rows[i], Row{i});
    std::set<uint32_t> seen;
    for (const auto& row : rows_of(all, 256, false, true, 42, 0)) seen.insert(row.at(0));
    QCOMPARE(seen.size(), size_t{50});
  }
  void longDocumentsDoNotComeFirstWhenShuffled() {
    const auto all = documents(2000, 512, 5);
    const auto rows = rows_of(all, 512, true, true, 42, 0);
    double first = 0, second = 0;  // longest document of the rows, first half against second half
    for (size_t r = 0; r < rows.size(); ++r) {
      size_t longest = 0;
      for (const uint32_t d : rows[r]) longest = std::max(longest, all[d].ids.size());
      (r < rows.size() / 2 ? first : second) += static_cast<double>(longest);
    }
    QVERIFY2(first < 1.15 * second && second < 1.15 * first, (std::to_string(first) + " " + std::to_string(second)).c_str());
  }
  void collateRestartsPositionsAtEachDocument() {
    const std::vector<EncodedSample> all = {document(3, 7), document(2, 8), document(4, 9)};
    const TokenBatch b = collate(all, {{1, 0}, {2}}, 0, 2);
    QCOMPARE(b.ids, (std::vector<int32_t>{8, 8, 7, 7, 7, 9, 9, 9, 9}));
    QCOMPARE(b.positions, (std::vector<int32_t>{0, 1, 0, 1, 2, 0, 1, 2, 3}));
    QCOMPARE(b.document_starts, (std::vector<int32_t>{0, 2, 5, 9}));
    QCOMPARE(b.labels, (std::vector<int32_t>{-100, 8, -100, 7, 7, -100, 9, 9, 9}));
    QCOMPARE(collate(all, {{1, 0}, {2}}, 1, 5).ids.size(), size_t{4});  // the last batch may be shorter
  }
  void packedBatchesCoverTheTargetsOfSeparateDocuments() {
    const auto all = documents(200, 256, 11);
    std::multiset<std::pair<int32_t, int32_t>> apart, packed;  // (position, label) of every target
    for (const auto& e : all)
      for (size_t t = 0; t < e.ids.size(); ++t)
        if (e.labels[t] >= 0) apart.insert({static_cast<int32_t>(t), e.labels[t]});
    const auto rows = rows_of(all, 256, true, true, 42, 3);
    for (size_t r = 0; r < rows.size(); r += 4) {
      const TokenBatch b = collate(all, rows, r, 4);
      for (size_t d = 0; d + 1 < b.document_starts.size(); ++d) QVERIFY(b.labels[static_cast<size_t>(b.document_starts[d])] == -100);
      for (size_t t = 0; t < b.ids.size(); ++t)
        if (b.labels[t] >= 0) packed.insert({b.positions[t], b.labels[t]});
    }
    QVERIFY(apart == packed);
  }
  void nothingGivesNoRows() {
    QVERIFY(rows_of({}, 256, true, true, 1, 0).empty());
    QCOMPARE(fill_share({}, {}, 256), 0.0);
    QCOMPARE(collate({}, {}, 0, 1).document_starts, std::vector<int32_t>{0});
  }
};

LORIKEET_TEST_MAIN(PackingTest)
#include "packing_test.moc"
