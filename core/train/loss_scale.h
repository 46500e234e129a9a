/// Dynamic loss scaling for gradients that pass through f16 (Micikevicius et al. 2018, arXiv:1710.03740): the loss is taken
/// times a power of two, so that small gradients do not vanish, and the gradients divided by it. Halved when one became too
/// large, doubled after many steps without. Scales are of the sum of token losses: 2^7 of a sum over 512 tokens is 2^16 of
/// their mean.
#pragma once
#include <cstdint>

namespace lorikeet {

class LossScale {
 public:
  static constexpr double kFirst = 128, kLeast = 1.0 / 1024, kMost = 1 << 24;
  static constexpr int64_t kGoodSteps = 2000;
  LossScale() = default;
  explicit LossScale(bool on) : value_(on ? kFirst : 1), on_(on) {}
  bool on() const { return on_; }
  double value() const { return value_; }
  int64_t good_steps() const { return good_steps_; }
  /// A gradient was not finite. False when the scale is not to blame: off, or as low as it gets.
  bool lower() {
    if (!on_ || value_ <= kLeast) return false;
    value_ /= 2;
    good_steps_ = 0;
    return true;
  }
  void good_step() {
    if (!on_ || ++good_steps_ < kGoodSteps || value_ >= kMost) return;
    value_ *= 2;
    good_steps_ = 0;
  }
  /// As saved with a checkpoint; numbers that cannot be are left alone.
  void restore(double value, int64_t good_steps) {
    if (!on_ || !(value >= kLeast && value <= kMost) || good_steps < 0) return;
    value_ = value;
    good_steps_ = good_steps;
  }

 private:
  double value_ = 1;
  bool on_ = false;
  int64_t good_steps_ = 0;
};

}  // namespace lorikeet
