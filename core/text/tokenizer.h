/// Tokenizers: exact byte-level BPE (tokenizer.json, vocab.json + merges.txt, GGUF metadata) and SentencePiece models.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lorikeet {

struct TokenPiece {
  int32_t id;
  uint32_t begin, end;  // bytes of the given text this token covers
};
struct EncodeOptions {
  bool parse_special = true;  // special and added tokens in the text are recognised
  bool add_special = false;   // what the post-processor adds (BOS, EOS)
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::vector<TokenPiece> encode_pieces(std::string_view text, EncodeOptions o) const = 0;
  std::vector<int32_t> encode(std::string_view text, EncodeOptions o = {}) const;
  /// Special tokens are shown, nothing is tidied. Ill-formed UTF-8 becomes U+FFFD.
  virtual std::string decode(const std::vector<int32_t>& ids) const = 0;
  /// The raw bytes one token stands for in running text (used to stream: hold back an incomplete UTF-8 tail).
  virtual std::string token_bytes(int32_t id) const = 0;
  /// The token's text as stored ("Ġworld", "<|im_end|>").
  virtual std::string token_text(int32_t id) const = 0;
  virtual std::optional<int32_t> id_of(std::string_view token_text) const = 0;
  virtual bool is_special(int32_t id) const = 0;
  virtual int64_t vocab_size() const = 0;  // number of ids known, added tokens included
  virtual std::string kind() const = 0;    // "byte-level BPE", "SentencePiece BPE", "SentencePiece unigram"
  std::optional<int32_t> bos, eos, pad, unk;
  /// Ids that end a generated answer (union of eos of config, generation_config, tokenizer, eot/eom of GGUF).
  std::vector<int32_t> stop_ids;
  /// sha256 over vocabulary, merges, special tokens: goes into run.json and adapters.
  virtual std::string fingerprint() const = 0;
};
using TokenizerPtr = std::shared_ptr<const Tokenizer>;

/// What a GGUF carries under tokenizer.ggml.*, as read by io/gguf (text does not know GGUF files).
struct GgufTokenizerData {
  std::string model, pre;  // "gpt2" / "llama"; "smollm", "llama-bpe", "qwen2"...
  std::vector<std::string> tokens, merges;
  std::vector<float> scores;
  std::vector<int32_t> token_types;
  std::optional<int32_t> bos, eos, eot, eom, unk, pad;
  std::optional<bool> add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;
  std::string huggingface_json;  // tokenizer.huggingface.json when present
};
/// All throw InputError naming `file`; sizes, ids and ranks are checked before use.
std::shared_ptr<Tokenizer> tokenizer_from_json(std::string_view json_text, const std::string& file);
std::shared_ptr<Tokenizer> tokenizer_from_vocab_merges(std::string_view vocab_json, std::string_view merges_text, const std::string& pattern_name, const std::string& file);
std::shared_ptr<Tokenizer> tokenizer_from_sentencepiece(std::string_view model_bytes, const std::string& file);
std::shared_ptr<Tokenizer> tokenizer_from_gguf(const GgufTokenizerData& data, const std::string& file);
/// Looks for tokenizer.json, tokenizer.model, vocab.json+merges.txt in `folder`, then applies tokenizer_config.json,
/// special_tokens_map.json, added_tokens.json, generation_config.json and config.json (formats.md 2.9, 4.7).
/// Null when the folder has no tokenizer at all.
std::shared_ptr<Tokenizer> tokenizer_from_folder(const std::string& folder);

}  // namespace lorikeet
