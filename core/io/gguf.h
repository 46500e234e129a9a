/// GGUF v2/v3: the whole header validated into an immutable plan before any tensor byte is touched (formats.md 3).
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/base/files.h"
#include "core/models/model_config.h"
#include "core/text/tokenizer.h"

namespace lorikeet {

/// Types of metadata values as the file numbers them.
enum class GgufType : int { u8 = 0, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };
struct GgufArray {
  int element_type = 0;  // a GgufType, never array
  std::vector<std::string> strings;
  std::vector<double> numbers;
};
using GgufValue = std::variant<int64_t, uint64_t, double, bool, std::string, GgufArray>;
struct GgufTensor {
  std::string name;
  int type = 0;                    // ggml type id
  std::vector<int64_t> shape;      // Hugging Face order (slowest first)
  uint64_t offset = 0, bytes = 0;  // absolute in the file
};
class GgufFile {
 public:
  explicit GgufFile(const std::string& path);
  int version() const { return version_; }
  const std::map<std::string, GgufValue>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find(const std::string& name) const;
  std::span<const std::byte> bytes(const GgufTensor& t) const;
  std::shared_ptr<const MappedFile> mapping() const { return file_; }
  const std::string& path() const { return path_; }
  /// Bytes behind the last tensor and its padding; readers ignore them, a user should hear of them.
  uint64_t trailing_bytes() const { return trailing_; }
  /// Typed access: nothing when absent, InputError when of another type or out of range.
  std::optional<std::string> text(const std::string& key) const;
  std::optional<int64_t> integer(const std::string& key, int64_t min, int64_t max) const;
  std::optional<double> number(const std::string& key) const;
  std::optional<bool> boolean(const std::string& key) const;

 private:
  std::string path_;
  int version_ = 0;
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, GgufValue> metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t> index_;
  uint64_t trailing_ = 0;
};
/// Model sizes from the metadata, checked against the tensors present. Architectures other than llama are refused by
/// name.
ModelConfig model_config_of_gguf(const GgufFile& file);
GgufTokenizerData tokenizer_of_gguf(const GgufFile& file);
/// "model.layers.0.self_attn.q_proj.weight" -> "blk.0.attn_q.weight"; empty when unknown.
std::string gguf_name_of(const std::string& hf_name);
std::string hf_name_of_gguf(const std::string& gguf_name);
/// Where the row of a q or k matrix that is `row` in Hugging Face's half-split rotary order stands in GGUF's interleaved
/// one (formats.md 2.6): HF row h*D + b*D/2 + j lies at GGUF row h*D + 2j + b.
inline int64_t gguf_row_of(int64_t row, int64_t head_dim) {
  const int64_t inside = row % head_dim, half = inside / (head_dim / 2), j = inside % (head_dim / 2);
  return row - inside + 2 * j + half;
}

}  // namespace lorikeet
