/// A weight source whose weights end up on a device: each is read and coded on the host, sent there and forgotten here,
/// so that the host never holds a whole model. A large embedding table that nothing but the row gather reads may stay on
/// the host as it is stored: a step takes a few thousand of its rows (ops/embedding.h).
#pragma once
#include <limits>

#include "core/models/model.h"

namespace lorikeet {

constexpr uint64_t kNoHostTable = std::numeric_limits<uint64_t>::max();
/// From how many bytes on the table of such a model stays on the host: below it nothing is gained, and never when it is the
/// output head too.
uint64_t host_table_from(const ModelConfig& config);

class WeightsOn final : public WeightSource {
 public:
  WeightsOn(WeightSource& source, DeviceType device, uint64_t host_table = kNoHostTable) : source_(source), device_(device), host_table_(host_table) {}
  bool has(const std::string& name) const override { return source_.has(name); }
  FrozenWeightPtr matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) override;
  Tensor vector(const std::string& name, int64_t size) override { return source_.vector(name, size).on(device_); }

 private:
  WeightSource& source_;
  DeviceType device_;
  uint64_t host_table_;
};

}  // namespace lorikeet
