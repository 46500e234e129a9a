// AdamW update of several tensors whose moments are held in 8 bits in one launch (core/ops/adamw8bit_update.h). Source:
// Dettmers et al. 2022, arXiv:2110.02861.
//
// Tensors are cut into pieces of 16 blocks of 256 elements, which the 8 warps of a block of threads do. One warp does a
// block of 256 elements at a time: a lane holds elements 4 lane .. 4 lane + 3 of both halves, so that a warp's loads
// are of 512 bytes in a row (of parameters and gradients) or 128 (of codes); the last block and operands that do not begin
// at a multiple of 16 bytes go element by element. Decoded, updated in f32, used for the step, and coded again against
// the block's largest magnitude. Every rounding is spelled out, so codes, maxima and parameters have the CPU op's bits.
#include <cmath>
#include <vector>

#include "core/ops/dynamic_map.h"
#include "cuda/device/clip.cuh"
#include "cuda/device/pack.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/ops/tensor_table.cuh"
#include "cuda/ops/twins.h"
#include "cuda/runtime/per_card.h"

namespace lorikeet::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpThreads;
constexpr int kBlock = static_cast<int>(kMomentBlock), kEach = kBlock / kWarpThreads, kQuad = 4, kHalf = kBlock / 2;
constexpr int kBlocksAPiece = 2 * kWarps;
static_assert(kEach == 2 * kQuad);

/// A map of core/ops/dynamic_map.h on the device.
struct Map {
  const float* values;
  const uint8_t* code_of_point;
};
struct Constants {
  double grad_scale;
  float decay, beta1, one_minus_beta1, beta2, one_minus_beta2, minus_step_size, root_correction, eps;
  Map first, second;
};
struct Entry {
  float* p;
  const float* g;
  uint8_t *m_codes, *v_codes;
  float *m_absmax, *v_absmax;
  int64_t size, first_piece;
  int64_t aligned;  // p, g and the codes begin at multiples of 16 bytes
};

/// Element of its block that a lane's number i is.
__device__ inline int place_of(int lane, int i) { return i / kQuad * kHalf + lane * kQuad + i % kQuad; }

__device__ inline void load(const float* from, int lane, int n, bool whole, float* to) {
  if (whole) {
    for (int half = 0; half < 2; ++half) {
      const auto quad = load_pack<kQuad>(from + place_of(lane, half * kQuad));
      for (int i = 0; i < kQuad; ++i) to[half * kQuad + i] = quad.at[i];
    }
  } else {
    for (int i = 0; i < kEach; ++i) to[i] = place_of(lane, i) < n ? from[place_of(lane, i)] : 0.0f;
  }
}
__device__ inline void load(const uint8_t* from, int lane, int n, bool whole, uint8_t* to) {
  if (whole) {
    for (int half = 0; half < 2; ++half) {
      const uint32_t quad = *reinterpret_cast<const uint32_t*>(from + place_of(lane, half * kQuad));
      for (int i = 0; i < kQuad; ++i) to[half * kQuad + i] = static_cast<uint8_t>(quad >> 8 * i);
    }
  } else {
    for (int i = 0; i < kEach; ++i) to[i] = place_of(lane, i) < n ? from[place_of(lane, i)] : uint8_t{0};
  }
}
__device__ inline void store(float* to, int lane, int n, bool whole, const float* from) {
  if (whole) {
    for (int half = 0; half < 2; ++half) {
      Pack<float, kQuad> quad;
      for (int i = 0; i < kQuad; ++i) quad.at[i] = from[half * kQuad + i];
      store_pack(to + place_of(lane, half * kQuad), quad);
    }
  } else {
    for (int i = 0; i < kEach; ++i)
      if (place_of(lane, i) < n) to[place_of(lane, i)] = from[i];
  }
}
__device__ inline void store(uint8_t* to, int lane, int n, bool whole, const uint8_t* from) {
  if (whole) {
    for (int half = 0; half < 2; ++half) {
      uint32_t quad = 0;
      for (int i = 0; i < kQuad; ++i) quad |= static_cast<uint32_t>(from[half * kQuad + i]) << 8 * i;
      *reinterpret_cast<uint32_t*>(to + place_of(lane, half * kQuad)) = quad;
    }
  } else {
    for (int i = 0; i < kEach; ++i)
      if (place_of(lane, i) < n) to[place_of(lane, i)] = from[i];
  }
}

/// Codes a warp's block against its largest magnitude, which is returned. A block of zeros gets codes 0.
__device__ inline float encode(const float* x, const Map& map, uint8_t* codes) {
  float largest = 0;
  for (int i = 0; i < kEach; ++i) {
    const float size = fabsf(x[i]);
    largest = size > largest ? size : largest;
  }
  largest = warp_max(largest);
  const float inverse = __fdiv_rn(1.0f, largest == 0 ? 1.0f : largest);
  for (int i = 0; i < kEach; ++i) {  // dynamic_code(), written out
    const float scaled = __fmul_rn(x[i], inverse), above = scaled >= -1.0f ? scaled : -1.0f, inside = above < 1.0f ? above : 1.0f;
    const int point = static_cast<int>(__fadd_rn(__fmul_rn(__fmul_rn(__fadd_rn(inside, 1.0f), 0.5f), 65535.0f), 0.5f));
    codes[i] = largest == 0 ? uint8_t{0} : __ldg(map.code_of_point + point);
  }
  return largest;
}

