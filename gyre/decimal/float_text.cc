#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include <gyre/decimal/float_text.h>
#include <gyre/decimal/internal/layout.h>

namespace gyre::decimal {
namespace internal {
namespace {

bool is_scientific(const Digits& digits, Notation notation, std::int64_t plain_until) noexcept {
  if (notation != Notation::general) return notation == Notation::scientific;
  return digits.exponent < kLeastPlainExponent || digits.exponent >= plain_until;
}

std::size_t exponent_size(std::int64_t exponent) noexcept {
  std::uint64_t magnitude = static_cast<std::uint64_t>(exponent < 0 ? -exponent : exponent);
  std::size_t size = 4;  // e, sign, two digits
  for (magnitude /= 100; magnitude > 0; magnitude /= 10) ++size;
  return size;
}

char* put(char* to, std::string_view text) noexcept {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}
char* put_zeros(char* to, std::int64_t count) noexcept {
  std::memset(to, '0', static_cast<std::size_t>(count));
  return to + count;
}

}  // namespace

std::size_t layout_size(const Digits& digits, Notation notation, std::int64_t plain_until) noexcept {
  const std::size_t count = digits.text.size();
  if (is_scientific(digits, notation, plain_until)) {
    return count + (count > 1 ? 1 : 0) + exponent_size(digits.exponent);
  }
  if (digits.exponent < 0) return static_cast<std::size_t>(1 - digits.exponent) + count;
  const auto whole = static_cast<std::size_t>(digits.exponent) + 1;
  return count <= whole ? whole : count + 1;
}

char* lay_out(char* to, const Digits& digits, Notation notation, std::int64_t plain_until) noexcept {
  const auto count = static_cast<std::int64_t>(digits.text.size());
  if (is_scientific(digits, notation, plain_until)) {
    *to++ = digits.text[0];
    if (count > 1) {
      *to++ = '.';
      to = put(to, digits.text.substr(1));
    }
    *to++ = 'e';
    *to++ = digits.exponent < 0 ? '-' : '+';
    const std::int64_t magnitude = digits.exponent < 0 ? -digits.exponent : digits.exponent;
    if (magnitude < 10) *to++ = '0';
    return std::to_chars(to, to + 20, magnitude).ptr;
  }
  if (digits.exponent < 0) {
    to = put(to, "0.");
    to = put_zeros(to, -digits.exponent - 1);
    return put(to, digits.text);
  }
  const std::int64_t whole = digits.exponent + 1;
  if (count <= whole) return put_zeros(put(to, digits.text), whole - count);
  to = put(to, digits.text.substr(0, static_cast<std::size_t>(whole)));
  *to++ = '.';
  return put(to, digits.text.substr(static_cast<std::size_t>(whole)));
}

namespace {

std::to_chars_result too_small(char* last) noexcept {
  return {last, std::errc::value_too_large};
}

// Shortest digits of a finite number that is not negative.
template <typename Float>
std::to_chars_result shortest(char* first, char* last, Float value, Notation notation,
                              std::int64_t plain_until) noexcept {
  std::array<char, 32> scientific;  // 17 digits, point, exponent
  const char* end =
      std::to_chars(scientific.data(), scientific.data() + scientific.size(), value, std::chars_format::scientific).ptr;
  const char* mark = std::find(scientific.data(), const_cast<char*>(end), 'e');
  int exponent = 0;
  std::from_chars(mark + (mark[1] == '+' ? 2 : 1), end, exponent);
  std::array<char, 20> digits;
  char* digits_end = digits.data();
  for (const char* c = scientific.data(); c != mark; ++c) {
    if (*c != '.') *digits_end++ = *c;
  }
  const Digits found{{digits.data(), static_cast<std::size_t>(digits_end - digits.data())}, exponent};
  if (static_cast<std::size_t>(last - first) < layout_size(found, notation, plain_until)) return too_small(last);
  return {lay_out(first, found, notation, plain_until), std::errc()};
}

template <typename Float>
std::to_chars_result write(char* first, char* last, Float value, const FloatTextOptions& options) noexcept {
  const auto put_word = [&](std::string_view word) -> std::to_chars_result {
    if (static_cast<std::size_t>(last - first) < word.size()) return too_small(last);
    return {put(first, word), std::errc()};
  };
  if (std::isnan(value)) return put_word("NaN");
  if (std::isinf(value)) return put_word(value < 0 ? "-Infinity" : "Infinity");
  if (options.places >= 0 && static_cast<std::size_t>(options.places) > options.max_digits) {
    return {last, std::errc::result_out_of_range};
  }
  if (std::signbit(value)) {
    if (first == last) return too_small(last);
    *first++ = '-';
    value = -value;
  }
  if (options.places < 0) return shortest(first, last, value, options.notation, kShortestGeneralDigits);
  const auto format = options.notation == Notation::fixed        ? std::chars_format::fixed
                      : options.notation == Notation::scientific ? std::chars_format::scientific
                                                                 : std::chars_format::general;
  // Converted exactly: it is the number that is wanted, not a nearby double.
  return std::to_chars(first, last, static_cast<double>(value), format, options.places);
}

template <typename Float>
Result<std::string> text_of(Float value, const FloatTextOptions& options) {
  std::string text;
  // Sign, 309 digits, point and exponent.
  text.resize(static_cast<std::size_t>(std::max(options.places, 0)) + 350);
  const auto [end, error] = to_chars(text.data(), text.data() + text.size(), value, options);
  if (error != std::errc()) {
    return fail(Errc::limit_exceeded, "the number may have more than {} digits; raise max_digits", options.max_digits);
  }
  text.resize(static_cast<std::size_t>(end - text.data()));
  return text;
}

}  // namespace
}  // namespace internal

std::to_chars_result to_chars(char* first, char* last, double value, const FloatTextOptions& options) noexcept {
  return internal::write(first, last, value, options);
}
std::to_chars_result to_chars(char* first, char* last, float value, const FloatTextOptions& options) noexcept {
  return internal::write(first, last, value, options);
}

Result<std::string> to_string(double value, const FloatTextOptions& options) {
  if (options.places >= 0 && static_cast<std::size_t>(options.places) > options.max_digits) {
    return fail(Errc::limit_exceeded, "{} places are more than {} digits; raise max_digits", options.places,
                options.max_digits);
  }
  return internal::text_of(value, options);
}
Result<std::string> to_string(float value, const FloatTextOptions& options) {
  if (options.places >= 0 && static_cast<std::size_t>(options.places) > options.max_digits) {
    return to_string(static_cast<double>(value), options);
  }
  return internal::text_of(value, options);
}

std::string to_json_number(double value) {
  if (std::isnan(value)) return "\"NaN\"";
  if (std::isinf(value)) return value < 0 ? "\"-Infinity\"" : "\"Infinity\"";
  const double magnitude = std::abs(value);
  const bool plain = magnitude == 0 || (magnitude >= 1e-6 && magnitude < 1e21);
  std::array<char, 64> text;
  auto end = to_chars(text.data(), text.data() + text.size(), value,
                      {.notation = plain ? Notation::fixed : Notation::scientific})
                 .ptr;
  if (!plain && end[-2] == '0' && (end[-3] == '-' || end[-3] == '+')) {
    // One digit of the exponent, where C would write two.
    end[-2] = end[-1];
    --end;
  }
  return {text.data(), end};
}

}  // namespace gyre::decimal
