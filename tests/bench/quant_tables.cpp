#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "core/quant/weight_format.h"
#include "tests/bench/ops_tables.h"
#include "tests/support/support.h"

namespace lorikeet::bench {
namespace {

constexpr int64_t kRows = 1536, kColumns = 512;  // columns: whole blocks of every stored type
constexpr int kStoredTypes = 64;                 // above the highest id of a stored type
constexpr double kSeconds = 0.1;

constexpr double kWeights = 1e-9 * static_cast<double>(kRows * kColumns);

/// Gweights/s at the level in force.
using Rate = double (*)(const FrozenWeight&);
double decode_rate(const FrozenWeight& w) {
  std::vector<float> out(static_cast<size_t>(kRows * kColumns));
  return kWeights / best_seconds([&] { w.decode_rows(0, kRows, out.data(), kColumns); }, kSeconds);
}
double one_token_rate(const FrozenWeight& w) {
  const Tensor x = test::random_tensor({1, kColumns}, 2);
  Tensor y = Tensor::zeros({1, kRows});
  const auto multiply = [&] { return w.multiply_few(cpu_level(), 0, kRows, {x.data<float>(), kColumns, 1, y.data<float>(), kRows}); };
  return multiply() ? kWeights / best_seconds(multiply, kSeconds) : std::nan("");
}

/// The weight at every level of this machine; slowest first.
std::vector<double> rates_by_level(Rate rate, const FrozenWeight& w) {
  const CpuLevel now = cpu_level();
  std::vector<double> rates;
  for (const CpuLevel level : cpu_probe().available) {
    force_cpu_level(level);
    rates.push_back(rate(w));
  }
  force_cpu_level(now);
  return rates;
}

/// Bytes whose scales, wherever a type keeps them, are small and finite.
std::vector<std::byte> block_bytes(const StoredType& t) {
  return std::vector<std::byte>(static_cast<size_t>(kRows * kColumns / t.block_elements * t.block_bytes), std::byte{0x2c});
}

/// One row a format and a stored type.
void table_by_level(Report& report, const std::string& key, const std::string& title, Rate rate) {
  std::vector<std::string> levels;
  for (const CpuLevel level : cpu_probe().available) levels.emplace_back(cpu_level_name(level));
  report.table(key, title, levels);
  Context cx(1);
  const Tensor w = test::random_tensor({kRows, kColumns}, 1);
  for (const auto& name : weight_formats().names())
    report.row(std::string(name), rates_by_level(rate, *weight_formats().get(name)->encode(cx, w.data<float>(), kRows, kColumns, {})));
  for (int type = 0; type < kStoredTypes; ++type) {
    const StoredType* t = stored_type(type);
    if (!t || !t->readable || kColumns % t->block_elements != 0) continue;
    const auto bytes = block_bytes(*t);
    report.row(std::string(t->name), rates_by_level(rate, *stored_weight(type, bytes, kRows, kColumns, nullptr)));
  }
}

}  // namespace

void decode_table(Report& report) { table_by_level(report, "decode", "decoding by level, one thread (Gweights/s)", decode_rate); }
void one_token_formats_table(Report& report) {
  table_by_level(report, "one_token_formats", "one token times a weight as stored, by level, one thread (Gweights/s; none: decoded first)", one_token_rate);
}

void encode_table(Report& report, Context& cx) {
  report.table("encode", fmt::format("coding, {} threads", cx.threads()), {"Gweights/s"});
  const Tensor w = test::random_tensor({kRows, kColumns}, 1);
  for (const auto& name : weight_formats().names()) {
    const WeightFormat& format = *weight_formats().get(name);
    const double s = best_seconds([&] { format.encode(cx, w.data<float>(), kRows, kColumns, {}); }, kSeconds);
    report.row(std::string(name), {static_cast<double>(kRows * kColumns) / s * 1e-9});
  }
}

}  // namespace lorikeet::bench
