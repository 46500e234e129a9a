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

/// x + o(attention(...))
Var attention_half(Tape& tape, const LlamaBlock& block, const ModelConfig& config, const BlockInputs& in, const Var& x, const AttendFn& attend) {
  const auto apply = [&](LlamaBlock::Place place, const Var& input, bool wide, const Var& residual = nullptr) {
    return linear(tape, block.linears[place], input, {.training = in.training, .dropout_seed = in.dropout_seed, .dropout_there = in.dropout_there, .wide = wide, .residual = residual});
  };
  // Where blocks are run again the norm is not kept either: most is alive while attention goes backward.
  Var a = rms_norm(tape, x, block.input_norm, config.norm_eps, {in.rows, in.policy != CheckpointPolicy::none});
  Var q = apply(LlamaBlock::q, a, true), k = apply(LlamaBlock::k, a, true);
  Var v = apply(LlamaBlock::v, a, false);
  Tape::forget(a);
  Var context = attend(tape, q, k, v);
  for (const Var& used : {q, k, v}) Tape::forget(used);
  Var middle = apply(LlamaBlock::o, context, true, x);
  Tape::forget(context);
  return middle;
}

/// middle + down(activation(gate) * up), for rows of the residual stream from `first` on.
Var mlp_half(Tape& tape, const LlamaBlock& block, const ModelConfig& config, const BlockInputs& in, const Var& middle, int64_t first) {
  const bool mlp_again = in.policy == CheckpointPolicy::mlp, again = mlp_again || in.policy == CheckpointPolicy::norms_swiglu;
  const LinearCall call{.training = in.training, .dropout_seed = in.dropout_seed, .dropout_there = in.dropout_there, .remake = mlp_again, .first_row = first};
  Var m = rms_norm(tape, middle, block.post_attention_norm, config.norm_eps, {in.rows, again});
  Var gate = linear(tape, block.linears[LlamaBlock::gate], m, call);
  Var s = gated_linear(tape, block.linears[LlamaBlock::up], m, gate, config.activation, again, call);
  Tape::forget(m);
  Tape::forget(gate);
  LinearCall last = call;
  last.remake = false;
  last.wide = true;
  last.residual = middle;
  last.result = tape.result();
  Var out = linear(tape, block.linears[LlamaBlock::down], s, last);
  Tape::forget(s);
  return out;
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
  const Var middle = attention_half(tape, block, config, in, x, attend);
  const auto mlp = [&block, &config, in](Tape& t, const Var& rows, int64_t first) { return mlp_half(t, block, config, in, rows, first); };
  const bool tiled = in.mlp_tile > 0 && middle->value.rows() > in.mlp_tile;
  Var out = tiled ? tape.checkpoint_rows(middle, in.mlp_tile, mlp, tape.result()) : mlp(tape, middle, 0);
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
