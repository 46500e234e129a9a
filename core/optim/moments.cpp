#include "core/optim/moments.h"

namespace lorikeet {

Tensor StateMemory::zeros(const Shape& shape, DType dtype, DeviceType device) {
  if (!file_) return Tensor::zeros(shape, dtype, device);
  char* at = static_cast<char*>(file_->data()) + used_;
  Tensor t = Tensor::borrow(at, shape, dtype, file_);
  used_ += room(t.bytes());
  return t;
}

void StateMemory::tell(const Moments& m, void (ScratchFile::*what)(const void*, size_t) const) const {
  if (!file_) return;
  for (const MomentsPart& part : kMomentsParts)
    if (const Tensor& t = m.*part.tensor; t.defined() && t.bytes() > 0) ((*file_).*what)(t.raw(), t.bytes());
}

}  // namespace lorikeet
