// Names of tensors in GGUF files against Hugging Face names, for the architectures that share the Llama frame.
#include <array>
#include <optional>
#include <string_view>

#include "core/base/text.h"
#include "core/io/gguf.h"

namespace lorikeet {
namespace {

struct NamePair {
  std::string_view hf, gguf;
};
constexpr std::array kWhole = {
    NamePair{"model.embed_tokens.weight", "token_embd.weight"},
    NamePair{"model.norm.weight", "output_norm.weight"},
    NamePair{"lm_head.weight", "output.weight"},
};
// Behind "model.layers.N." and "blk.N.", before ".weight" or ".bias".
constexpr std::array kInBlock = {
    NamePair{"input_layernorm", "attn_norm"}, NamePair{"post_attention_layernorm", "ffn_norm"},
    NamePair{"self_attn.q_proj", "attn_q"},   NamePair{"self_attn.k_proj", "attn_k"},
    NamePair{"self_attn.v_proj", "attn_v"},   NamePair{"self_attn.o_proj", "attn_output"},
    NamePair{"mlp.gate_proj", "ffn_gate"},    NamePair{"mlp.up_proj", "ffn_up"},
    NamePair{"mlp.down_proj", "ffn_down"},
};
constexpr std::string_view kHfBlock = "model.layers.", kGgufBlock = "blk.";

/// "12.attn_q.weight" -> number, part, suffix. The number is written as a person would: no sign, no leading zero.
struct BlockName {
  std::string_view number, part, suffix;
};
std::optional<BlockName> split_block_name(std::string_view rest) {
  const size_t dot = rest.find('.'), last = rest.rfind('.');
  if (dot == std::string_view::npos || last <= dot) return std::nullopt;
  const std::string_view number = rest.substr(0, dot), suffix = rest.substr(last);
  if (number.empty() || number.size() > 4 || (number.size() > 1 && number[0] == '0')) return std::nullopt;
  for (const char c : number)
    if (c < '0' || c > '9') return std::nullopt;
  if (suffix != ".weight" && suffix != ".bias") return std::nullopt;
  return BlockName{number, rest.substr(dot + 1, last - dot - 1), suffix};
}

std::string renamed(const std::string& name, bool to_gguf) {
  const auto from = [&](const NamePair& p) { return to_gguf ? p.hf : p.gguf; };
  const auto to = [&](const NamePair& p) { return to_gguf ? p.gguf : p.hf; };
  for (const NamePair& p : kWhole)
    if (from(p) == name) return std::string(to(p));
  const std::string_view front = to_gguf ? kHfBlock : kGgufBlock, other = to_gguf ? kGgufBlock : kHfBlock;
  if (!name.starts_with(front)) return {};
  const auto parts = split_block_name(std::string_view(name).substr(front.size()));
  if (!parts) return {};
  for (const NamePair& p : kInBlock)
    if (from(p) == parts->part)
      return std::string(other) + std::string(parts->number) + "." + std::string(to(p)) + std::string(parts->suffix);
  return {};
}

}  // namespace

std::string gguf_name_of(const std::string& hf_name) { return renamed(hf_name, true); }
std::string hf_name_of_gguf(const std::string& gguf_name) { return renamed(gguf_name, false); }

}  // namespace lorikeet
