#include "core/data/token_cache.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>

namespace lorikeet {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are written in the machine's own byte order");

constexpr char kMagic[8] = {'L', 'K', 'T', 'O', 'K', 'E', 'N', 'S'};
constexpr uint32_t kVersion = 1;
constexpr size_t kKeyBytes = 64;
constexpr size_t kFlushBytes = size_t{1} << 20;
constexpr int32_t kNone = -100;
const std::string kEnding = ".tokens";
constexpr auto kForgotten = std::chrono::hours(24);  // a temporary file this old belongs to a process that was killed

/// The last bytes of a file.
struct EndBlock {
  char magic[8];
  uint32_t version, place_bytes;
  uint64_t samples, table_offset, table_checksum;
  char key[kKeyBytes];
};
static_assert(sizeof(EndBlock) == 40 + kKeyBytes);

/// Finds damage, proves nothing against an enemy: words multiplied and folded, the bytes left over as one more word.
uint64_t checksum_of(const std::byte* data, size_t bytes) {
  constexpr uint64_t kFactor = 0x9e3779b97f4a7c15u;
  uint64_t sum = kFactor ^ bytes;
  const auto mix = [&sum](uint64_t word) {
    sum = (sum ^ word) * kFactor;
    sum ^= sum >> 29;
  };
  size_t at = 0;
  for (; at + 8 <= bytes; at += 8) {
    uint64_t word;
    std::memcpy(&word, data + at, 8);
    mix(word);
  }
  uint64_t rest = 0;
  std::memcpy(&rest, data + at, bytes - at);
  mix(rest);
  return sum;
}

uint64_t record_bytes(uint64_t tokens, bool whole_labels) { return tokens * 4 + (whole_labels ? tokens * 4 : (tokens + 7) / 8); }

std::string path_of(const std::string& folder, const std::string& key) { return folder + "/" + key + kEnding; }

void append(std::string& out, const void* data, size_t bytes) { out.append(static_cast<const char*>(data), bytes); }

std::string bits_of_labels(const SampleTokens& t) {
  std::string bits((t.ids.size() + 7) / 8, '\0');
  for (size_t i = 0; i < t.ids.size(); ++i)
    if (t.labels[i] != kNone) bits[i / 8] = static_cast<char>(static_cast<unsigned char>(bits[i / 8]) | (1u << (i % 8)));
  return bits;
}

/// Removes what killed processes left and, longest unused first, what is over the limit; `newest` stays.
void tidy(const std::string& folder, const std::string& newest, uint64_t limit) {
  struct Kept {
    fs::file_time_type time;
    uint64_t bytes;
    fs::path path;
  };
  std::vector<Kept> files;
  uint64_t sum = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code none;
    if (!it->is_regular_file(none)) continue;
    const Kept file{it->last_write_time(none), it->file_size(none), it->path()};
    if (none) continue;
    const std::string name = file.path.filename().string();
    if (name.find(kEnding + ".tmp-") != std::string::npos) {
      if (fs::file_time_type::clock::now() - file.time > kForgotten) fs::remove(file.path, none);
    } else if (name.ends_with(kEnding)) {
      sum += file.bytes;
      if (file.path != newest) files.push_back(file);
    }
  }
  std::sort(files.begin(), files.end(), [](const Kept& a, const Kept& b) { return a.time < b.time; });
  for (const Kept& file : files) {
    if (sum <= limit) break;
    std::error_code none;
    if (fs::remove(file.path, none)) sum -= file.bytes;
  }
}

}  // namespace

std::string token_cache_folder() { return user_cache_folder() + "/tokens"; }

std::unique_ptr<TokenCacheReader> TokenCacheReader::open(const std::string& folder, const std::string& key, int64_t samples,
                                                         int64_t vocabulary) {
  const std::string path = path_of(folder, key);
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return nullptr;
  try {
    std::unique_ptr<TokenCacheReader> reader(new TokenCacheReader(path));
    if (!reader->check(key, samples, vocabulary)) return nullptr;
    fs::last_write_time(path, fs::file_time_type::clock::now(), error);
    return reader;
  } catch (const std::exception&) {
    return nullptr;
  }
}

bool TokenCacheReader::check(const std::string& key, int64_t samples, int64_t vocabulary) {
  const auto bytes = file_.bytes();
  EndBlock end;
  if (bytes.size() < sizeof(end) || key.size() != kKeyBytes) return false;
  std::memcpy(&end, bytes.data() + bytes.size() - sizeof(end), sizeof(end));
  const uint64_t table_end = bytes.size() - sizeof(end);
  if (std::memcmp(end.magic, kMagic, sizeof(kMagic)) != 0 || end.version != kVersion || end.place_bytes != sizeof(Place) ||
      std::memcmp(end.key, key.data(), kKeyBytes) != 0 || samples < 0 || end.samples != static_cast<uint64_t>(samples))
    return false;
  if (end.table_offset > table_end || end.samples > table_end / sizeof(Place) ||
      table_end - end.table_offset != end.samples * sizeof(Place) ||
      checksum_of(bytes.data() + end.table_offset, table_end - end.table_offset) != end.table_checksum)
    return false;
  places_.resize(end.samples);
  if (!places_.empty()) std::memcpy(places_.data(), bytes.data() + end.table_offset, places_.size() * sizeof(Place));
  uint64_t sum = 0;  // records that overlap could stand for more tokens than memory holds
  return std::all_of(places_.begin(), places_.end(), [&](const Place& p) {
    sum += record_bytes(p.tokens, p.whole_labels != 0);
    return sum <= end.table_offset && check_place(p, end.table_offset, vocabulary);
  });
}

