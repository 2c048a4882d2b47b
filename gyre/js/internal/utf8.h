#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gyre::js::internal {

/// One code point of a UTF-8 text.
struct Utf8CodePoint {
  char32_t value;      ///< U+FFFD where the bytes are not UTF-8.
  std::size_t length;  ///< Bytes taken from the text, at least one.
  bool valid;
};

/// Reads the code point that starts at `text[position]`, which must exist. Ill-formed bytes give one U+FFFD for each
/// "maximal subpart", as the Encoding Standard's decoder does (and V8 with it), so that columns agree with V8's.
constexpr Utf8CodePoint decode_utf8(std::string_view text, std::size_t position) noexcept {
  const auto byte_at = [&](std::size_t index) -> std::uint32_t {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0u;
  };
  const std::uint32_t first = byte_at(position);
  if (first < 0x80) return {static_cast<char32_t>(first), 1, true};

  // Unicode 15, table 3-7: how many bytes follow, and the narrower range that some first bytes set for the second.
  std::size_t following = 0;
  std::uint32_t low = 0x80, high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    following = 1;
  } else if (first >= 0xE0 && first <= 0xEF) {
    following = 2;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    following = 3;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return {0xFFFD, 1, false};
  }
  std::uint32_t value = first & (0x3Fu >> following);
  for (std::size_t index = 1; index <= following; ++index) {
    const std::uint32_t byte = byte_at(position + index);
    if (byte < low || byte > high) return {0xFFFD, index, false};
    value = value << 6 | (byte & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {static_cast<char32_t>(value), following + 1, true};
}

constexpr bool is_utf8(std::string_view text) noexcept {
  for (std::size_t position = 0; position < text.size();) {
    const Utf8CodePoint point = decode_utf8(text, position);
    if (!point.valid) return false;
    position += point.length;
  }
  return true;
}

/// True for what must not reach a terminal or a log as it is: control characters, and the marks that reorder or break
/// the text around them (Unicode's bidirectional controls, line and paragraph separators).
constexpr bool is_unprintable(char32_t point) noexcept {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x061C || point == 0x200E || point == 0x200F ||
         (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

}  // namespace gyre::js::internal
