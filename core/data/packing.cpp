// Rows from documents: best fit by up to three documents at a time over a window, windows taken in the order of the
// epoch, so that rows mix anew each epoch while no document is cut, lost or doubled. Best fit decreasing leaves the
// documents of middle length for last, where they fit nothing: it filled the sample project's rows to less than 97 %. Where
// this way stays below that too, each row is filled as far as any choice of documents can, and the fewer rows are taken.
#include "core/data/packing.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>
#include <utility>

#include "core/base/error.h"
#include "core/base/random.h"

namespace lorikeet {
namespace {

constexpr size_t kWindow = 4096;   // documents packed together
constexpr size_t kCarried = 1024;  // documents of badly filled rows that may wait for the next window
constexpr double kWellFilled = 0.97;
constexpr int64_t kGapShare = 128;  // part of the room that may stay free before three documents are tried
constexpr size_t kFewLengths = 128;
constexpr double kRoomForMany = 3;  // mean lengths of free room above which a row is not yet fitted

using Documents = std::vector<RowPacker::Document>;
struct OpenRow {
  Documents documents;
  int64_t tokens = 0;
};

Row numbers_of(const Documents& documents) {
  Row out;
  out.reserve(documents.size());
  for (const auto& d : documents) out.push_back(d.number);
  return out;
}

// The documents of a window by length, taken out one by one in the order they were put in.
class Pool {
 public:
  explicit Pool(const Documents& window) : left_(window.size()) {
    for (const auto& d : window) by_length_[d.tokens].waiting.push_back(d.number);
    for (const auto& [length, shelf] : by_length_) tokens_ += length * static_cast<int64_t>(shelf.waiting.size());
  }
  bool empty() const { return left_ == 0; }
  double mean() const { return static_cast<double>(tokens_) / static_cast<double>(left_); }
  RowPacker::Document take(int64_t length) {
    const auto shelf = by_length_.find(length);
    const uint32_t d = shelf->second.waiting[shelf->second.taken++];
    if (shelf->second.left() == 0) by_length_.erase(shelf);
    --left_;
    tokens_ -= length;
    return {d, length};
  }
  /// The longest length up to `room`, 0 when none fits.
  int64_t best_one(int64_t room) const {
    auto after = by_length_.upper_bound(room);
    return after == by_length_.begin() ? 0 : std::prev(after)->first;
  }
  /// Up to three lengths whose sum comes nearest to `room` from below; fewer where that is as good. Three are tried
  /// only where two leave a gap and few lengths are about: with many, two nearly always meet the room.
  std::vector<int64_t> best_fill(int64_t room) const {
    Fill best = best_two(room, 0);
    if (const int64_t one = best_one(room); one >= best.sum) best = {one, {one}};
    if (room - best.sum <= room / kGapShare || by_length_.size() > kFewLengths) return best.lengths;
    for (const auto& [length, shelf] : by_length_) {
      if (length >= room || best.sum == room) break;
      Fill rest = best_two(room - length, length);
      if (rest.sum == 0 || length + rest.sum <= best.sum) continue;
      rest.lengths.push_back(length);
      best = {length + rest.sum, std::move(rest.lengths)};
    }
    return best.lengths;
  }
  int64_t longest() const { return std::prev(by_length_.end())->first; }
  /// Lengths whose sum comes as near to `room` from below as any choice of documents does. Sums that can be reached are
  /// bits; each remembers the length that reached it first.
  std::vector<int64_t> fullest(int64_t room) const {
    std::vector<uint64_t> reached(static_cast<size_t>(room) / 64 + 1, 0);
    std::vector<int64_t> by(static_cast<size_t>(room) + 1, 0);
    reached[0] = 1;
    for (auto shelf = by_length_.rbegin(); shelf != by_length_.rend() && by.back() == 0; ++shelf) {
      if (shelf->first > room) continue;
      const auto copies = std::min(static_cast<int64_t>(shelf->second.left()), room / shelf->first);
      for (int64_t c = 0; c < copies; ++c)
        if (!add_length(shelf->first, reached, by)) break;
    }
    std::vector<int64_t> out;
    size_t sum = by.size() - 1;
    while (sum > 0 && by[sum] == 0) --sum;
    for (; sum > 0; sum -= static_cast<size_t>(by[sum])) out.push_back(by[sum]);
    return out;
  }

