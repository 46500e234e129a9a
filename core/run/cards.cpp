// The list of cards. To add one: one line here.
#include "core/run/cards.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

/// Letters and digits alone, in lower case, without the words that all share.
std::string plain(std::string_view name) {
  std::string out;
  for (const char c : to_lower_ascii(std::string(name)))
    if (std::isalnum(static_cast<unsigned char>(c))) out += c;
  for (const std::string_view word : {"nvidia", "geforce", "rtx", "tesla", "gb"})
    for (size_t at; (at = out.find(word)) != std::string::npos;) out.erase(at, word.size());
  return out;
}

}  // namespace

const std::vector<Card>& cards() {
  static const std::vector<Card> list = {
      {"T4", 75, 15, 65, 320},
      {"RTX 2080 Ti", 75, 11, 53.8, 616},
      {"RTX 3060", 86, 12, 25.5, 360},
      {"RTX 3090", 86, 24, 71, 936},
      {"RTX 4060 Ti 16 GB", 89, 16, 44, 288},
      {"RTX 4070", 89, 12, 58, 504},
      {"RTX 4080", 89, 16, 97, 717},
      {"RTX 4090", 89, 24, 165, 1008},
      {"RTX 5070 Ti", 120, 16, 88, 896},
      {"RTX 5080", 120, 16, 113, 960},
      {"RTX 5090", 120, 32, 209, 1792},
      {"RTX A6000", 86, 48, 155, 768},
      {"RTX 6000 Ada", 89, 48, 364, 960},
      {"RTX PRO 6000", 120, 96, 500, 1792},
      {"A10", 86, 24, 125, 600},
      {"L4", 89, 24, 121, 300},
      {"L40S", 89, 48, 362, 864},
      {"A100 40 GB", 80, 40, 312, 1555},
      {"A100 80 GB", 80, 80, 312, 2039},
      {"H100 PCIe", 90, 80, 756, 2000},
      {"H100", 90, 80, 989, 3350},
      {"H200", 90, 141, 989, 4800},
      {"B200", 100, 180, 2250, 8000},
  };
  return list;
}

const Card& card_named(const std::string& name) {
  const std::string wanted = plain(name);
  const auto it = std::find_if(cards().begin(), cards().end(), [&](const Card& c) { return plain(c.name) == wanted; });
  if (it != cards().end()) return *it;
  std::string known;
  for (const Card& c : cards()) known += (known.empty() ? "" : ", ") + std::string(c.name);
  throw ConfigError("device-model", "--device-model " + printable(name, 60) + ": no card of that name is known; known are " + known);
}

}  // namespace lorikeet
