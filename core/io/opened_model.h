/// What opening a model leaves behind, whatever container it came from: sizes, checked places of all tensors,
/// tokenizer. Folders, GGUF files and single safetensors files fill the same struct; one weight source reads it.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/io/model_files.h"

namespace lorikeet::detail {

/// A 4-bit weight in the parts of bitsandbytes.
struct FourBitParts {
  WeightParts parts;
  std::string quant_type;  // nf4 | fp4
  int block_size = 64;
};
struct StoredTensor {
  ModelTensorInfo info;
  std::string file;                  // path, for messages
  int ggml_type = -1;                // block type of `bytes`; -1 for four_bit
  std::span<const std::byte> bytes;  // inside `mapping`
  std::shared_ptr<const MappedFile> mapping;
  int64_t interleaved_head = 0;  // > 0: rows are in GGUF's rotary order within heads of this many rows (formats.md 2.6)
  std::shared_ptr<const FourBitParts> four_bit;
};
struct OpenedModel {
  std::string path, container;
  ModelConfig config;
  std::vector<StoredTensor> tensors;  // those the model needs, Hugging Face names
  TokenizerPtr tokenizer;
  std::string chat_template;
  Json template_variables = Json::object();
  std::vector<std::string> warnings;
  std::string base_name;
  std::vector<std::string> weight_files;
};

OpenedModel open_gguf_model(const std::string& path);
/// `folder` has config.json; `only_file` names the one weight file to read, empty: look for model.safetensors or an
/// index.
OpenedModel open_hf_model(const std::string& folder, const std::string& only_file);
std::unique_ptr<WeightSource> make_weight_source(const OpenedModel& model, Context& cx, const LoadOptions& options);

struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
};
/// Every tensor a model of this config has.
std::vector<ExpectedTensor> expected_tensors(const ModelConfig& c);
/// Keeps the tensors the config asks for, in its order, and warns of others. Throws InputError with the number of
/// differences (missing, wrong shape, unreadable type) and the first of them; up to 20 go to the log.
void match_tensors(OpenedModel& model);
/// Refuses a tokenizer with ids the embedding has no row for.
void check_tokenizer_fits(const OpenedModel& model);
/// sha256 of one file, or of the hashes of several; remembered by path, size and time in the user's cache folder.
std::string cached_content_hash(const std::vector<std::string>& files);
/// "org/name" when the path lies in a Hugging Face cache or is the default model, else the path.
std::string base_name_of(const std::string& path);

}  // namespace lorikeet::detail