 private:
  // One more document of this length may be taken. False when no new sum comes of it. From the high words down, so that
  // what is read has not been written yet.
  static bool add_length(int64_t length, std::vector<uint64_t>& reached, std::vector<int64_t>& by) {
    const size_t words = static_cast<size_t>(length) / 64, bits = static_cast<size_t>(length) % 64;
    bool any = false;
    for (size_t w = reached.size(); w-- > words;) {
      uint64_t fresh = reached[w - words] << bits;
      if (bits > 0 && w > words) fresh |= reached[w - words - 1] >> (64 - bits);
      fresh &= ~reached[w];
      reached[w] |= fresh;
      for (; fresh != 0; fresh &= fresh - 1) {
        const size_t sum = w * 64 + static_cast<size_t>(std::countr_zero(fresh));
        if (sum < by.size()) by[sum] = length, any = true;
      }
    }
    return any;
  }
  struct Shelf {
    std::vector<uint32_t> waiting;
    size_t taken = 0;
    size_t left() const { return waiting.size() - taken; }
  };
  struct Fill {
    int64_t sum = 0;
    std::vector<int64_t> lengths;
  };
  // Two lengths, one document of length `spoken_for` left aside. Two fingers walk towards each other.
  Fill best_two(int64_t room, int64_t spoken_for) const {
    Fill best;
    if (by_length_.empty()) return best;
    auto low = by_length_.begin(), high = std::prev(by_length_.end());
    const auto left = [&](auto at) { return at->second.left() - (at->first == spoken_for ? 1 : 0); };
    while (low->first <= high->first) {
      const int64_t sum = low->first + high->first;
      const bool there = low == high ? left(low) >= 2 : left(low) >= 1 && left(high) >= 1;
      if (there && sum <= room && sum > best.sum) best = {sum, {high->first, low->first}};
      if (low == high || best.sum == room) break;
      if (sum <= room)
        ++low;
      else
        --high;
    }
    return best;
  }
  std::map<int64_t, Shelf> by_length_;
  size_t left_ = 0;
  int64_t tokens_ = 0;
};

// The lengths in the order in which rows are begun and roughly filled: what takes more than half a row first, longest
// first, for it is hardest to place; the rest as drawn, so that the mix of lengths stays the same to the end.
std::vector<int64_t> lengths_in_turn(const Documents& window, int64_t row_length) {
  std::vector<int64_t> out;
  for (const auto& d : window) out.push_back(d.tokens);
  const auto large = std::stable_partition(out.begin(), out.end(), [&](int64_t l) { return l * 2 > row_length; });
  std::sort(out.begin(), large, std::greater<>());
  return out;
}

// Rows one after another: documents as drawn while there is room for many, then those that fill the rest best.
std::vector<OpenRow> fill_rows(const Documents& window, int64_t row_length) {
  std::vector<OpenRow> rows;
  Pool pool(window);
  std::map<int64_t, size_t> ahead;  // documents taken out of turn, by length: their turn is passed over
  const auto turns = lengths_in_turn(window, row_length);
  size_t turn = 0;
  const auto next_in_turn = [&] {
    while (turn < turns.size() && ahead[turns[turn]] > 0) --ahead[turns[turn++]];
    return turns[turn];
  };
  while (!pool.empty()) {
    OpenRow row;
    const auto put = [&](int64_t length) {
      row.documents.push_back(pool.take(length));
      row.tokens += length;
    };
    put(next_in_turn());
    ++turn;
    while (!pool.empty()) {
      const int64_t room = row_length - row.tokens;
      if (pool.best_one(room) == 0) break;
      if (static_cast<double>(room) > kRoomForMany * pool.mean()) {
        if (const int64_t next = next_in_turn(); next <= room) {
          put(next);
          ++turn;
          continue;
        }
      }
      for (const int64_t length : pool.best_fill(room)) {
        put(length);
        ++ahead[length];
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

// Each row as full as can be: the longest document left and what fills the rest best. Rows made last get the misfits, so
// that this is the worse way for most sets, and the better one for small or uneven ones.
std::vector<OpenRow> fill_rows_to_the_brim(const Documents& window, int64_t row_length) {
  std::vector<OpenRow> rows;
  Pool pool(window);
  while (!pool.empty()) {
    OpenRow row;
    const auto put = [&](int64_t length) {
      row.documents.push_back(pool.take(length));
      row.tokens += length;
    };
    put(pool.longest());
    if (!pool.empty() && row.tokens < row_length)
      for (const int64_t length : pool.fullest(row_length - row.tokens)) put(length);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<OpenRow> best_rows(const Documents& window, int64_t row_length) {
  auto rows = fill_rows(window, row_length);
  int64_t tokens = 0;
  for (const auto& row : rows) tokens += row.tokens;
  const double places = static_cast<double>(rows.size()) * static_cast<double>(row_length);
  if (static_cast<double>(tokens) >= kWellFilled * places) return rows;
  auto others = fill_rows_to_the_brim(window, row_length);
  return others.size() < rows.size() ? others : rows;
}

template <class T>
void reorder(std::vector<T>& v, uint64_t seed, uint64_t stream) {
  std::vector<T> out;
  out.reserve(v.size());
  for (const uint32_t i : permutation(static_cast<uint32_t>(v.size()), seed, stream)) out.push_back(std::move(v[i]));
  v = std::move(out);
}

}  // namespace

std::vector<uint32_t> sample_order(int64_t samples, const RowSettings& s) {
  std::vector<uint32_t> order(static_cast<size_t>(samples));
  std::iota(order.begin(), order.end(), 0u);
  if (s.shuffle) reorder(order, s.seed, stream_of("data.order") + static_cast<uint64_t>(s.epoch));
  return order;
}

std::vector<Row> RowPacker::add(const Document& document) {
  std::vector<Row> out;
  if (window_.size() >= kWindow) out = close_window(false);  // not before it is known that this one was not the last
  window_.push_back(document);
  return out;
}

std::vector<Row> RowPacker::close_window(bool last) {
  std::vector<Row> rows;
  if (settings_.packing) {
    rows = pack(last);
  } else {
    for (const Document& d : std::exchange(window_, {})) rows.push_back({d.number});
  }
  const uint64_t window = windows_closed_++;
  if (settings_.shuffle) {
    // Best fit puts long documents first, and the pieces of a split text come one after another.
    reorder(rows, settings_.seed, stream_of("data.rows") + static_cast<uint64_t>(settings_.epoch) + (window << 32));
  } else if (settings_.packing) {
    for (auto& row : rows) std::sort(row.begin(), row.end());
    std::sort(rows.begin(), rows.end());
  }
  return rows;
}

std::vector<Row> RowPacker::pack(bool last) {
  std::vector<Row> out;
  for (auto& row : best_rows(std::exchange(window_, {}), settings_.length)) {
    const bool filled = static_cast<double>(row.tokens) >= kWellFilled * static_cast<double>(settings_.length);
    if (last || filled || window_.size() + row.documents.size() > kCarried)
      out.push_back(numbers_of(row.documents));
    else
      window_.insert(window_.end(), row.documents.begin(), row.documents.end());
  }
  return out;
}

std::vector<Row> make_rows(const std::vector<EncodedSample>& documents, int64_t samples, const RowSettings& settings) {
  std::vector<uint32_t> begin(static_cast<size_t>(samples) + 1, 0);  // documents of sample s: begin[s] to begin[s + 1]
  for (const auto& d : documents) {
    if (d.sample >= static_cast<size_t>(samples)) throw ShapeError("make_rows: a document belongs to no sample");
    ++begin[d.sample + 1];
  }
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<Row> rows;
  const auto keep = [&rows](std::vector<Row>&& made) { std::move(made.begin(), made.end(), std::back_inserter(rows)); };
  RowPacker packer(settings);
  for (const uint32_t s : sample_order(samples, settings))
    for (uint32_t d = begin[s]; d < begin[s + 1]; ++d)
      keep(packer.add({d, static_cast<int64_t>(documents[d].ids.size())}));
  keep(packer.finish());
  return rows;
}

double fill_share(const std::vector<EncodedSample>& documents, const std::vector<Row>& rows, int64_t row_length) {
  int64_t used = 0;
  for (const auto& row : rows)
    for (const uint32_t d : row) used += static_cast<int64_t>(documents[d].ids.size());
  const double all = static_cast<double>(rows.size()) * static_cast<double>(row_length);
  return all > 0 ? static_cast<double>(used) / all : 0;
}

TokenBatch collate(const std::vector<EncodedSample>& documents, const std::vector<Row>& rows, size_t first,
                   size_t count) {
  TokenBatch batch;
  batch.document_starts.push_back(0);
  for (size_t r = first; r < std::min(first + count, rows.size()); ++r)
    for (const uint32_t d : rows[r]) {
      const EncodedSample& e = documents[d];
      if (e.labels.size() != e.ids.size()) throw ShapeError("collate: a document's labels and ids differ in length");
      batch.ids.insert(batch.ids.end(), e.ids.begin(), e.ids.end());
      batch.labels.insert(batch.labels.end(), e.labels.begin(), e.labels.end());
      for (size_t t = 0; t < e.ids.size(); ++t) batch.positions.push_back(static_cast<int32_t>(t));
      batch.document_starts.push_back(static_cast<int32_t>(batch.ids.size()));
    }
  return batch;
}

}  // namespace lorikeet
