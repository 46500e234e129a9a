#include "tests/bench/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "core/base/system.h"

namespace lorikeet::bench {

void Report::table(const std::string& key, const std::string& title, std::vector<std::string> columns) {
  key_ = key;
  columns_ = std::move(columns);
  json_[key_] = Json::array();
  fmt::print("\n{}\n  {:<24}", title, "");
  for (const auto& c : columns_) fmt::print(" {:>15}", c);
  fmt::print("\n");
}

void Report::row(const std::string& label, const std::vector<double>& values) {
  Json kept = {{"name", label}};
  fmt::print("  {:<24}", label);
  for (size_t i = 0; i < columns_.size(); ++i) {
    const bool known = std::isfinite(values.at(i));
    kept[columns_[i]] = known ? Json(values[i]) : Json();
    if (known) fmt::print(" {:>15.3f}", values[i]);
    else fmt::print(" {:>15}", "-");
  }
  fmt::print("\n");
  std::fflush(stdout);
  json_[key_].push_back(kept);
}

double best_seconds(const std::function<void()>& f, double for_seconds) {
  f();
  double best = 1e30;
  const double end = monotonic_seconds() + for_seconds;
  for (int i = 0; i < 5 || monotonic_seconds() < end; ++i) {
    const double begin = monotonic_seconds();
    f();
    best = std::min(best, monotonic_seconds() - begin);
  }
  return best;
}

}  // namespace lorikeet::bench
