#pragma once

#include <fmt/format.h>

#include <gyre/decimal/big_float.h>
#include <gyre/decimal/rational.h>

/// Fractions and floats in {fmt}:
///
/// | | |
/// |---|---|
/// | `{}` | automatic places; of a float the shortest general text |
/// | `{:.N}` or `{:.Nf}` | N digits after the point |
/// | `{:a}`, `{:.Pa}` | automatic places, for a float precision of P bits |
/// | `{:.Ne}`, `{:.Ng}` | scientific and general notation; a fraction is taken as a float of P = max(64, its own) bits
/// |
///
/// A text longer than the limits throws fmt::format_error.
namespace gyre::decimal::internal {

struct FormatSpecification {
  char kind = '\0';
  int number = -1;

  template <typename Context>
  constexpr auto parse(Context& context) {
    auto at = context.begin();
    const auto end = context.end();
    if (at != end && *at == '.') {
      ++at;
      if (at == end || *at < '0' || *at > '9') throw fmt::format_error("a number must follow the point");
      number = 0;
      for (; at != end && *at >= '0' && *at <= '9'; ++at) {
        if (number > 100'000'000) throw fmt::format_error("the number is too large");
        number = number * 10 + (*at - '0');
      }
    }
    if (at != end && (*at == 'f' || *at == 'e' || *at == 'g' || *at == 'a')) kind = *at++;
    if (at != end && *at != '}') throw fmt::format_error("use one of .N, .Nf, .Ne, .Ng, a, .Pa");
    return at;
  }
};

std::string formatted(const Rational& value, const FormatSpecification& specification);
std::string formatted(const Float& value, const FormatSpecification& specification);

}  // namespace gyre::decimal::internal

template <>
struct fmt::formatter<gyre::decimal::Rational> : gyre::decimal::internal::FormatSpecification {
  template <typename Context>
  auto format(const gyre::decimal::Rational& value, Context& context) const {
    return fmt::format_to(context.out(), "{}", gyre::decimal::internal::formatted(value, *this));
  }
};

template <>
struct fmt::formatter<gyre::decimal::Float> : gyre::decimal::internal::FormatSpecification {
  template <typename Context>
  auto format(const gyre::decimal::Float& value, Context& context) const {
    return fmt::format_to(context.out(), "{}", gyre::decimal::internal::formatted(value, *this));
  }
};
