/// Gradients of a training step on a device. The host only gives the device work, and does not wait for it.
///
/// Small models on fast cards spend more time being told what to do than doing it: a pass of 30 layers is some 2000 kernels of
/// a few microseconds. Passes of such a size are filled up to one of few shapes (with a document of no targets), recorded
/// when a shape comes for the second time, and given to the device as a whole from then on: the same kernels on the same
/// memory, with the batch sent to the place where they look for it.
#pragma once
#include <map>
#include <memory>
#include <vector>

#include "core/methods/method.h"
#include "core/models/model.h"
#include "core/tensor/device_memory.h"

namespace lorikeet {

class DeviceStep {
 public:
  /// `record` false: every pass is given kernel by kernel.
  DeviceStep(Context& cx, Model& model, const std::vector<NamedParameter>& parameters, CheckpointPolicy policy, bool record);
  /// Gradients and loss become zero; the parameters have their gradients, and their values as rows, from now on.
  void begin();
  /// Forward and backward of a micro-batch: gradients of the sum of its losses, times `loss_scale`. Throws ShapeError.
  void add(const TokenBatch& batch, double loss_scale, uint64_t dropout_seed);
  Tensor& loss() { return loss_; }        // f64 [1]: sum of the token losses
  Tensor& squares() { return squares_; }  // f64 [1]: room for the gradients' sum of squares
  /// Both, in this order; waits.
  std::vector<double> sums() const;
  /// Passes that were given as a whole.
  int64_t repeated() const { return repeated_; }

 private:
  /// Passes of one shape are the same kernels with the same arguments.
  struct PassShape {
    int64_t tokens, documents, targets, positions;
    double loss_scale;
    auto operator<=>(const PassShape&) const = default;
  };
  struct Recorded {
    std::unique_ptr<RecordedWork> work;
    std::vector<std::shared_ptr<void>> scratch;  // that it writes to
    int64_t last_use = 0;
  };
  struct Pass {
    TokenBatch batch;
    BatchThere there;
    TargetsThere targets;
    double loss_scale;
  };
  bool launch_bound(int64_t tokens) const;
  /// The parameter's part of a tensor that holds all of them.
  Tensor part(const Tensor& all, const NamedParameter& p, int64_t at) const;
  template <class F> void each_parameter(const F& f) const;
  Pass sent(TokenBatch batch, const Targets& targets, int64_t places, double loss_scale, uint64_t dropout_seed);
  void run(const Pass& pass);
  void run_recorded(const PassShape& shape, const Pass& pass);
  void drop_oldest();

  Context& cx_;
  Model& model_;
  std::vector<NamedParameter> parameters_;
  CheckpointPolicy policy_;
  bool record_;
  double layer_weights_ = 0;
  Tensor gradients_, sums_, loss_, squares_, indices_;
  Tensor values_, rows_;  // of all parameters, where passes are small: rounded together, once a step
  std::map<PassShape, Recorded> recorded_;
  int64_t uses_ = 0, repeated_ = 0;
};

}  // namespace lorikeet