/// Block b of a tensor, by one warp.
__device__ inline void update_block(const Constants& c, float scale, const Entry& e, int64_t b, int lane) {
  const int64_t at = b * kBlock;
  const int n = static_cast<int>(min(int64_t{kBlock}, e.size - at));
  const bool whole = e.aligned && n == kBlock;
  float p[kEach], g[kEach], m[kEach], v[kEach];
  uint8_t m_codes[kEach], v_codes[kEach];
  load(e.p + at, lane, n, whole, p);
  load(e.g + at, lane, n, whole, g);
  load(e.m_codes + at, lane, n, whole, m_codes);
  load(e.v_codes + at, lane, n, whole, v_codes);
  const float m_scale = e.m_absmax[b], v_scale = e.v_absmax[b];
  for (int i = 0; i < kEach; ++i) {
    const float gradient = __fmul_rn(g[i], scale);
    m[i] = fmaf(gradient, c.one_minus_beta1, __fmul_rn(__fmul_rn(__ldg(c.first.values + m_codes[i]), m_scale), c.beta1));
    v[i] = fmaf(__fmul_rn(c.one_minus_beta2, gradient), gradient, __fmul_rn(__fmul_rn(__ldg(c.second.values + v_codes[i]), v_scale), c.beta2));
    const float denominator = __fadd_rn(__fdiv_rn(__fsqrt_rn(v[i]), c.root_correction), c.eps);
    p[i] = __fadd_rn(__fmul_rn(p[i], c.decay), __fdiv_rn(__fmul_rn(c.minus_step_size, m[i]), denominator));
    if (place_of(lane, i) >= n) m[i] = v[i] = 0;  // no part of the block's maxima
  }
  store(e.p + at, lane, n, whole, p);
  const float m_largest = encode(m, c.first, m_codes), v_largest = encode(v, c.second, v_codes);
  store(e.m_codes + at, lane, n, whole, m_codes);
  store(e.v_codes + at, lane, n, whole, v_codes);
  if (lane == 0) {  // every lane has read the old ones: it has since met the others for the maxima
    e.m_absmax[b] = m_largest;
    e.v_absmax[b] = v_largest;
  }
}

__global__ void adamw8bit_update_kernel(Constants c, Clip clip, const Entry* table, int entries, int64_t pieces) {
  double factor = c.grad_scale;
  if (!clip.apply(factor)) return;  // all of them
  const float scale = static_cast<float>(factor);
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const Entry& e = entry_of(table, entries, piece);
    const int64_t first = (piece - e.first_piece) * kBlocksAPiece, behind = min(first + kBlocksAPiece, (e.size + kBlock - 1) / kBlock);
    for (int64_t b = first + warp; b < behind; b += kWarps) update_block(c, scale, e, b, lane);
  }
}

/// A map's tables, copied to each card once.
struct StoredMap {
  Tensor values, codes;
  explicit StoredMap(const DynamicMap& map)
      : values(Tensor::from(std::vector<float>(map.values.begin(), map.values.end()), {static_cast<int64_t>(map.values.size())}).on(DeviceType::cuda)),
        codes(Tensor::from(std::vector<uint8_t>(map.code_of_point.begin(), map.code_of_point.end()), {kDynamicPoints}).on(DeviceType::cuda)) {}
  Map map() const { return {values.data<float>(), codes.data<uint8_t>()}; }
};
struct FirstMap : StoredMap { FirstMap() : StoredMap(signed_dynamic_map()) {} };
struct SecondMap : StoredMap { SecondMap() : StoredMap(unsigned_dynamic_map()) {} };
Map first_map() {
  return per_card<FirstMap>([] { return new FirstMap; }).map();
}
Map second_map() {
  return per_card<SecondMap>([] { return new SecondMap; }).map();
}

Constants constants_of(const Adamw8bitUpdateArgs& a) {
  const auto f = [](double x) { return static_cast<float>(x); };
  const auto t = static_cast<double>(a.step);
  return {a.grad_scale, f(1 - a.learning_rate * a.weight_decay), f(a.beta1), f(1 - a.beta1), f(a.beta2), f(1 - a.beta2), f(-a.learning_rate / (1 - std::pow(a.beta1, t))),
          f(std::sqrt(1 - std::pow(a.beta2, t))), f(a.eps), first_map(), second_map()};
}

bool aligned(const Adamw8bitTensors& t) {
  for (const void* p : {static_cast<const void*>(t.p.raw()), t.g.raw(), static_cast<const void*>(t.m_codes.raw()), static_cast<const void*>(t.v_codes.raw())})
    if (reinterpret_cast<uintptr_t>(p) % kPackBytes != 0) return false;
  return true;
}

}  // namespace

void adamw8bit_update(Context& cx, const Adamw8bitUpdateArgs& a) {
  std::vector<Entry> table;
  int64_t pieces = 0;
  for (const Adamw8bitTensors& t : a.tensors) {
    if (t.p.size() == 0) continue;
    table.push_back({t.p.data<float>(), t.g.data<float>(), t.m_codes.data<uint8_t>(), t.v_codes.data<uint8_t>(), t.m_absmax.data<float>(), t.v_absmax.data<float>(), t.p.size(),
                     pieces, aligned(t)});
    pieces += (t.m_absmax.size() + kBlocksAPiece - 1) / kBlocksAPiece;
  }
  if (table.empty()) return;
  const Entry* entries = cx.kept<SentTables>().send(table);
  launch("adamw8bit_update", &adamw8bit_update_kernel, {blocks_for(pieces, 1)}, kThreads, 0, constants_of(a), Clip(a.clip), entries,
         static_cast<int>(table.size()), pieces);
}

}  // namespace lorikeet::cuda
