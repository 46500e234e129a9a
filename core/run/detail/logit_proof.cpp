#include "core/run/detail/logit_proof.h"

#include <cmath>

#include "core/base/random.h"

namespace lorikeet::detail {
namespace {

constexpr int64_t kProbes = 4, kProbeTokens = 24;

std::vector<TokenBatch> probes_of(const ModelConfig& c) {
  std::vector<TokenBatch> out;
  RandomStream random(20260101, stream_of("export probes"));
  for (int64_t p = 0; p < kProbes; ++p) {
    TokenBatch b;
    for (int64_t t = 0; t < std::min(kProbeTokens, c.max_positions); ++t) {
      b.ids.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(c.vocab_size))));
      b.positions.push_back(static_cast<int32_t>(t));
      b.labels.push_back(-100);
    }
    b.document_starts = {0, static_cast<int32_t>(b.ids.size())};
    out.push_back(std::move(b));
  }
  return out;
}

struct Row {
  double log_sum = 0;
  int64_t top = 0;
};
Row row_of(const float* z, int64_t n) {
  Row r;
  for (int64_t i = 1; i < n; ++i)
    if (z[i] > z[r.top]) r.top = i;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(z[i]) - static_cast<double>(z[r.top]));
  r.log_sum = static_cast<double>(z[r.top]) + std::log(sum);
  return r;
}

}  // namespace

std::vector<Tensor> logits_on_probes(LoadedModel& m) {
  std::vector<Tensor> out;
  for (const auto& batch : probes_of(m.model->config())) {
    Tape tape(*m.cx, false);
    out.push_back(logits_of(*m.cx, *m.model, m.model->forward(tape, batch, {})->value));
  }
  return out;
}

Json compared_logits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double worst = 0, kl = 0;
  int64_t rows = 0, same_top = 0;
  for (size_t p = 0; p < a.size(); ++p)
    for (int64_t t = 0; t < a[p].rows(); ++t, ++rows) {
      const float *x = a[p].row<float>(t), *y = b[p].row<float>(t);
      const int64_t n = a[p].width();
      const Row rx = row_of(x, n), ry = row_of(y, n);
      same_top += rx.top == ry.top;
      for (int64_t i = 0; i < n; ++i) {
        const double d = std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i]));
        if (!(d <= worst)) worst = d;
        const double lp = static_cast<double>(x[i]) - rx.log_sum, lq = static_cast<double>(y[i]) - ry.log_sum;
        kl += std::exp(lp) * (lp - lq);
      }
    }
  const double mean_kl = kl / static_cast<double>(rows), agreement = static_cast<double>(same_top) / static_cast<double>(rows);
  const bool passed = std::isfinite(worst) && worst <= 1e-3 && mean_kl <= 1e-5 && agreement >= 0.999;
  return {{"max_abs_logit", worst}, {"mean_kl", mean_kl}, {"top1_agreement", agreement}, {"positions", rows}, {"passed", passed}};
}

}  // namespace lorikeet::detail
