/// SmolLM2-135M-Instruct from its GGUF in fp32: loss and greedy continuation of 20 prompts equal to transformers
/// (tests/tools/make_smollm2_reference.py). Skips when the model was not fetched.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/json.h"
#include "core/io/model_files.h"
#include "core/ops/cpu_kernels.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

struct Prompt {
  std::string text;
  std::vector<int32_t> ids, greedy;
  double loss = 0;
};

std::vector<Prompt> read_prompts() {
  std::vector<Prompt> out;
  const Json file = read_json_file(test::data_path("smollm2/reference.json"));
  for (const Json& row : file["prompts"])
    out.push_back(
        {row["text"], row["ids"].get<std::vector<int32_t>>(), row["greedy"].get<std::vector<int32_t>>(), row["loss"]});
  return out;
}

int32_t best_token(const Tensor& logits, int64_t row) {
  const float* values = logits.row<float>(row);
  return static_cast<int32_t>(std::max_element(values, values + logits.width()) - values);
}

/// -log of the probability of `token`.
double loss_of(const Tensor& logits, int32_t token) {
  const float* values = logits.row<float>(0);
  double sum = 0;
  for (int64_t i = 0; i < logits.width(); ++i) sum += std::exp(static_cast<double>(values[i] - values[token]));
  return std::log(sum);
}

}  // namespace

class ModelSmollm2Test : public QObject {
  Q_OBJECT
  Context cx_;
  std::unique_ptr<Model> model_;
  TokenizerPtr tokenizer_;
  std::vector<Prompt> prompts_;

 private slots:
  void initTestCase() {
    register_cpu_kernels();
    const std::string path = test::default_model();
    if (path.empty()) QSKIP("the default model is not here; ./studio model fetches it");
    const ModelFilesPtr files = open_model(path);
    tokenizer_ = files->tokenizer();
    LoadOptions options;
    options.quantization = "keep";
    model_ = load_model(*files, cx_, options, {});
    prompts_ = read_prompts();
    QCOMPARE(prompts_.size(), size_t{20});
  }
  void idsEqualTheReference() {
    for (const Prompt& p : prompts_) QVERIFY2(tokenizer_->encode(p.text) == p.ids, p.text.c_str());
  }
  void lossesEqualTheReference() {
    double worst = 0;
    for (const Prompt& p : prompts_) {
      const auto n = static_cast<int32_t>(p.ids.size());
      TokenBatch batch{p.ids, std::vector<int32_t>(p.ids.size()), {0, n}, p.ids};
      std::iota(batch.positions.begin(), batch.positions.end(), 0);
      const Targets targets = target_rows(batch);
      Tape tape(cx_, false);
      const Tensor hidden = model_->forward(tape, batch, {})->value;
      const double loss =
          head_loss(cx_, model_->head(), hidden, targets, false, 0).loss_sum / static_cast<double>(targets.count());
      worst = std::max(worst, std::abs(loss - p.loss));
    }
    qInfo("largest difference of a loss: %g", worst);
    QVERIFY2(worst < 1e-4, qPrintable(QString::number(worst)));
  }
  // All prompts at once, as generation runs them.
  void greedyContinuationsEqualTheReference() {
    std::vector<KvCache> caches;
    std::vector<KvCache*> pointers;
    std::vector<std::vector<int32_t>> fresh, made(prompts_.size());
    for (const Prompt& p : prompts_) {
      caches.push_back(model_->make_cache(static_cast<int64_t>(p.ids.size() + p.greedy.size())));
      fresh.push_back(p.ids);
    }
    for (KvCache& c : caches) pointers.push_back(&c);
    for (size_t step = 0; step < prompts_[0].greedy.size(); ++step) {
      const Tensor logits = logits_of(cx_, *model_, model_->forward_cached(cx_, fresh, pointers));
      for (size_t i = 0; i < prompts_.size(); ++i) {
        made[i].push_back(best_token(logits, static_cast<int64_t>(i)));
        fresh[i] = {made[i].back()};
      }
    }
    for (size_t i = 0; i < prompts_.size(); ++i) QVERIFY2(made[i] == prompts_[i].greedy, prompts_[i].text.c_str());
  }
  // All texts as one of 890 tokens, a token at a time: what the caches' rounding costs over a long context.
  void roundedCachesHardlyChangeTheLoss() {
    std::vector<int32_t> text;
    for (const Prompt& p : prompts_) {
      text.insert(text.end(), p.ids.begin(), p.ids.end());
      text.insert(text.end(), p.greedy.begin(), p.greedy.end());
    }
    const auto mean_loss = [&](DType type) {
      KvCache cache = model_->make_cache(static_cast<int64_t>(text.size()), type);
      double sum = 0;
      for (size_t i = 0; i + 1 < text.size(); ++i) sum += loss_of(logits_of(cx_, *model_, model_->forward_cached(cx_, {{text[i]}}, {&cache})), text[i + 1]);
      return sum / static_cast<double>(text.size() - 1);
    };
    const double exact = mean_loss(DType::f32);
    for (const auto& [type, bound] : {std::pair{DType::bf16, 2e-3}, std::pair{DType::i8, 5e-3}}) {
      const double loss = mean_loss(type);
      qInfo("mean loss %.5f with a cache in f32, %+.5f in %s", exact, loss - exact, dtype_name(type).data());
      QVERIFY2(std::abs(loss - exact) < bound, qPrintable(QString::number(loss - exact)));
    }
  }
};

LORIKEET_TEST_MAIN(ModelSmollm2Test)
#include "model_smollm2_test.moc"
