/// Whether AVX-512's bf16 dot products pay here. Some CPUs run VDPBF16PS at twice the rate of f32 multiply-adds, others
/// at half of it: only a short measurement tells.
#pragma once

namespace lorikeet {

/// Products a second of VDPBF16PS over those of f32 multiply-adds, both from registers; the best of a few rounds of some
/// microseconds. Only on a CPU with both.
double bf16_dot_gain();

}  // namespace lorikeet
