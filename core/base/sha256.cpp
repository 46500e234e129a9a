#include <openssl/evp.h>

#include <array>
#include <memory>

#include "core/base/error.h"
#include "core/base/files.h"

namespace lorikeet {
namespace {

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) throw RunError("SHA-256 is not available");
  }
  void add(const void* data, size_t bytes) {
    if (EVP_DigestUpdate(context_.get(), data, bytes) != 1) throw RunError("SHA-256 failed");
  }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
    unsigned int bytes = 0;
    if (EVP_DigestFinal_ex(context_.get(), value.data(), &bytes) != 1) throw RunError("SHA-256 failed");
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (unsigned int i = 0; i < bytes; ++i) {
      out += kDigits[value[i] >> 4];
      out += kDigits[value[i] & 15];
    }
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256_of_bytes(std::span<const std::byte> bytes) {
  Digest d;
  d.add(bytes.data(), bytes.size());
  return d.hex();
}

std::string sha256_of_text(std::string_view text) { return sha256_of_bytes(std::as_bytes(std::span(text.data(), text.size()))); }

std::string sha256_of_file(const std::string& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  Digest d;
  constexpr size_t kPiece = 8u << 20;
  for (size_t at = 0; at < bytes.size(); at += kPiece) {
    d.add(bytes.data() + at, std::min(kPiece, bytes.size() - at));
    file.drop_pages();  // a hash must not hold the file in memory
  }
  return d.hex();
}

}  // namespace lorikeet
