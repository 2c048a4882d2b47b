#include <algorithm>

#include <gyre/decimal/format.h>

namespace gyre::decimal::internal {
namespace {

std::string value_or_throw(Result<std::string> text) {
  if (!text) throw fmt::format_error(text.error().message());
  return std::move(*text);
}

std::string scientific(const Float& value, const FormatSpecification& specification) {
  return value_or_throw(
      to_string(value, {.notation = specification.kind == 'e' ? Notation::scientific : Notation::general,
                        .places = specification.number}));
}

}  // namespace

std::string formatted(const Rational& value, const FormatSpecification& specification) {
  if (specification.kind == 'e' || specification.kind == 'g') {
    const std::size_t own =
        std::max(mpz_sizeinbase(value.get_num_mpz_t(), 2), mpz_sizeinbase(value.get_den_mpz_t(), 2));
    auto number = Float::create(value, static_cast<std::uint32_t>(std::max<std::size_t>(64, own)));
    if (!number) throw fmt::format_error(number.error().message());
    return scientific(*number, specification);
  }
  if (specification.kind == 'a') {
    return value_or_throw(
        to_string(value, {.precision = static_cast<std::uint32_t>(std::max(specification.number, 0))}));
  }
  return value_or_throw(to_string(value, {.places = specification.number}));
}

std::string formatted(const Float& value, const FormatSpecification& specification) {
  switch (specification.kind) {
    case 'e':
    case 'g':
      return scientific(value, specification);
    case 'a': {
      if (value.is_infinite()) return value_or_throw(to_string(value));
      auto exact = value.to_rational(4 * kDefaultMaxDigits);
      if (!exact) throw fmt::format_error(exact.error().message());
      const auto precision = static_cast<std::uint32_t>(std::max(specification.number, 0));
      return value_or_throw(to_string(*exact, {.precision = precision == 0 ? value.precision() : precision}));
    }
    default:
      return value_or_throw(to_string(
          value,
          {.notation = specification.kind == 'f' || specification.number >= 0 ? Notation::fixed : Notation::general,
           .places = specification.number}));
  }
}

}  // namespace gyre::decimal::internal
