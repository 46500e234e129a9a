// Weights go out in shards, so a model larger than memory can be written; names are final only when their number is
// known.
#include "core/export/four_bit_folder.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/export/model_folder_files.h"
#include "core/io/folder_swap.h"
#include "core/io/safetensors.h"

namespace lorikeet {
namespace {

constexpr uint64_t kShardBytes = 2'000'000'000;

struct TorchType {
  DType dtype;
  const char* torch;
};
/// 16-bit tensors stay what they are; everything else is written so that no bit is lost.
TorchType type_for(const std::string& stored) {
  if (stored == "BF16") return {DType::bf16, "bfloat16"};
  if (stored == "F16") return {DType::f16, "float16"};
  return {DType::f32, "float32"};
}

class ShardWriter {
 public:
  explicit ShardWriter(std::string folder) : folder_(std::move(folder)) {}
  void add(const std::string& name, Tensor tensor) {
    if (held_ > 0 && held_ + tensor.bytes() > kShardBytes) flush();
    held_ += tensor.bytes();
    total_ += tensor.bytes();
    shard_of_.emplace(name, shards_);
    tensors_.emplace_back(name, std::move(tensor));
  }
  /// Final names; an index when there is more than one file.
  void finish() {
    flush();
    if (shards_ == 1) return fs::rename(part(0), folder_ + "/model.safetensors");
    const auto name = [&](size_t i) { return fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards_); };
    for (size_t i = 0; i < shards_; ++i) fs::rename(part(i), folder_ + "/" + name(i));
    Json map = Json::object();
    auto& members = static_cast<Json::object_t::Container&>(map.get_ref<Json::object_t&>());
    for (const auto& [tensor, shard] : shard_of_) members.emplace_back(tensor, name(shard));
    const Json index = {{"metadata", {{"total_size", total_}}}, {"weight_map", std::move(map)}};
    write_file_atomic(folder_ + "/model.safetensors.index.json", dump_json(index, 2) + "\n");
  }

 private:
  std::string part(size_t i) const { return fmt::format("{}/part-{}", folder_, i); }
  void flush() {
    if (tensors_.empty()) return;
    write_safetensors(part(shards_++), tensors_);
    tensors_.clear();
    held_ = 0;
  }
  std::string folder_;
  std::vector<std::pair<std::string, Tensor>> tensors_;
  std::map<std::string, size_t> shard_of_;
  uint64_t held_ = 0, total_ = 0;
  size_t shards_ = 0;
};

Tensor quant_state(const WeightParts& parts, const std::string& format, const char* dtype, int64_t rows,
                   int64_t columns) {
  const auto number = [&](std::string_view wanted) -> const double* {
    for (const auto& [name, value] : parts.numbers)
      if (name == wanted) return &value;
    return nullptr;
  };
  Json j = {{"quant_type", format},
            {"blocksize", static_cast<int64_t>(*number("blocksize"))},
            {"dtype", dtype},
            {"shape", {rows, columns}}};
  if (const double* nested = number("nested_blocksize")) {
    j["nested_blocksize"] = static_cast<int64_t>(*nested);
    j["nested_dtype"] = "float32";
    j["nested_offset"] = *number("nested_offset");
  }
  const std::string text = dump_json(j);
  return Tensor::from<uint8_t>({text.begin(), text.end()}, {static_cast<int64_t>(text.size())});
}

void add_four_bit(ShardWriter& out, const std::string& name, const FrozenWeight& w, const std::string& format,
                  const char* dtype) {
  const auto parts = bitsandbytes_parts(w);
  if (!parts) throw RunError("weights of format " + format + " have no form in bitsandbytes");
  for (const auto& [part, tensor] : parts->tensors) out.add(part.empty() ? name : name + "." + part, tensor);
  out.add(name + ".quant_state.bitsandbytes__" + format, quant_state(*parts, format, dtype, w.rows(), w.columns()));
}

Tensor plain_matrix(Context& cx, const FrozenWeight& w, DType dtype) {
  Tensor values = Tensor::empty({w.rows(), w.columns()});
  cx.pool().for_blocks(w.rows(), 64, [&](int64_t begin, int64_t end, int) {
    w.decode_rows(begin, end - begin, values.row<float>(begin), w.columns());
  });
  return dtype == DType::f32 ? values : values.to(dtype);
}

Json quantization_config(const std::string& format, const QuantOptions& options, const char* dtype) {
  return {{"_load_in_4bit", true},
          {"_load_in_8bit", false},
          {"bnb_4bit_compute_dtype", dtype},
          {"bnb_4bit_quant_storage", "uint8"},
          {"bnb_4bit_quant_type", format},
          {"bnb_4bit_use_double_quant", options.double_quant},
          {"llm_int8_enable_fp32_cpu_offload", false},
          {"llm_int8_has_fp16_weight", false},
          {"llm_int8_skip_modules", nullptr},
          {"llm_int8_threshold", 6.0},
          {"load_in_4bit", true},
          {"load_in_8bit", false},
          {"quant_method", "bitsandbytes"}};
}

}  // namespace

FourBitFolder write_four_bit_folder(const ModelFiles& files, Context& cx, const std::string& format,
                                    const QuantOptions& options, const std::string& out, std::stop_token stop,
                                    const std::function<void(double, double)>& progress) {
  if (format != "nf4" && format != "fp4")
    throw UnsupportedError("bitsandbytes has no format \"" + format + "\"; nf4 and fp4 can be written");
  require_new_folder(out);
  FolderSwap swap(out);
  std::set<std::string> linears;
  for (const LinearShape& s : linear_shapes(files.config())) linears.insert(s.name + ".weight");
  const char* dtype =
      type_for(files.tensors().front().stored).torch;  // the embedding's: the type the model computes in
  const auto source = files.weights(cx, {format, options});
  ShardWriter writer(swap.path());
  FourBitFolder result;
  size_t done = 0;
  for (const ModelTensorInfo& t : files.tensors()) {
    if (stop.stop_requested()) throw Interrupted("writing the quantised model was stopped");
    if (progress) progress(static_cast<double>(done++), static_cast<double>(files.tensors().size()));
    const bool linear = linears.count(t.name) > 0;
    if (t.shape.size() == 1) {
      writer.add(t.name, source->vector(t.name, t.shape[0]).to(type_for(t.stored).dtype));
    } else if (const FrozenWeightPtr w = source->matrix(t.name, t.shape[0], t.shape[1], linear); linear) {
      add_four_bit(writer, t.name, *w, format, dtype);
    } else {
      writer.add(t.name, plain_matrix(cx, *w, type_for(t.stored).dtype));
    }
  }
  writer.finish();
  Json config = detail::hf_config_json(files, dtype);
  config["quantization_config"] = quantization_config(format, options, dtype);
  write_file_atomic(swap.path() + "/config.json", dump_json(config, 2) + "\n");
  result.warnings = detail::write_tokenizer_files(files, swap.path());
  swap.commit();
  result.files = exported_files(out);
  if (progress) progress(1, 1);
  return result;
}

}  // namespace lorikeet
