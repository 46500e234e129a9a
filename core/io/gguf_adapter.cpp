// GGUF LoRA adapters (formats.md 3.6), read into the same struct as PEFT's. A file carries one alpha and no list of
// targets: ranks and modules are those of the tensors. The rows of q and k stay in the file's order until the model is
// known, because the order depends on its head size.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/adapter_files.h"
#include "core/io/adapter_parts.h"
#include "core/io/gguf.h"
#include "core/io/model_limits.h"
#include "core/quant/weight_format.h"

namespace lorikeet {
namespace {

constexpr int kF32 = 0, kF16 = 1, kQ8 = 8, kBf16 = 30;  // ggml type ids
constexpr std::string_view kPrefix = "base_model.model.", kEndOfB = ".lora_B.weight";

struct Halves {
  const GgufTensor *a = nullptr, *b = nullptr;
};
using Modules = std::map<std::string, Halves>;

std::string place_of(const std::string& tensor) { return "tensor " + printable(tensor, 70); }

/// A one-dimensional A is of rank 1: writers in C leave trailing dimensions of 1 out.
Shape shape_of(const GgufTensor& t) {
  if (t.shape.size() == 1 && t.name.ends_with(".lora_a")) return {1, t.shape[0]};
  return t.shape;
}

void check_kind(const GgufFile& f) {
  const auto refuse = [&](const char* key, const std::string& text) {
    throw InputError(f.path(), std::string("key ") + key, text);
  };
  const auto quoted = [](const std::string& text) { return "\"" + printable(text, 40) + "\""; };
  const std::string type = f.text("general.type").value_or("model");
  if (type == "model") refuse("general.type", "this is a model, not an adapter; give the adapter that belongs to it");
  if (type != "adapter") refuse("general.type", quoted(type) + " is no adapter");
  const std::string architecture = f.text("general.architecture").value_or("");
  if (architecture != "llama")
    refuse("general.architecture", architecture.empty()
                                       ? "is missing; the adapter's base cannot be known without it"
                                       : quoted(architecture) + " is not supported; adapters for llama are");
  const std::string kind = f.text("adapter.type").value_or("");
  if (kind != "lora")
    refuse("adapter.type", kind.empty() ? "is missing; lora is wanted" : quoted(kind) + " is not supported; lora is");
  if (f.metadata().count("adapter.alora.invocation_tokens"))
    refuse("adapter.alora.invocation_tokens",
           "an adapter that wakes up at certain tokens only (aLoRA) is not supported");
  if (f.integer("split.count", 0, 65535).value_or(1) > 1)
    refuse("split.count", "this is one part of a split file; join the parts first (llama-gguf-split --merge)");
}

/// The linear layer a tensor belongs to: "blk.0.attn_q.weight.lora_a" -> "model.layers.0.self_attn.q_proj".
std::string module_of(const GgufFile& f, const std::string& name) {
  constexpr std::string_view kHalf = ".lora_a", kWeight = ".weight", kLayers = "model.layers.";
  const bool is_half = name.ends_with(".lora_a") || name.ends_with(".lora_b");
  if (!is_half)
    throw InputError(f.path(), place_of(name),
                     "is no half of an adapter; its name ends in neither .lora_a nor .lora_b");
  const std::string base = name.substr(0, name.size() - kHalf.size()), hf = hf_name_of_gguf(base);
  if (base == "token_embd.weight" || base == "output.weight")
    throw InputError(f.path(), place_of(name),
                     "adapters on the embedding and the output head are not supported in this version");
  if (!hf.ends_with("_proj.weight"))
    throw InputError(f.path(), place_of(name), "belongs to no linear layer of a llama block");
  const std::string module = hf.substr(0, hf.size() - kWeight.size());
  const auto layer = parse_int(split(std::string_view(module).substr(kLayers.size()), '.')[0]);
  if (!layer || *layer >= detail::kMaxLayers)
    throw InputError(
        f.path(), place_of(name),
        fmt::format("no model has a block of that number; at most {} blocks are read", detail::kMaxLayers));
  return module;
}

void check_tensor(const GgufFile& f, const GgufTensor& t) {
  const auto refuse = [&](const std::string& text) { throw InputError(f.path(), place_of(t.name), text); };
  if (t.type != kF32 && t.type != kF16 && t.type != kBf16 && t.type != kQ8)
    refuse("has the type " + std::string(stored_type(t.type)->name) + "; F32, F16, BF16 or Q8_0 is wanted");
  const Shape shape = shape_of(t);
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1)
    refuse("has the shape " + to_string(t.shape) + "; a matrix is wanted");
  int64_t bad = 0;
  if (!stored_scales_finite(t.type, f.bytes(t), bad))
    refuse(fmt::format("{} {} is not finite (NaN or infinity)", t.type == kQ8 ? "the scale of value" : "value", bad));
}

void check_halves(const GgufFile& f, const std::string& module, const Halves& h) {
  if (!h.a || !h.b) {
    const std::string& there = (h.a ? h.a : h.b)->name;
    throw InputError(f.path(), place_of(there),
                     std::string("has no other half; its .lora_") + (h.a ? "b" : "a") + " is missing");
  }
  const int64_t a_rank = shape_of(*h.a)[0], b_rank = shape_of(*h.b)[1];
  if (a_rank != b_rank)
    throw InputError(f.path(), place_of(h.a->name),
                     fmt::format("has rank {}, its other half has rank {}", a_rank, b_rank));
  if (a_rank > detail::kMaxRank)
    throw InputError(f.path(), "module " + printable(module, 90),
                     fmt::format("has rank {}; at most {} is read", a_rank, detail::kMaxRank));
}

/// Plain types stay as they are; blocks of Q8_0 become f32. A copy: the file may be replaced while the model is in use.
Tensor values_of(const GgufFile& f, const GgufTensor& t) {
  const DType type = t.type == kF16 ? DType::f16 : t.type == kBf16 ? DType::bf16 : DType::f32;
  Tensor out = Tensor::empty(shape_of(t), type);
  const auto bytes = f.bytes(t);
  if (t.type == kQ8)
    decode_stored(t.type, bytes.data(), out.size(), out.data<float>());
  else
    std::memcpy(out.raw(), bytes.data(), bytes.size());
  return out;
}

int64_t most_common_rank(const Modules& modules) {
  std::map<int64_t, int64_t> counts;
  for (const auto& [module, h] : modules) ++counts[shape_of(*h.b)[1]];
  const auto fewer = [](const auto& x, const auto& y) { return x.second < y.second; };
  return std::max_element(counts.begin(), counts.end(), fewer)->first;
}

/// "org/name" where the file names its base on the Hugging Face hub; else empty.
std::string base_model_of(const GgufFile& f) {
  constexpr std::string_view kHub = "https://huggingface.co/";
  std::string url = f.text("general.base_model.0.repo_url").value_or("");
  if (!url.starts_with(kHub)) return {};
  url.erase(0, kHub.size());
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '/';
  };
  const bool id = url.size() <= 200 && std::all_of(url.begin(), url.end(), plain) &&
                  std::count(url.begin(), url.end(), '/') == 1 && url.find("..") == std::string::npos &&
                  url.front() != '/' && url.back() != '/';
  return id ? url : std::string();
}

