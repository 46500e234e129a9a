/// What tokenizers ask of Unicode: classes of characters, normal forms, lossy reading. The tables are ICU's.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace lorikeet {

/// The 25 characters with the property White_Space.
bool is_white_space(char32_t c);
/// Word characters: alphabetic, mark, decimal digit, connector punctuation, join control (UTS 18).
bool is_word_character(char32_t c);
/// General categories Nd, Nl, No.
bool is_numeric(char32_t c);
/// General category P*, and the ASCII symbols that tokenizers count as punctuation.
bool is_punctuation(char32_t c);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
/// True when the text is surely in this form already (so nothing needs to be copied).
bool is_normalized(std::string_view text, NormalForm form);
/// Calls piece(source_begin, source_end, normalised) for the smallest stretches that can be normalised apart, in order.
void normalize_by_stretch(std::string_view text, NormalForm form,
                          const std::function<void(size_t, size_t, std::string_view)>& piece);
/// Full lower case of one character (language independent).
std::string lower_of(char32_t c);

enum class LetterCase { upper, lower, title };
/// Full case mapping of a text, language independent; title maps every character to its title form.
std::string change_case(std::string_view text, LetterCase to);
bool is_cased(char32_t c);
bool is_letter(char32_t c);
/// What Python prints as it is in repr(): not a control, format, surrogate, private, unassigned or odd space character.
bool is_printable(char32_t c);

/// Calls piece(begin, end, ok) for stretches of well-formed UTF-8 (ok) and for each ill-formed sequence: the maximal
/// subpart that Unicode recommends to replace by one U+FFFD.
void walk_utf8(std::string_view text, const std::function<void(size_t, size_t, bool)>& piece);
/// Each maximal ill-formed subpart becomes one U+FFFD (as Python and Rust decode).
std::string utf8_replaced(std::string_view text);

}  // namespace lorikeet
