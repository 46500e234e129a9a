/// A list of named parts (formats, methods, models, exporters...): explicit, in one file, no static initialisers.
#pragma once
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace lorikeet {

/// A name used twice throws when the list is built; an unknown name throws UnsupportedError and prints the known ones.
template <class T>
class Registry {
 public:
  Registry(std::string what, std::initializer_list<std::pair<std::string, T>> entries) : what_(std::move(what)) {
    for (const auto& e : entries) {
      if (find(e.first)) throw std::logic_error(what_ + " listed twice: " + e.first);
      entries_.push_back(e);
    }
  }
  const T* find(std::string_view name) const {
    for (const auto& e : entries_)
      if (e.first == name) return &e.second;
    return nullptr;
  }
  const T& get(std::string_view name) const {
    if (const T* t = find(name)) return *t;
    std::string known;
    for (const auto& e : entries_) known += (known.empty() ? "" : ", ") + e.first;
    throw UnsupportedError("unknown " + what_ + " \"" + std::string(name) + "\"; known: " + known);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& e : entries_) out.push_back(e.first);
    return out;
  }
  const std::vector<std::pair<std::string, T>>& entries() const { return entries_; }

 private:
  std::string what_;
  std::vector<std::pair<std::string, T>> entries_;
};

}  // namespace lorikeet
