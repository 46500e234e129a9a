#include "core/models/weights_on.h"

#include "core/ops/weight_on.h"

namespace lorikeet {

FrozenWeightPtr WeightsOn::matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) {
  return weight_on(device_, source_.matrix(name, rows, columns, quantise));
}

}  // namespace lorikeet
