/// The forward pass of a Llama block; backward comes from the tape.
#include "core/models/llama_block.h"

#include <cmath>
#include <string>

#include "core/nn/layers.h"

namespace lorikeet {
namespace {

Linear make_linear(WeightSource& source, const LinearShape& shape, bool bias) {
  FrozenWeightPtr weight = source.matrix(shape.name + ".weight", shape.rows, shape.columns, true);
  Tensor values;
  if (bias) values = source.vector(shape.name + ".bias", shape.rows);
  return Linear(shape.name, std::move(weight), std::move(values));
}

}  // namespace

LlamaBlock make_llama_block(const ModelConfig& config, int64_t layer, WeightSource& source) {
  LlamaBlock block;
  const std::string prefix = "model.layers." + std::to_string(layer);
  block.input_norm = source.vector(prefix + ".input_layernorm.weight", config.hidden_size);
  block.post_attention_norm = source.vector(prefix + ".post_attention_layernorm.weight", config.hidden_size);
  ModelConfig one = config;
  one.layers = 1;
  for (LinearShape shape : linear_shapes(one)) {
    const bool is_mlp = shape.name.find(".mlp.") != std::string::npos;
    shape.name = prefix + shape.name.substr(std::string("model.layers.0").size());
    block.linears.push_back(make_linear(source, shape, is_mlp ? config.mlp_bias : config.attention_bias));
  }
  return block;
}

Var llama_block_forward(Tape& tape, const LlamaBlock& block, const ModelConfig& config, const BlockInputs& in,
                        const Var& x, const AttendFn& attend) {
  const bool again = in.policy != CheckpointPolicy::none, mlp_again = in.policy == CheckpointPolicy::mlp;
  const RowsAs normed{in.rows, again};
  const auto call = [&](bool wide, bool remake, const Var& residual) { return LinearCall{in.training, in.dropout_seed, wide, remake, residual}; };
  const auto apply = [&](LlamaBlock::Place place, const Var& input, bool wide = false, bool remake = false, const Var& residual = nullptr) {
    return linear(tape, block.linears[place], input, call(wide, remake, residual));
  };
  Var a = rms_norm(tape, x, block.input_norm, config.norm_eps, normed);
  Var q = rope(tape, apply(LlamaBlock::q, a, true), in.positions, in.cos_sin, config.head_dim, in.rows);
  Var k = rope(tape, apply(LlamaBlock::k, a, true), in.positions, in.cos_sin, config.head_dim, in.rows);
  Var v = apply(LlamaBlock::v, a);
  Tape::forget(a);
  Var context = attend(tape, q, k, v);
  for (const Var& used : {q, k, v}) Tape::forget(used);
  Var middle = apply(LlamaBlock::o, context, true, false, x);
  Tape::forget(context);

  Var m = rms_norm(tape, middle, block.post_attention_norm, config.norm_eps, normed);
  Var gate = apply(LlamaBlock::gate, m, false, mlp_again);
  Var s = gated_linear(tape, block.linears[LlamaBlock::up], m, gate, config.activation, again, call(false, mlp_again, nullptr));
  Tape::forget(m);
  Tape::forget(gate);
  Var out = apply(LlamaBlock::down, s, true, false, middle);
  Tape::forget(s);
  Tape::forget(middle);
  return out;
}

Tensor rope_table(const ModelConfig& config, int64_t count, DType dtype) {
  const std::vector<double> frequencies = rope_inverse_frequencies(config);
  const int64_t half = config.head_dim / 2;
  Tensor table = Tensor::empty({count, config.head_dim}, dtype);
  for (int64_t p = 0; p < count; ++p)
    for (int64_t j = 0; j < half; ++j) {
      // Frequency and angle are rounded to f32 as in the reference implementation that models are trained with; at
      // positions in the thousands the rounding of the angle is visible, so being more exact would be further off.
      const float angle = static_cast<float>(p) * static_cast<float>(frequencies[static_cast<size_t>(j)]);
      const double c = std::cos(static_cast<double>(angle)), s = std::sin(static_cast<double>(angle));
      if (dtype == DType::f64) {
        table.row<double>(p)[j] = c;
        table.row<double>(p)[j + half] = s;
      } else {
        table.row<float>(p)[j] = static_cast<float>(c);
        table.row<float>(p)[j + half] = static_cast<float>(s);
      }
    }
  return table;
}

}  // namespace lorikeet
