/// The state of the AdamW family, and where it lives: in memory, or in a mapped file of the run's folder.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/base/scratch_file.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

/// The state of one parameter, or of a part of it. The maxima are undefined where the moments are f32.
struct Moments {
  Tensor first, second, first_absmax, second_absmax;
  bool coded() const { return first_absmax.defined(); }
};
/// Order and names of the state in a checkpoint.
struct MomentsPart { const char* prefix; Tensor Moments::*tensor; };
inline constexpr MomentsPart kMomentsParts[] = {{"exp_avg.", &Moments::first},
                                                {"exp_avg_absmax.", &Moments::first_absmax},
                                                {"exp_avg_sq.", &Moments::second},
                                                {"exp_avg_sq_absmax.", &Moments::second_absmax}};

/// Gives out zeroed state: tensors of their own, or pieces of one mapped file.
class StateMemory {
 public:
  StateMemory() = default;
  StateMemory(const std::string& folder, uint64_t bytes) : file_(std::make_shared<ScratchFile>(folder, bytes)) {}
  bool paged() const { return file_ != nullptr; }
  Tensor zeros(const Shape& shape, DType dtype, DeviceType device);
  /// It will be used soon; it will not be used for a while. Nothing where the state is in memory.
  void expect(const Moments& m) const { tell(m, &ScratchFile::expect); }
  void rest(const Moments& m) const { tell(m, &ScratchFile::rest); }
  /// What a tensor takes of the file: pieces begin at multiples of 64 bytes.
  static uint64_t room(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

 private:
  void tell(const Moments& m, void (ScratchFile::*what)(const void*, size_t) const) const;
  std::shared_ptr<ScratchFile> file_;
  uint64_t used_ = 0;
};

}  // namespace lorikeet
