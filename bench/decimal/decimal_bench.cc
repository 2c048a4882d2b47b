// What a number's text costs, beside MPFR, Boost.Multiprecision, std::to_chars, and GMP's own share of the work.
//
//   build/bench/bin/bench_decimal

#include <charconv>
#include <cstdlib>
#include <string>

#include <benchmark/benchmark.h>

#include <gyre/decimal/big_float.h>
#include <gyre/decimal/float_text.h>
#include <gyre/decimal/json.h>
#include <gyre/decimal/parse.h>
#include <gyre/decimal/rational.h>

#ifdef BENCH_WITH_MPFR
#include <mpfr.h>
#endif
#ifdef BENCH_WITH_BOOST
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/cpp_int.hpp>
#endif

namespace {

namespace decimal = gyre::decimal;
using decimal::Integer;
using decimal::Rational;

struct Case {
  const char* name;
  const char* value;
  int places;               // -1: automatic
  std::uint32_t precision;  // of automatic places
};
constexpr Case kCases[] = {
    {"small", "12345/67", 9, 0},
    {"money", "-498062012293483975849/1000000000", 9, 0},
    {"repeating", "1/3", decimal::kAutomatic, 53},
    {"large", "123456789012345678901234567890123456789/98765432109876543210987654321", 40, 0},
    {"1000_places", "1/7", 1000, 0},
    {"210407_bits", "12345678901234567891/1234567890123456789", decimal::kAutomatic, 210'407},
};

std::int64_t places_of(const Case& each, const Rational& value) {
  return each.places >= 0 ? each.places : decimal::automatic_places(value, each.precision);
}

void FractionGyre(benchmark::State& state) {
  const Case& each = kCases[state.range(0)];
  const Rational value = decimal::parse_rational(each.value).value();
  std::string room(200'000, '\0');
  for (auto _ : state) {
    benchmark::DoNotOptimize(decimal::to_chars(room.data(), room.data() + room.size(), value,
                                               {.places = each.places, .precision = each.precision}));
  }
  state.SetLabel(each.name);
}
BENCHMARK(FractionGyre)->DenseRange(0, std::size(kCases) - 1);

// The multiplication, division and conversion that cannot be avoided: no rounding, no point, no sign.
void FractionGmpAlone(benchmark::State& state) {
  const Case& each = kCases[state.range(0)];
  const Rational value = decimal::parse_rational(each.value).value();
  const auto places = static_cast<unsigned long>(places_of(each, value));
  std::string room(200'000, '\0');
  for (auto _ : state) {
    Integer power;
    mpz_ui_pow_ui(power.get_mpz_t(), 10, places);
    Integer scaled = value.get_num() * power;
    Integer quotient;
    Integer rest;
    mpz_tdiv_qr(quotient.get_mpz_t(), rest.get_mpz_t(), scaled.get_mpz_t(), value.get_den_mpz_t());
    benchmark::DoNotOptimize(mpz_get_str(room.data(), 10, quotient.get_mpz_t()));
  }
  state.SetLabel(each.name);
}
BENCHMARK(FractionGmpAlone)->DenseRange(0, std::size(kCases) - 1);

#ifdef BENCH_WITH_MPFR
// The fraction as a float of the precision that so many digits need, then its text: rounded twice.
void FractionMpfr(benchmark::State& state) {
  const Case& each = kCases[state.range(0)];
  const Rational value = decimal::parse_rational(each.value).value();
  const std::int64_t places = places_of(each, value);
  const auto bits = static_cast<mpfr_prec_t>(static_cast<double>(places) * 3.33 + 128);
  std::string room(200'000, '\0');
  for (auto _ : state) {
    mpfr_t number;
    mpfr_init2(number, bits);
    mpfr_set_q(number, value.get_mpq_t(), MPFR_RNDN);
    benchmark::DoNotOptimize(mpfr_snprintf(room.data(), room.size(), "%.*Rf", static_cast<int>(places), number));
    mpfr_clear(number);
  }
  state.SetLabel(each.name);
}
BENCHMARK(FractionMpfr)->DenseRange(0, std::size(kCases) - 1);
#endif

#ifdef BENCH_WITH_BOOST
// The same steps as ours, on Boost's whole numbers.
void FractionBoost(benchmark::State& state) {
  namespace mp = boost::multiprecision;
  const Case& each = kCases[state.range(0)];
  const Rational value = decimal::parse_rational(each.value).value();
  const mp::cpp_int numerator(value.get_num().get_str());
  const mp::cpp_int denominator(value.get_den().get_str());
  const auto places = static_cast<unsigned>(places_of(each, value));
  for (auto _ : state) {
    const mp::cpp_int scaled = numerator * mp::pow(mp::cpp_int(10), places);
    mp::cpp_int digits;
    mp::cpp_int rest;
    mp::divide_qr(scaled, denominator, digits, rest);
    rest *= 2;
    if (abs(rest) > denominator) ++digits;
    std::string text = digits.str();
    benchmark::DoNotOptimize(text.data());
  }
  state.SetLabel(each.name);
}
BENCHMARK(FractionBoost)->DenseRange(0, std::size(kCases) - 2);  // its conversion of the last one is quadratic
#endif

constexpr double kDoubles[] = {0.1,        123.456, 1e23, 5e-324, 4.37499999999999168e17, 2.2250738585072014e-308,
                               299792.458, 1e-7};

template <typename Write>
void doubles(benchmark::State& state, Write write) {
  char room[512];
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(write(room, room + sizeof(room), kDoubles[i++ % std::size(kDoubles)]));
}
void DoubleShortestGyre(benchmark::State& state) {
  doubles(state, [](char* first, char* last, double value) { return decimal::to_chars(first, last, value).ptr; });
}
BENCHMARK(DoubleShortestGyre);
void DoubleShortestToChars(benchmark::State& state) {
  doubles(state, [](char* first, char* last, double value) { return std::to_chars(first, last, value).ptr; });
}
BENCHMARK(DoubleShortestToChars);
void DoubleSixPlacesGyre(benchmark::State& state) {
  doubles(state, [](char* first, char* last, double value) {
    return decimal::to_chars(first, last, value, {.notation = decimal::Notation::fixed, .places = 6}).ptr;
  });
}
BENCHMARK(DoubleSixPlacesGyre);
void DoubleSixPlacesToChars(benchmark::State& state) {
  doubles(state, [](char* first, char* last, double value) {
    return std::to_chars(first, last, value, std::chars_format::fixed, 6).ptr;
  });
}
BENCHMARK(DoubleSixPlacesToChars);

constexpr const char* kThird = "0.333333333333333333333333333333333333333333333333333333333333333333333333333";

void FloatShortestGyre(benchmark::State& state) {
  const auto value = decimal::parse_float(kThird, 200).value();
  for (auto _ : state) benchmark::DoNotOptimize(decimal::to_string(value));
}
BENCHMARK(FloatShortestGyre);
#ifdef BENCH_WITH_MPFR
// As many digits as are enough; MPFR does not look for the fewest.
void FloatEnoughDigitsMpfr(benchmark::State& state) {
  mpfr_t number;
  mpfr_init2(number, 200);
  mpfr_set_str(number, kThird, 10, MPFR_RNDN);
  char room[512];
  for (auto _ : state) benchmark::DoNotOptimize(mpfr_snprintf(room, sizeof(room), "%.60Re", number));
  mpfr_clear(number);
}
BENCHMARK(FloatEnoughDigitsMpfr);
#endif
#ifdef BENCH_WITH_BOOST
void FloatEnoughDigitsBoost(benchmark::State& state) {
  namespace mp = boost::multiprecision;
  using Number = mp::number<mp::cpp_bin_float<200, mp::digit_base_2>>;
  const Number value(kThird);
  for (auto _ : state) benchmark::DoNotOptimize(value.str(61, std::ios_base::scientific));
}
BENCHMARK(FloatEnoughDigitsBoost);
#endif

void ParseGyre(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(decimal::parse_rational("-12345678901234567890.123456789"));
}
BENCHMARK(ParseGyre);
void JsonThereAndBackGyre(benchmark::State& state) {
  const Rational value = decimal::parse_rational("123456789/1000").value();
  for (auto _ : state) benchmark::DoNotOptimize(decimal::decode_json_rational(decimal::encode_json(value)));
}
BENCHMARK(JsonThereAndBackGyre);

}  // namespace
