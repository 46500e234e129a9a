#include "core/models/weights_on.h"

#include "core/ops/weight_on.h"

namespace lorikeet {
namespace {

constexpr uint64_t kLeastHostTable = 64 << 20;

}  // namespace

uint64_t host_table_from(const ModelConfig& config) { return config.tied_head ? kNoHostTable : kLeastHostTable; }

FrozenWeightPtr WeightsOn::matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) {
  FrozenWeightPtr stored = source_.matrix(name, rows, columns, quantise);
  return name == kEmbeddingTable && stored->bytes() >= host_table_ ? stored : weight_on(device_, stored);
}

}  // namespace lorikeet
