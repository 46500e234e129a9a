/// What turns one pre-tokenised piece into tokens.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/vocabulary.h"

namespace lorikeet {

/// A token and the bytes of the piece it covers.
struct ModelToken {
  int32_t id;
  uint32_t begin, end;
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /// Appends the tokens of `piece` (well-formed UTF-8; raw bytes to be seen through the byte alphabet when byte_mapped).
  virtual void encode(std::string_view piece, bool byte_mapped, std::vector<ModelToken>& out) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
  virtual std::string kind() const = 0;
};
using TokenModelPtr = std::unique_ptr<TokenModel>;

}  // namespace lorikeet
