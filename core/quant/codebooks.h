/// Code tables: the values 2- to 4-bit codes stand for, the 8-bit map of scales, and the thresholds between codes.
/// Sources: NF4 as in Dettmers et al. 2023 (arXiv:2305.14314), the published 16 values; NF3 and NF2 by the same
/// construction; FP4 (E2M1 with bias 3, divided by 12) and the dynamic map (arXiv:1511.04561) as in bitsandbytes.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace lorikeet {

/// A table of 2^bits values in code order, with what encoding needs. `values` beyond 2^bits are 0.
struct Codebook {
  std::string_view name;
  int bits;
  std::array<float, 16> values;
  std::array<float, 15> thresholds;  // midpoints of neighbours in ascending order of value; 2^bits - 1 are used
  std::array<uint8_t, 16> order;     // order[k] = code of the k-th smallest value
};
const Codebook& nf4_codebook();
const Codebook& nf3_codebook();
const Codebook& nf2_codebook();
const Codebook& fp4_codebook();
/// The signed integers -(2^(bits-1)-1) .. 2^(bits-1)-1 of symmetric linear quantisation; bits 2, 3 or 4.
const Codebook& integer_codebook(int bits);
const Codebook* find_codebook(std::string_view name);

/// The signed 8-bit dynamic map of double quantisation, ascending; entry 127 is 0, the last is 1.
const std::array<float, 256>& dynamic_map();

/// Tables a coded weight decodes with. Weights made here share one per codebook; a weight read from a file may bring
/// its own.
struct CodeTables {
  std::array<float, 16> values{};
  std::array<float, 256> map{};
  bool shared = true;  // one static copy for all weights: not counted as bytes of a weight
};
std::shared_ptr<const CodeTables> shared_tables(const Codebook& codebook);

}  // namespace lorikeet
