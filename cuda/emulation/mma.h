/// device/mma.cuh on the host: lanes hand each other what they hold, and each works out its own part of the result.
#pragma once
#include "cuda/device/kernel.cuh"

namespace lorikeet::cuda {
namespace emulation {

/// What a lane holds of A and B.
struct MmaOperands {
  uint32_t a[4], b[2];
};

/// Element (row, k) of A and (k, column) of B as the PTX ISA lays them out; k < 16, or < 8.
inline uint16_t a_element(const char* slots, int row, int k) {
  const auto from = of_lane<MmaOperands>(slots, static_cast<unsigned>(row % 8 * 4 + k % 8 / 2));
  return static_cast<uint16_t>(from.a[row / 8 + k / 8 * 2] >> k % 2 * 16);
}
inline uint16_t b_element(const char* slots, int k, int column) {
  const auto from = of_lane<MmaOperands>(slots, static_cast<unsigned>(column * 4 + k % 8 / 2));
  return static_cast<uint16_t>(from.b[k / 8] >> k % 2 * 16);
}

/// T: what a 16-bit element is.
template <class T, int kDepth>
void mma(float (&c)[4], const MmaOperands& mine, const char* operation, Place place) {
  const char* slots = exchange(0xffffffffu, &mine, sizeof mine, operation, place);
  const int g = static_cast<int>(lane()) / 4, t = static_cast<int>(lane()) % 4;
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, column = 2 * t + i % 2;
    float sum = c[i];
    for (int k = 0; k < kDepth; ++k) sum += f32(T{a_element(slots, row, k)}) * f32(T{b_element(slots, k, column)});
    c[i] = sum;
  }
}

struct MatrixRow {
  uint16_t v[8];
};
/// Each lane reads the row it names and hands it to all.
template <class T>
const char* matrix_rows(const Shared<T>& from, int at, const char* operation, Place place) {
  static_assert(sizeof(T) == 2);
  const size_t byte = from.place(at);
  if (byte % 16 != 0) fail(std::string(operation) + " of a row that does not start on 16 bytes");
  touch_shared(byte, sizeof(MatrixRow), false);
  MatrixRow row;
  std::memcpy(&row, shared_memory() + byte, sizeof row);
  return exchange(0xffffffffu, &row, sizeof row, operation, place);
}
inline uint32_t matrix_pair(const char* slots, int matrix, int row0, int column0, int row1, int column1) {
  const auto first = of_lane<MatrixRow>(slots, static_cast<unsigned>(matrix * 8 + row0)), second = of_lane<MatrixRow>(slots, static_cast<unsigned>(matrix * 8 + row1));
  return static_cast<uint32_t>(first.v[column0]) | static_cast<uint32_t>(second.v[column1]) << 16;
}

}  // namespace emulation

inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, emulation::Place place = emulation::Place::current()) {
  emulation::mma<Bf16, 16>(c, {{a[0], a[1], a[2], a[3]}, {b0, b1}}, "mma.m16n8k16", place);
}
inline void mma_f16(float (&c)[4], const uint32_t (&a)[2], uint32_t b0, emulation::Place place = emulation::Place::current()) {
  emulation::mma<Half, 8>(c, {{a[0], a[1], 0, 0}, {b0, 0}}, "mma.m16n8k8", place);
}
inline void mma_f16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, emulation::Place place = emulation::Place::current()) {
  mma_f16(c, {a[0], a[1]}, b0, place);
  mma_f16(c, {a[2], a[3]}, b1, place);
}

template <class T>
void load_matrices(uint32_t (&r)[4], const Shared<T>& from, int at, emulation::Place place = emulation::Place::current()) {
  const char* slots = emulation::matrix_rows(from, at, "ldmatrix", place);
  const int g = static_cast<int>(emulation::lane()) / 4, t = static_cast<int>(emulation::lane()) % 4;
  for (int j = 0; j < 4; ++j) r[j] = emulation::matrix_pair(slots, j, g, 2 * t, g, 2 * t + 1);
}
template <class T>
void load_matrices_turned(uint32_t (&r)[4], const Shared<T>& from, int at, emulation::Place place = emulation::Place::current()) {
  const char* slots = emulation::matrix_rows(from, at, "ldmatrix.trans", place);
  const int g = static_cast<int>(emulation::lane()) / 4, t = static_cast<int>(emulation::lane()) % 4;
  for (int j = 0; j < 4; ++j) r[j] = emulation::matrix_pair(slots, j, 2 * t, g, 2 * t + 1, g);
}

}  // namespace lorikeet::cuda
