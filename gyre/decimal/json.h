#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <gyre/base/error.h>
#include <gyre/decimal/big_float.h>
#include <gyre/decimal/rational.h>

/// JSON that loses nothing: what is read back has the same bits and, for floats, the same precision. The numbers of
/// JSON itself are doubles to most programs that read them, so values are strings.
namespace gyre::decimal {

/// `"41/152"`, always with a denominator; `null` if absent.
std::string encode_json(const std::optional<Rational>& value);
/// `{"value":"123.456","prec":53}`; `null` if absent. Error `limit_exceeded` for more than `kDefaultMaxDigits` digits.
Result<std::string> encode_json(const std::optional<Float>& value);

/// A string with what `parse_rational` accepts. Errors: `syntax_error` with the "position", `invalid_argument`,
/// `limit_exceeded`.
Result<Rational> decode_json_rational(std::string_view json, const ParseLimits& limits = {});
/// `null` is an absent value.
Result<std::optional<Rational>> decode_json_optional_rational(std::string_view json, const ParseLimits& limits = {});

/// An object with "value" and "prec". Without "prec", or with zero, a value that is not zero has 64 bits. Other members
/// are passed over.
Result<Float> decode_json_float(std::string_view json, const ParseLimits& limits = {});
Result<std::optional<Float>> decode_json_optional_float(std::string_view json, const ParseLimits& limits = {});

}  // namespace gyre::decimal
