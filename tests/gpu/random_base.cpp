#include "tests/gpu/random_base.h"

#include <cmath>
#include <cstring>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/quant/coded_weight.h"

namespace lorikeet::bench {
namespace {

constexpr int64_t kBlock = 64;
constexpr float kSpread = 0.02f;    // standard deviation of a weight
constexpr int kGgmlBf16 = 30;

struct Bits {
  uint64_t state;
  uint64_t operator()() {  // splitmix64
    uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  /// In [-1, 1).
  double uniform() { return 2 * static_cast<double>((*this)() >> 11) * 0x1p-53 - 1; }
};

Tensor random_bytes(int64_t n, Bits& bits) {
  Tensor t = Tensor::empty({n}, DType::u8);
  auto* out = t.data<uint8_t>();
  for (int64_t i = 0; i < n; i += 8) {
    const uint64_t word = bits();
    std::memcpy(out + i, &word, static_cast<size_t>(std::min<int64_t>(8, n - i)));
  }
  return t;
}

class RandomSource final : public WeightSource {
 public:
  bool has(const std::string&) const override { return true; }
  FrozenWeightPtr matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) override {
    Bits bits{stream_of(name)};
    return quantise ? coded(rows, columns, bits) : plain(rows, columns, bits);
  }
  Tensor vector(const std::string&, int64_t size) override {
    Tensor t = Tensor::empty({size});
    t.fill(1);
    return t;
  }

 private:
  /// Uniform codes: an NF4 value's root mean square is 0.54 of its block's maximum.
  static FrozenWeightPtr coded(int64_t rows, int64_t columns, Bits& bits) {
    const int64_t elements = rows * columns, blocks = (elements + kBlock - 1) / kBlock;
    Tensor maxima = Tensor::empty({(blocks + kScalesPerGroup - 1) / kScalesPerGroup});
    maxima.fill(kSpread * 0.2);
    BlockScales scales = BlockScales::from_parts(random_bytes(blocks, bits), std::move(maxima), kSpread / 0.54f, kScalesPerGroup);
    return std::make_shared<CodedWeight>("nf4", rows, columns, 4, kBlock, random_bytes(static_cast<int64_t>(code_bytes(elements, 4)), bits), std::move(scales), shared_tables(nf4_codebook()));
  }
  static FrozenWeightPtr plain(int64_t rows, int64_t columns, Bits& bits) {
    auto values = std::make_shared<Tensor>(Tensor::empty({rows, columns}, DType::bf16));
    for (int64_t i = 0; i < values->size(); ++i) values->bits16()[i] = bf16_from_f32(static_cast<float>(bits.uniform() * kSpread * std::sqrt(3.0)));
    return stored_weight(kGgmlBf16, {static_cast<const std::byte*>(values->raw()), values->bytes()}, rows, columns, values);
  }
};

ModelConfig llama(int64_t hidden, int64_t layers, int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t feed_forward, int64_t vocabulary, bool tied) {
  ModelConfig c;
  c.architecture = "LlamaForCausalLM";
  c.hidden_size = hidden;
  c.layers = layers;
  c.heads = heads;
  c.kv_heads = kv_heads;
  c.head_dim = head_dim;
  c.intermediate_size = feed_forward;
  c.vocab_size = vocabulary;
  c.tied_head = tied;
  c.max_positions = 131072;
  return c;
}

}  // namespace

ModelConfig shape_named(const std::string& name) {
  if (name == "tiny") return llama(128, 2, 2, 1, 64, 192, 300, true);
  if (name == "135m") return llama(576, 30, 9, 3, 64, 1536, 49152, true);
  if (name == "1b") return llama(2048, 16, 32, 8, 64, 8192, 128256, true);
  if (name == "8b") return llama(4096, 32, 32, 8, 128, 14336, 128256, false);
  if (name == "65b") return llama(8192, 80, 64, 64, 128, 22016, 32000, false);
  if (name == "70b") return llama(8192, 80, 64, 8, 128, 28672, 128256, false);
  throw ConfigError("--shape", "--shape: " + name + " is unknown; known are tiny, 135m, 1b, 8b, 65b, 70b");
}

std::unique_ptr<WeightSource> random_source(const ModelConfig&) { return std::make_unique<RandomSource>(); }

Tensor random_values(Shape shape, DType type, double spread) {
  Tensor t = Tensor::empty(std::move(shape), type);
  Bits bits{static_cast<uint64_t>(t.size())};
  for (int64_t i = 0; i < t.size(); ++i) {
    const auto value = static_cast<float>(bits.uniform() * spread * std::sqrt(3.0));
    if (is_half_row(type)) t.bits16()[i] = type == DType::f16 ? f16_from_f32(value) : bf16_from_f32(value);
    else t.data<float>()[i] = value;
  }
  return t;
}

TokenBatch full_rows(int64_t rows, int64_t length, int64_t vocabulary, uint64_t seed) {
  TokenBatch b;
  Bits bits{seed};
  b.document_starts.push_back(0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t t = 0; t < length; ++t) {
      b.ids.push_back(static_cast<int32_t>(bits() % static_cast<uint64_t>(vocabulary)));
      b.positions.push_back(static_cast<int32_t>(t));
      b.labels.push_back(b.ids.back());
    }
    b.document_starts.push_back(static_cast<int32_t>(b.ids.size()));
  }
  return b;
}

}  // namespace lorikeet::bench
