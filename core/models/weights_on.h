/// A weight source whose weights end up on a device: each is read and coded on the host, sent there and forgotten here,
/// so that the host never holds a whole model.
#pragma once
#include "core/models/model.h"

namespace lorikeet {

class WeightsOn final : public WeightSource {
 public:
  WeightsOn(WeightSource& source, DeviceType device) : source_(source), device_(device) {}
  bool has(const std::string& name) const override { return source_.has(name); }
  FrozenWeightPtr matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) override;
  Tensor vector(const std::string& name, int64_t size) override { return source_.vector(name, size).on(device_); }

 private:
  WeightSource& source_;
  DeviceType device_;
};

}  // namespace lorikeet
