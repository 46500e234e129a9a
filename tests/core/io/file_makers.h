/// Builds GGUF and safetensors files byte by byte for tests, right or wrong as asked.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace lorikeet::test {

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

/// A safetensors file: length, header text, data bytes.
inline std::string safetensors_bytes(const std::string& header, size_t data_bytes) {
  std::string out;
  put<uint64_t>(out, header.size());
  return out + header + std::string(data_bytes, '\0');
}

/// A GGUF written piece by piece; counts and offsets can be overridden to be wrong.
struct GgufMaker {
  uint32_t version = 3;
  std::string pairs, infos;
  uint64_t pair_count = 0, tensor_count = 0, next_offset = 0;
  std::vector<std::string> data;
  uint64_t alignment = 32;

  static void text(std::string& out, const std::string& s) {
    put<uint64_t>(out, s.size());
    out += s;
  }
  GgufMaker& raw_pair(const std::string& key, int32_t type, const std::string& value) {
    text(pairs, key);
    put<int32_t>(pairs, type);
    pairs += value;
    ++pair_count;
    return *this;
  }
  GgufMaker& u32(const std::string& key, uint32_t v) {
    std::string b;
    put(b, v);
    return raw_pair(key, 4, b);
  }
  GgufMaker& f32(const std::string& key, float v) {
    std::string b;
    put(b, v);
    return raw_pair(key, 6, b);
  }
  GgufMaker& string(const std::string& key, const std::string& v) {
    std::string b;
    text(b, v);
    return raw_pair(key, 8, b);
  }
  GgufMaker& strings(const std::string& key, const std::vector<std::string>& v) {
    std::string b;
    put<int32_t>(b, 8);
    put<uint64_t>(b, v.size());
    for (const std::string& s : v) text(b, s);
    return raw_pair(key, 9, b);
  }
  GgufMaker& tensor_info(const std::string& name, const std::vector<int64_t>& ne, int32_t type, uint64_t offset) {
    text(infos, name);
    put<uint32_t>(infos, static_cast<uint32_t>(ne.size()));
    for (const int64_t n : ne) put(infos, n);
    put(infos, type);
    put(infos, offset);
    ++tensor_count;
    return *this;
  }
  /// A tensor of any type, placed behind the last.
  GgufMaker& tensor_of(const std::string& name, const std::vector<int64_t>& ne, int32_t type,
                       const std::string& bytes) {
    tensor_info(name, ne, type, next_offset);
    data.push_back(bytes);
    next_offset += (bytes.size() + alignment - 1) / alignment * alignment;
    return *this;
  }
  /// An F32 tensor of small values, placed behind the last.
  GgufMaker& tensor(const std::string& name, const std::vector<int64_t>& ne, float fill = 0.5f) {
    int64_t n = 1;
    for (const int64_t v : ne) n *= v;
    std::string bytes;
    for (int64_t i = 0; i < n; ++i) put(bytes, fill);
    return tensor_of(name, ne, 0, bytes);
  }
  std::string bytes() const {
    std::string out = "GGUF";
    put(out, version);
    put(out, tensor_count);
    put(out, pair_count);
    out += pairs + infos;
    for (const std::string& d : data) {
      out.resize((out.size() + alignment - 1) / alignment * alignment, '\0');
      out += d;
    }
    return out;
  }
};

/// The smallest whole Llama: 1 block, width 8, 2 heads, 4 tokens.
inline GgufMaker small_llama() {
  GgufMaker m;
  m.string("general.architecture", "llama")
      .u32("llama.block_count", 1)
      .u32("llama.context_length", 16)
      .u32("llama.embedding_length", 8)
      .u32("llama.feed_forward_length", 8)
      .u32("llama.attention.head_count", 2)
      .u32("llama.attention.head_count_kv", 1)
      .f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  m.tensor("token_embd.weight", {8, 4})
      .tensor("output_norm.weight", {8})
      .tensor("blk.0.attn_norm.weight", {8})
      .tensor("blk.0.ffn_norm.weight", {8});
  m.tensor("blk.0.attn_q.weight", {8, 8})
      .tensor("blk.0.attn_k.weight", {8, 4})
      .tensor("blk.0.attn_v.weight", {8, 4})
      .tensor("blk.0.attn_output.weight", {8, 8});
  m.tensor("blk.0.ffn_gate.weight", {8, 8})
      .tensor("blk.0.ffn_up.weight", {8, 8})
      .tensor("blk.0.ffn_down.weight", {8, 8});
  return m;
}

/// An adapter on two layers of small_llama(), of rank 2 and alpha 4.
inline GgufMaker small_gguf_adapter() {
  GgufMaker m;
  m.string("general.architecture", "llama").string("general.type", "adapter").string("adapter.type", "lora");
  m.f32("adapter.lora.alpha", 4);
  m.tensor("blk.0.attn_q.weight.lora_a", {8, 2}).tensor("blk.0.attn_q.weight.lora_b", {2, 8});
  m.tensor("blk.0.ffn_up.weight.lora_a", {8, 2}).tensor("blk.0.ffn_up.weight.lora_b", {2, 8});
  return m;
}

}  // namespace lorikeet::test
