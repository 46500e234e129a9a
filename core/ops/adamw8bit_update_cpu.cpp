#include <algorithm>
#include <cmath>

#include "core/ops/adamw8bit_kernels.h"
#include "core/ops/cpu_twins.h"
#include "core/ops/dynamic_map.h"
#include "core/ops/tensor_list.h"

namespace lorikeet {
namespace {

constexpr int64_t kBlocksATask = 64;

Adamw8bitBlockFn block_of(CpuLevel level) {
  switch (level) {
    case CpuLevel::amx:
    case CpuLevel::avx512: return avx512::kAdamw8bitBlock;
    case CpuLevel::avx2: return avx2::kAdamw8bitBlock;
    case CpuLevel::scalar: break;
  }
  return scalar::kAdamw8bitBlock;
}

Adamw8bitConstants constants_of(const Adamw8bitUpdateArgs& a) {
  const auto f = [](double x) { return static_cast<float>(x); };
  const auto t = static_cast<double>(a.step);
  const DynamicMap &first = signed_dynamic_map(), &second = unsigned_dynamic_map();
  return {.grad_scale = f(a.grad_scale), .decay = f(1 - a.learning_rate * a.weight_decay), .beta1 = f(a.beta1), .one_minus_beta1 = f(1 - a.beta1),
          .beta2 = f(a.beta2), .one_minus_beta2 = f(1 - a.beta2), .minus_step_size = f(-a.learning_rate / (1 - std::pow(a.beta1, t))),
          .root_correction = f(std::sqrt(1 - std::pow(a.beta2, t))), .eps = f(a.eps), .first_values = first.values.data(), .second_values = second.values.data(),
          .first_code_of_point = first.code_of_point.data(), .second_code_of_point = second.code_of_point.data()};
}

}  // namespace

void adamw8bit_update_cpu(Context& cx, const Adamw8bitUpdateArgs& a) {
  const Adamw8bitConstants c = constants_of(a);
  const Adamw8bitBlockFn update = block_of(cx.level());
  std::vector<int64_t> blocks;
  for (const Adamw8bitTensors& e : a.tensors) blocks.push_back(e.m_absmax.size());
  ops::for_blocks_of(cx.pool(), blocks, kBlocksATask, [&](size_t which, int64_t begin, int64_t end, int) {
    const Adamw8bitTensors& e = a.tensors[which];
    for (int64_t b = begin; b < end; ++b) {
      const int64_t at = b * kMomentBlock;
      update(c, e.p.data<float>() + at, e.g.data<float>() + at, e.m_codes.data<uint8_t>() + at, e.v_codes.data<uint8_t>() + at,
             e.m_absmax.data<float>() + b, e.v_absmax.data<float>() + b, std::min(kMomentBlock, e.p.size() - at));
    }
  });
}

}  // namespace lorikeet
