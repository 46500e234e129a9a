/// --name value and --flag of the programs in this folder, which are built where no argument library is.
#pragma once
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lorikeet::bench {

class Arguments {
 public:
  Arguments(int argc, char** argv) : given_(argv + 1, argv + argc) {}
  std::string text(const std::string& name, const std::string& otherwise) const {
    for (size_t i = 0; i < given_.size(); ++i)
      if (given_[i] == name) {
        if (i + 1 == given_.size()) throw ConfigError(name, name + " needs a value");
        return given_[i + 1];
      }
    return otherwise;
  }
  int64_t number(const std::string& name, int64_t otherwise) const {
    const std::string t = text(name, "");
    if (t.empty()) return otherwise;
    const auto n = parse_int(t);
    if (!n || *n < 0) throw ConfigError(name, name + ": " + printable(t) + " is no number");
    return *n;
  }
  bool flag(const std::string& name) const {
    for (const std::string& g : given_)
      if (g == name) return true;
    return false;
  }

 private:
  std::vector<std::string> given_;
};

}  // namespace lorikeet::bench
