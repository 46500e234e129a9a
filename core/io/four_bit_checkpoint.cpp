// A weight is 4-bit when, and only when, its quant_state is there; shape and block size come from that state.
#include "core/io/four_bit_checkpoint.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/json_reader.h"

namespace lorikeet::detail {
namespace {

constexpr const char* kState = ".quant_state.bitsandbytes__";
constexpr uint64_t kMaxState = 64u << 10;

struct State {
  const ShardTensor* tensor;
  std::string quant_type;
};
std::optional<State> state_of(const ShardedTensors& shards, const std::string& name) {
  for (const char* type : {"nf4", "fp4"})
    if (const auto it = shards.tensors.find(name + kState + type); it != shards.tensors.end())
      return State{&it->second, type};
  return std::nullopt;
}

/// Fills numbers of the parts and returns [out, in].
std::vector<int64_t> read_state(const State& state, const std::string& name, FourBitParts& out) {
  const auto bytes = state.tensor->file->bytes(*state.tensor->entry);
  const std::string& file = state.tensor->file->path();
  const std::string place = "quant_state of " + printable(name, 70);
  if (bytes.size() > kMaxState)
    throw InputError(file, place, "has " + std::to_string(bytes.size()) + " bytes; at most 64 KiB are read");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const Json json = parse_json(text, file, place, {.max_depth = 8, .reject_duplicate_keys = true});
  const JsonReader r(json, file, place + ".");
  out.quant_type = r.text("quant_type").value_or("");
  if (out.quant_type != state.quant_type)
    r.fail("quant_type", "found \"" + printable(out.quant_type, 20) + "\", but the key says " + state.quant_type);
  out.block_size = static_cast<int>(r.integer("blocksize", 32, 4096).value_or(64));
  if (const auto v = r.integer("nested_blocksize", 1, 1 << 20))
    out.parts.numbers.emplace_back("nested_blocksize", static_cast<double>(*v));
  if (const auto v = r.number("nested_offset")) out.parts.numbers.emplace_back("nested_offset", *v);
  out.parts.numbers.emplace_back("blocksize", out.block_size);
  const Json* shape = r.find("shape");
  if (!shape || !shape->is_array() || shape->size() != 2) r.fail("shape", "two numbers are wanted");
  std::vector<int64_t> dims;
  for (const Json& axis : *shape) {
    if (!axis.is_number_unsigned() || axis.get<uint64_t>() < 1 || axis.get<uint64_t>() > (1u << 30))
      r.fail("shape", "found " + described(axis));
    dims.push_back(axis.get<int64_t>());
  }
  return dims;
}

}  // namespace

bool is_four_bit_part(const ShardedTensors& shards, const std::string& name) {
  const size_t state = name.find(kState);
  if (state != std::string::npos) return true;
  for (const char* part : {".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"})
    if (name.ends_with(part) && state_of(shards, name.substr(0, name.size() - std::string_view(part).size())))
      return true;
  return false;
}

std::optional<StoredTensor> four_bit_tensor(const ShardedTensors& shards, const std::string& name) {
  const auto state = state_of(shards, name);
  if (!state) return std::nullopt;
  const ShardTensor& codes = shards.tensors.at(name);
  auto four_bit = std::make_shared<FourBitParts>();
  StoredTensor out;
  out.file = codes.file->path();
  out.info.name = name;
  out.info.shape = read_state(*state, name, *four_bit);
  out.info.stored = four_bit->quant_type + " (bitsandbytes)";
  four_bit->parts.tensors.emplace_back("", codes.file->tensor(*codes.entry));
  out.info.bytes = codes.entry->end - codes.entry->begin;
  for (const char* part : {"absmax", "quant_map", "nested_absmax", "nested_quant_map"}) {
    const auto it = shards.tensors.find(name + "." + part);
    if (it == shards.tensors.end()) continue;
    four_bit->parts.tensors.emplace_back(part, it->second.file->tensor(*it->second.entry));
    out.info.bytes += it->second.entry->end - it->second.entry->begin;
  }
  try {
    weight_from_bitsandbytes(four_bit->parts, four_bit->quant_type, four_bit->block_size, out.info.shape[0],
                             out.info.shape[1]);
  } catch (const RunError& e) {
    throw InputError(out.file, "tensor " + printable(name, 80), e.what());
  }
  out.mapping = codes.file->mapping();
  out.four_bit = std::move(four_bit);
  return out;
}

}  // namespace lorikeet::detail