bool TokenCacheReader::check_place(const Place& p, uint64_t records_end, int64_t vocabulary) const {
  const uint64_t bytes = record_bytes(p.tokens, p.whole_labels != 0);
  if (p.offset > records_end || bytes > records_end - p.offset) return false;
  const std::byte* record = file_.bytes().data() + p.offset;
  if (checksum_of(record, bytes) != p.checksum) return false;
  const uint64_t numbers = p.whole_labels != 0 ? uint64_t{2} * p.tokens : p.tokens;
  for (uint64_t i = 0; i < numbers; ++i) {
    int32_t id;
    std::memcpy(&id, record + i * 4, 4);
    if (id >= vocabulary || (id < 0 && !(i >= p.tokens && id == kNone))) return false;
  }
  return true;
}

SampleTokens TokenCacheReader::tokens(size_t sample) const {
  const Place& p = places_.at(sample);
  const std::byte* record = file_.bytes().data() + p.offset;
  SampleTokens out;
  out.ids.resize(p.tokens);
  out.labels.resize(p.tokens);
  if (p.tokens == 0) return out;
  std::memcpy(out.ids.data(), record, size_t{p.tokens} * 4);
  const std::byte* labels = record + size_t{p.tokens} * 4;
  if (p.whole_labels != 0) {
    std::memcpy(out.labels.data(), labels, size_t{p.tokens} * 4);
  } else {
    for (size_t t = 0; t < p.tokens; ++t)
      out.labels[t] = (std::to_integer<unsigned>(labels[t / 8]) >> (t % 8) & 1u) != 0 ? out.ids[t] : kNone;
  }
  return out;
}

TokenCacheWriter::TokenCacheWriter(std::string folder, std::string key, int64_t samples, TokenCacheLimits limits)
    : folder_(std::move(folder)), key_(std::move(key)), limits_(limits), places_(static_cast<size_t>(samples)),
      added_(static_cast<size_t>(samples), false), left_(static_cast<size_t>(samples)) {
  given_up_ = key_.size() != kKeyBytes;
}

TokenCacheWriter::~TokenCacheWriter() = default;

void TokenCacheWriter::add(size_t sample, const SampleTokens& t) {
  const std::lock_guard lock(mutex_);
  if (given_up_ || sample >= added_.size() || added_[sample]) return;
  if (t.ids.size() > UINT32_MAX || t.labels.size() != t.ids.size()) return give_up();
  bool whole = false;
  for (size_t i = 0; i < t.ids.size() && !whole; ++i) whole = t.labels[i] != t.ids[i] && t.labels[i] != kNone;
  const size_t begin = buffer_.size();
  append(buffer_, t.ids.data(), t.ids.size() * 4);
  if (whole)
    append(buffer_, t.labels.data(), t.labels.size() * 4);
  else
    buffer_ += bits_of_labels(t);
  const size_t bytes = buffer_.size() - begin;
  places_[sample] = {.offset = bytes_,
                     .checksum = checksum_of(reinterpret_cast<const std::byte*>(buffer_.data()) + begin, bytes),
                     .tokens = static_cast<uint32_t>(t.ids.size()),
                     .whole_labels = whole ? 1u : 0u};
  bytes_ += bytes;
  added_[sample] = true;
  --left_;
  if (bytes_ > limits_.folder_bytes) return give_up();
  if (buffer_.size() >= kFlushBytes) flush();
}

void TokenCacheWriter::flush() {
  try {
    if (!file_) {
      fs::create_directories(folder_);
      file_ = std::make_unique<AtomicFile>(path_of(folder_, key_));
    }
    if (free_disk_bytes(folder_) < limits_.free_bytes + buffer_.size()) return give_up();
    file_->write(buffer_);
    buffer_.clear();
  } catch (const std::exception&) {
    give_up();
  }
}

void TokenCacheWriter::give_up() {
  given_up_ = true;
  file_.reset();
  buffer_ = {};
}

bool TokenCacheWriter::commit() {
  const std::lock_guard lock(mutex_);
  if (given_up_ || left_ > 0 || bytes_ < limits_.worth_keeping) return false;
  EndBlock end{};
  std::memcpy(end.magic, kMagic, sizeof(kMagic));
  std::memcpy(end.key, key_.data(), kKeyBytes);
  end.version = kVersion;
  end.place_bytes = sizeof(TokenCacheReader::Place);
  end.samples = places_.size();
  end.table_offset = bytes_;
  const size_t table_bytes = places_.size() * sizeof(TokenCacheReader::Place);
  end.table_checksum = checksum_of(reinterpret_cast<const std::byte*>(places_.data()), table_bytes);
  append(buffer_, places_.data(), table_bytes);
  append(buffer_, &end, sizeof(end));
  flush();
  if (given_up_) return false;
  given_up_ = true;  // one file a writer
  try {
    file_->commit();
    file_.reset();
    tidy(folder_, path_of(folder_, key_), limits_.folder_bytes);
    return true;
  } catch (const std::exception&) {
    give_up();
    return false;
  }
}

}  // namespace lorikeet
