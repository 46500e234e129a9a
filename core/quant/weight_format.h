/// Weight formats: one interface, one file per family, the list in weight_formats.cpp.
/// encode a matrix, decode a range of rows, bytes per weight, save and load its raw parts.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/registry.h"
#include "core/ops/frozen_weight.h"
#include "core/tensor/context.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

struct QuantOptions {
  bool double_quant = true;  // nf4/nf3/nf2/fp4: scales quantised to 8 bits in blocks of 256 (QLoRA)
  int block_size = 64;       // elements per scale, along the flattened row-major matrix; 32..4096, a power of two
};

/// The stored parts of an encoded weight under the names of the serialised form ("" = the codes, "absmax",
/// "quant_map", "nested_absmax", "nested_quant_map", plus scalars in `numbers`).
struct WeightParts {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::vector<std::pair<std::string, double>> numbers;
};

class WeightFormat {
 public:
  virtual ~WeightFormat() = default;
  virtual std::string_view name() const = 0;
  /// Codes a row-major f32 matrix. Refuses non-finite values with RunError naming row and column. `cx` gives threads.
  virtual FrozenWeightPtr encode(Context& cx, const float* w, int64_t rows, int64_t columns, const QuantOptions& o) const = 0;
  /// Storage in bits per weight, scales included, for a matrix of this shape.
  virtual double bits_per_weight(int64_t rows, int64_t columns, const QuantOptions& o) const = 0;
  /// Exact bytes encode() will hold.
  virtual uint64_t bytes(int64_t rows, int64_t columns, const QuantOptions& o) const = 0;
};
/// nf4 nf3 nf2 fp4 int8 int4 int3 int2 bf16 f16 f32. To add one: write quant/<family>.cpp, add one line there.
const Registry<const WeightFormat*>& weight_formats();

/// Blocks as files store them, used without re-coding (`keep`, GGUF): id = ggml type id (formats.md 3.2).
struct StoredType {
  int ggml_type;            // -1 for none
  std::string_view name;    // "F32", "Q4_1", ...
  int block_elements, block_bytes;
  bool readable;            // false: known but refused (IQ*, TQ*, ...)
};
const StoredType* stored_type(int ggml_type);
/// A weight over borrowed bytes (for example mapped from a file, kept alive by `owner`). Bytes must be rows*columns in
/// whole blocks; columns a multiple of the block. Throws UnsupportedError when the type is not readable.
FrozenWeightPtr stored_weight(int ggml_type, std::span<const std::byte> bytes, int64_t rows, int64_t columns,
                              std::shared_ptr<const void> owner);
/// Decodes whole blocks of any readable stored type to f32.
void decode_stored(int ggml_type, const std::byte* blocks, int64_t elements, float* out);
/// True when every scale of the blocks is finite; otherwise `bad` is the element index of the first bad block.
bool stored_scales_finite(int ggml_type, std::span<const std::byte> bytes, int64_t& bad);

/// A bitsandbytes 4-bit weight read from its serialised parts (formats.md 5.5); parts checked by the caller's reader
/// through this function, which throws RunError naming the part that does not fit.
FrozenWeightPtr weight_from_bitsandbytes(const WeightParts& parts, std::string_view quant_type, int block_size,
                                         int64_t rows, int64_t columns);
/// The parts bitsandbytes serialises for an nf4 or fp4 weight made by encode(); nothing for other formats.
std::optional<WeightParts> bitsandbytes_parts(const FrozenWeight& w);

/// sqrt(sum (w - decoded)^2 / sum w^2).
double relative_error(Context& cx, const FrozenWeight& w, const float* original);

}  // namespace lorikeet
