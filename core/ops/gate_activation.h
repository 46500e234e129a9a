/// What a gated feed-forward layer passes its gate through.
#pragma once

namespace lorikeet {

enum class GateActivation {
  silu,      // x sigmoid(x)
  gelu_tanh  // x sigmoid(2 z), z = sqrt(2 / pi) (x + 0.044715 x^3): GELU by tanh (Hendrycks & Gimpel 2016, arXiv:1606.08415)
};

}  // namespace lorikeet
