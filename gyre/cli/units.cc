#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include <gyre/cli/units.h>

namespace gyre::cli {
namespace {

__extension__ using Wide = unsigned __int128;

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr auto kDurationUnits = std::to_array<Unit>({
    {"ns", 1},
    {"us", 1'000},
    {"\u00B5s", 1'000},  // micro sign
    {"\u03BCs", 1'000},  // Greek mu, which looks the same
    {"ms", 1'000'000},
    {"s", 1'000'000'000},
    {"m", 60'000'000'000},
    {"h", 3'600'000'000'000},
    {"d", 86'400'000'000'000},
});

constexpr auto kSizeUnits = std::to_array<Unit>({
    {"", 1},
    {"b", 1},
    {"k", 1ull << 10},
    {"ki", 1ull << 10},
    {"kib", 1ull << 10},
    {"m", 1ull << 20},
    {"mi", 1ull << 20},
    {"mib", 1ull << 20},
    {"g", 1ull << 30},
    {"gi", 1ull << 30},
    {"gib", 1ull << 30},
    {"t", 1ull << 40},
    {"ti", 1ull << 40},
    {"tib", 1ull << 40},
});

constexpr std::string_view kDurationExamples = "write a duration as 50ms, 2s, 1.5s, 100us, 1m or 1h";
constexpr std::string_view kSizeExamples = "write a size as 64M, 512K, 1G, 64MiB or 1048576 (bytes)";

// 10^18 times the largest unit stays far below 2^128, and no useful value has more digits after the point.
constexpr std::size_t kMaxFractionDigits = 18;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

/// What the arguments of a program can hold, fit for a message.
std::string shown(std::string_view text) {
  constexpr std::size_t kMaxShown = 60;
  std::string result;
  for (const char c : text.substr(0, kMaxShown)) {
    const bool is_control = static_cast<unsigned char>(c) < ' ' || c == 0x7F;
    result += is_control ? '?' : c;
  }
  return text.size() > kMaxShown ? result + "..." : result;
}

const Unit* find_unit(std::span<const Unit> units, std::string_view name) {
  const auto unit = std::ranges::find(units, name, &Unit::name);
  return unit == units.end() ? nullptr : &*unit;
}

/// "12.50ms" in its parts; the fraction has no zeros at its end.
struct Quantity {
  std::string_view whole;
  std::string_view fraction;
  std::string_view unit;
};

std::optional<Quantity> split(std::string_view text) {
  Quantity parts;
  const auto take_digits = [&text] {
    const auto end = std::min(text.find_first_not_of("0123456789"), text.size());
    const std::string_view digits = text.substr(0, end);
    text.remove_prefix(end);
    return digits;
  };
  parts.whole = take_digits();
  if (parts.whole.empty()) return std::nullopt;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    parts.fraction = take_digits();
    if (parts.fraction.empty()) return std::nullopt;
    while (parts.fraction.ends_with('0')) parts.fraction.remove_suffix(1);
  }
  parts.unit = text;
  return parts;
}

enum class Amount { exact, too_large, too_fine };

// whole.fraction * factor, if that is a whole number of at most `limit`.
Amount scale(const Quantity& quantity, std::uint64_t factor, std::uint64_t limit, std::uint64_t* result) {
  Wide total = 0;
  for (const char c : quantity.whole) {
    total = total * 10 + static_cast<unsigned>(c - '0');
    if (total > limit) return Amount::too_large;
  }
  total *= factor;
  if (quantity.fraction.size() > kMaxFractionDigits) return Amount::too_fine;
  Wide numerator = 0, denominator = 1;
  for (const char c : quantity.fraction) {
    numerator = numerator * 10 + static_cast<unsigned>(c - '0');
    denominator *= 10;
  }
  if (numerator * factor % denominator != 0) return Amount::too_fine;
  total += numerator * factor / denominator;
  if (total > limit) return Amount::too_large;
  *result = static_cast<std::uint64_t>(total);
  return Amount::exact;
}

/// Why `text` is not a quantity at all.
std::unexpected<Error> not_a_number(std::string_view text, std::string_view what, std::string_view examples) {
  if (text.empty()) return fail(Errc::invalid_argument, "the {} is empty; {}", what, examples);
  const bool is_negative = text.size() > 1 && text[0] == '-' && is_digit(text[1]);
  return fail(Errc::invalid_argument, "'{}' {}; {}", shown(text),
              is_negative ? "is negative" : fmt::format("is not a {}", what), examples);
}

std::unexpected<Error> unknown_unit(std::string_view text, std::string_view unit, std::string_view examples) {
  const bool has_space = unit.find_first_of(" \t") != unit.npos;
  return fail(Errc::invalid_argument, "'{}' {}; {}", shown(text),
              has_space ? std::string("has a space in it") : fmt::format("has the unknown unit '{}'", shown(unit)),
              examples);
}

}  // namespace

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const std::optional<Quantity> quantity = split(text);
  if (!quantity) return not_a_number(text, "duration", kDurationExamples);
  const bool is_zero = quantity->whole.find_first_not_of('0') == quantity->whole.npos && quantity->fraction.empty();
  if (quantity->unit.empty()) {
    if (is_zero) return std::chrono::nanoseconds(0);
    return fail(Errc::invalid_argument, "'{}' has no unit; {}", shown(text), kDurationExamples);
  }
  const Unit* unit = find_unit(kDurationUnits, quantity->unit);
  if (unit == nullptr) {
    const Unit* meant = find_unit(kDurationUnits, lower(quantity->unit));
    if (meant == nullptr) return unknown_unit(text, quantity->unit, kDurationExamples);
    return fail(Errc::invalid_argument, "'{}' has the unknown unit '{}' (units are in lower case: '{}'); {}",
                shown(text), shown(quantity->unit), meant->name, kDurationExamples);
  }

  constexpr auto kLimit = static_cast<std::uint64_t>(std::chrono::nanoseconds::max().count());
  std::uint64_t count = 0;
  switch (scale(*quantity, unit->factor, kLimit, &count)) {
    case Amount::exact:
      break;
    case Amount::too_large:
      return fail(Errc::invalid_argument, "'{}' is too long: the longest duration is 292 years (106751d)", shown(text));
    case Amount::too_fine:
      return fail(Errc::invalid_argument, "'{}' is finer than a nanosecond", shown(text));
  }
  return std::chrono::nanoseconds(static_cast<std::chrono::nanoseconds::rep>(count));
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const std::optional<Quantity> quantity = split(text);
  if (!quantity) return not_a_number(text, "size", kSizeExamples);
  const std::string name = lower(quantity->unit);
  const Unit* unit = find_unit(kSizeUnits, name);
  if (unit == nullptr) {
    if (name == "kb" || name == "mb" || name == "gb" || name == "tb") {
      const char letter = static_cast<char>(name[0] - 'a' + 'A');
      return fail(Errc::invalid_argument, "'{}' may mean powers of 1000 or of 1024; write {}{} or {}{}iB for 1024",
                  shown(text), shown(text.substr(0, text.size() - 2)), letter, shown(text.substr(0, text.size() - 2)),
                  letter);
    }
    return unknown_unit(text, quantity->unit, kSizeExamples);
  }

  std::uint64_t bytes = 0;
  switch (scale(*quantity, unit->factor, std::numeric_limits<std::uint64_t>::max(), &bytes)) {
    case Amount::exact:
      break;
    case Amount::too_large:
      return fail(Errc::invalid_argument, "'{}' is too large: sizes go up to 2^64-1 bytes", shown(text));
    case Amount::too_fine:
      return fail(Errc::invalid_argument, "'{}' is not a whole number of bytes", shown(text));
  }
  return bytes;
}

}  // namespace gyre::cli
