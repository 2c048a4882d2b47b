// Feeds the JSON decoders of numbers. What they accept must be written and read back bit for bit.
//
//   cmake --preset fuzz && cmake --build --preset fuzz && build/fuzz/bin/decimal_json_fuzz

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <gyre/decimal/json.h>

namespace {

using namespace gyre::decimal;

constexpr ParseLimits kLimits{.max_digits = 2'000, .max_exponent = 2'000};
// Beyond, working out a text is only slow.
constexpr std::uint32_t kPrecision = 4'000;
constexpr std::int64_t kExponent = 20'000;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  if (const auto value = decode_json_rational(json, kLimits)) {
    require(decode_json_rational(encode_json(*value)).value() == *value);
  }
  if (const auto value = decode_json_float(json, kLimits)) {
    if (value->precision() > kPrecision || value->exponent() > kExponent || value->exponent() < -kExponent) return 0;
    const auto encoded = encode_json(*value);
    require(encoded.has_value());
    const auto back = decode_json_float(*encoded);
    require(back.has_value() && back->identical(*value));
  }
  const auto optional = decode_json_optional_rational(json, kLimits);
  if (optional && !*optional) require(!decode_json_optional_float(json, kLimits).value().has_value());
  return 0;
}
