/// Refusals of files are one sentence of at most 300 bytes, whoever found the fault: readers below core/io and parsers
/// of other libraries quote what they read, which may be long.
#pragma once
#include <string_view>

#include "core/base/error.h"

namespace lorikeet::detail {

constexpr size_t kLongestRefusal = 300;
/// Throws the same refusal with its message cut.
[[noreturn]] void throw_shortened(const InputError& e);

template <class F>
auto with_short_errors(const F& work) {
  try {
    return work();
  } catch (const InputError& e) {
    if (std::string_view(e.what()).size() <= kLongestRefusal) throw;
    throw_shortened(e);
  }
}

}  // namespace lorikeet::detail
