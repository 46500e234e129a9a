/// Tokens of a data set kept on disk, so that the same data with the same tokenizer are tokenised once. Only a cache: a
/// file that is missing, damaged, foreign or of another version is as good as none, and whatever fails while writing
/// (a full disk, a read-only folder) leaves the program without a cache and without an error.
///
/// A file holds the samples in any order, each as ids (int32) with its labels (one bit a token where a label is the id or
/// -100, else int32) and a checksum; a table of places; and an end block with magic, version, key and the table's
/// checksum. Numbers are little-endian. It is written under a temporary name and renamed when every sample is in it.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/data/encode.h"

namespace lorikeet {

struct TokenCacheLimits {
  uint64_t folder_bytes = uint64_t{2} << 30;   // of all files; the longest unused go first
  uint64_t free_bytes = uint64_t{1} << 30;     // stay free on the disk
  uint64_t worth_keeping = uint64_t{1} << 18;  // smaller sets are tokenised faster than a file is brought to the disk
};
/// `<user cache folder>/tokens`.
std::string token_cache_folder();

/// A whole, checked file.
class TokenCacheReader {
 public:
  /// Null unless the file of this key is there, holds `samples` samples, all its checksums hold and every id is below
  /// `vocabulary`. `key`: 64 hex digits over everything that decides the tokens. Marks the file as used just now.
  static std::unique_ptr<TokenCacheReader> open(const std::string& folder, const std::string& key, int64_t samples,
                                                int64_t vocabulary);
  int64_t samples() const { return static_cast<int64_t>(places_.size()); }
  SampleTokens tokens(size_t sample) const;

 private:
  struct Place {
    uint64_t offset, checksum;
    uint32_t tokens, whole_labels;  // whole_labels: 1 where labels are int32
  };
  explicit TokenCacheReader(const std::string& path) : file_(path) {}
  bool check(const std::string& key, int64_t samples, int64_t vocabulary);
  bool check_place(const Place& place, uint64_t records_end, int64_t vocabulary) const;
  MappedFile file_;
  std::vector<Place> places_;
  friend class TokenCacheWriter;
};

/// Collects samples from any thread and in any order. Nothing is left behind unless commit() found all of them.
class TokenCacheWriter {
 public:
  TokenCacheWriter(std::string folder, std::string key, int64_t samples, TokenCacheLimits limits = {});
  ~TokenCacheWriter();
  void add(size_t sample, const SampleTokens& tokens);
  /// Gives the file its name when every sample was added and the set is worth it. True when it now lies in the folder.
  bool commit();

 private:
  void flush();
  void give_up();
  std::mutex mutex_;
  std::string folder_, key_, buffer_;
  TokenCacheLimits limits_;
  std::vector<TokenCacheReader::Place> places_;
  std::vector<bool> added_;
  size_t left_;
  uint64_t bytes_ = 0;
  bool given_up_ = false;
  std::unique_ptr<AtomicFile> file_;
};

}  // namespace lorikeet
