/// Small random models and batches for tests of models, methods and the trainer, with no file format of the product in
/// between: fixtures made by tests/tools/*.py are read by a reader of their own.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/models/model.h"

namespace lorikeet::test {

using TensorMap = std::map<std::string, Tensor>;

/// Every tensor of a safetensors file of F32, F64 or I32 (copied).
TensorMap read_fixture(const std::string& path);
/// The "settings" object in the metadata of a fixture.
Json fixture_settings(const std::string& path);
/// A config.json as transformers writes it.
ModelConfig config_from_json(const std::string& path);
TokenBatch batch_from(const TensorMap& tensors, const std::string& prefix);

/// Weights from a map. Vectors come in `vectors`: a model computes in that type. Matrices are plain f32.
class MapSource final : public WeightSource {
 public:
  explicit MapSource(TensorMap tensors, DType vectors = DType::f32) : tensors_(std::move(tensors)), vectors_(vectors) {}
  bool has(const std::string& name) const override { return tensors_.count(name) > 0; }
  FrozenWeightPtr matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) override;
  Tensor vector(const std::string& name, int64_t size) override;
  /// Codes the block linears in this format of weight_formats() instead.
  std::string format;

 private:
  TensorMap tensors_;
  DType vectors_;
};
/// GQA, tied head; small enough for finite differences.
ModelConfig tiny_config();
TensorMap random_weights(const ModelConfig& config, uint64_t seed);
std::unique_ptr<Model> make_tiny(const ModelConfig& config, uint64_t seed, DType type = DType::f32);
/// Attaches an adapter of this rank with random A and B (also B, so that every gradient is alive) to the linears whose
/// place among the seven of a block is in `places` (all when empty).
void attach_random(Model& model, int64_t rank, uint64_t seed, DType type = DType::f32, double dropout = 0,
                   const std::vector<int>& places = {});
/// The adapter tensors in order of the linears: A, B, A, B, ...
std::vector<Var> adapter_vars(Model& model);
void clear_gradients(Model& model);
/// Documents of these lengths with random ids; about `share` of the tokens are targets, the last always.
TokenBatch random_batch(const std::vector<int>& lengths, int64_t vocabulary, uint64_t seed, double share = 0.6);
/// One document of a batch as a batch of its own, and batches one after another.
TokenBatch document(const TokenBatch& batch, size_t index);
TokenBatch concatenated(const std::vector<TokenBatch>& batches);
/// Mean loss of a batch; with `policy` also the gradients into the adapters.
double loss_of(Context& cx, Model& model, const TokenBatch& batch);
double loss_and_gradients(Context& cx, Model& model, const TokenBatch& batch, CheckpointPolicy policy,
                          uint64_t dropout_seed = 0, int64_t mlp_tile = kMlpTile);
bool same_bits(const Tensor& a, const Tensor& b);

}  // namespace lorikeet::test
