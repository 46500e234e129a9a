/// Tables of figures: each row is printed as soon as it is known and kept for the JSON file.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/base/json.h"

namespace lorikeet::bench {

class Report {
 public:
  /// Starts a table. `title` heads it for people, `key` names it in JSON.
  void table(const std::string& key, const std::string& title, std::vector<std::string> columns);
  /// One row; non-finite values are left out (a dash, null). As many values as columns.
  void row(const std::string& label, const std::vector<double>& values);
  /// {key: [{"name": label, column: value, ...}]}
  const Json& json() const { return json_; }

 private:
  Json json_ = Json::object();
  std::string key_;
  std::vector<std::string> columns_;
};

/// Best seconds of one call over about `for_seconds` of calls, after one to warm up.
double best_seconds(const std::function<void()>& f, double for_seconds = 0.5);

}  // namespace lorikeet::bench
