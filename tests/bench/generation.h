/// Loading a model and writing with it: the forward pass that the product's chat uses, greedy, one sequence.
#pragma once
#include <string>

#include "core/base/json.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet::bench {

struct GenerationFigures {
  std::string quantization;           // "keep", "nf4", ...
  double load_s = 0;                  // weights read, coded and checked
  double prompt_tokens_per_s = 0;     // a prompt of 512 tokens, its last logits included
  double tokens_per_s = 0;            // 64 tokens after a prompt of 32; best of two texts
  uint64_t weight_bytes = 0, peak_bytes = 0;  // peak: resident, loading included
};
GenerationFigures measure_generation(const std::string& model, const std::string& quantization, int threads, ComputeType compute);
Json generation_to_json(const GenerationFigures& f);

}  // namespace lorikeet::bench