/// One alpha for the file, divided by each module's own rank; an alpha of 0 or none means a scale of 1.
AdapterSpec spec_of(const GgufFile& f, const Modules& modules) {
  AdapterSpec spec;
  const double alpha = f.number("adapter.lora.alpha").value_or(0);
  spec.rank = most_common_rank(modules);
  spec.alpha = alpha == 0 ? static_cast<double>(spec.rank) : alpha;
  for (const auto& [module, h] : modules) {
    spec.target_modules.push_back(module);
    const int64_t rank = shape_of(*h.b)[1];
    if (rank == spec.rank) continue;
    spec.rank_pattern[detail::escaped_name(module)] = rank;
    if (alpha == 0) spec.alpha_pattern[detail::escaped_name(module)] = static_cast<double>(rank);
  }
  spec.base_model_name = base_model_of(f);
  return spec;
}

/// The rows of a B whose rows the converter moves, as the model has them; 0 for every other tensor.
int64_t rotary_rows(const std::string& name, const ModelConfig& base) {
  if (name.ends_with(".self_attn.q_proj.lora_B.weight")) return base.heads * base.head_dim;
  if (name.ends_with(".self_attn.k_proj.lora_B.weight")) return base.kv_heads * base.head_dim;
  return 0;
}

/// A B of the adapter under the name it has in the file, for messages.
std::string name_of_b_in_file(const std::string& name) {
  return gguf_name_of(name.substr(kPrefix.size(), name.size() - kPrefix.size() - kEndOfB.size()) + ".weight") +
         ".lora_b";
}

Tensor in_hf_order(const Tensor& b, int64_t head_dim) {
  Tensor out = Tensor::empty(b.shape(), b.dtype());
  const size_t row_bytes = b.bytes() / static_cast<size_t>(b.dim(0));
  for (int64_t row = 0; row < b.dim(0); ++row)
    std::memcpy(static_cast<std::byte*>(out.raw()) + static_cast<size_t>(row) * row_bytes,
                static_cast<const std::byte*>(b.raw()) + static_cast<size_t>(gguf_row_of(row, head_dim)) * row_bytes,
                row_bytes);
  return out;
}

}  // namespace

AdapterFiles detail::read_gguf_adapter(const std::string& path) {
  const GgufFile file(path);
  check_kind(file);
  Modules modules;
  int64_t skipped = 0;
  for (const GgufTensor& t : file.tensors()) {
    if (t.name.ends_with("_norm.weight")) {
      ++skipped;
      continue;
    }
    Halves& h = modules[module_of(file, t.name)];
    check_tensor(file, t);
    (t.name.ends_with("a") ? h.a : h.b) = &t;
  }
  if (modules.empty()) throw InputError(path, "", "holds no tensor of an adapter");
  AdapterFiles out;
  for (const auto& [module, h] : modules) {
    check_halves(file, module, h);
    const std::string front = std::string(kPrefix) + module;
    out.tensors.emplace_back(front + ".lora_A.weight", values_of(file, *h.a));
    out.tensors.emplace_back(front + std::string(kEndOfB), values_of(file, *h.b));
  }
  out.spec = spec_of(file, modules);
  out.gguf_rows = true;
  if (skipped > 0)
    out.warnings.push_back(
        fmt::format("{} trained norm weights in the adapter are passed over, as llama.cpp does", skipped));
  if (file.trailing_bytes() > 0)
    out.warnings.push_back(
        fmt::format("{} bytes behind the adapter's last tensor are passed over", file.trailing_bytes()));
  return out;
}

void put_rows_in_hf_order(AdapterFiles& adapter, const ModelConfig& base, const std::string& path) {
  if (!adapter.gguf_rows) return;
  for (auto& [name, tensor] : adapter.tensors) {
    const int64_t wanted = rotary_rows(name, base);
    if (wanted == 0) continue;
    if (tensor.dim(0) != wanted || base.head_dim % 2 != 0)
      throw InputError(path, place_of(name_of_b_in_file(name)),
                       fmt::format("has {} outputs, the model's layer has {}; the adapter was made for another model",
                                   tensor.dim(0), wanted));
    tensor = in_hf_order(tensor, base.head_dim);
  }
  adapter.gguf_rows = false;
}

}  // namespace lorikeet
