/// The byte alphabet of byte-level BPE: a visible character for each of the 256 bytes (formats.md 4.4, GPT-2).
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace lorikeet {

/// UTF-8 of the character that stands for the byte.
const std::string& byte_character(unsigned char byte);
/// The text with each byte written as its character.
std::string to_byte_alphabet(std::string_view bytes);
/// Back again; nothing when a character is outside the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view text);
/// "<0xAB>" of byte fallback, upper-case hex.
std::string byte_token(unsigned char byte);
/// The byte of "<0xAB>", or nothing.
std::optional<unsigned char> byte_of_token(std::string_view token);

}  // namespace lorikeet
