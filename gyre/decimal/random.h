#pragma once

#include <concepts>
#include <cstdint>
#include <random>
#include <stdexcept>

#include <gyre/decimal/rational.h>

namespace gyre::decimal {

/// A whole number of `bits` random bits. `generator` must give all values of its type (std::mt19937_64).
template <std::uniform_random_bit_generator Generator>
Integer random_integer(Generator& generator, std::uint32_t bits) {
  static_assert(Generator::min() == 0, "every bit of the generator must be random");
  constexpr int kBits = std::numeric_limits<typename Generator::result_type>::digits;
  static_assert(Generator::max() == std::numeric_limits<typename Generator::result_type>::max());
  Integer result;
  for (std::uint32_t have = 0; have < bits; have += kBits) {
    result <<= kBits;
    result += static_cast<unsigned long>(generator());
  }
  mpz_fdiv_r_2exp(result.get_mpz_t(), result.get_mpz_t(), bits);
  return result;
}

/// A fraction in [low, high), drawn evenly from 2^bits of equal distance. Exact, so neither end is favoured. Throws
/// std::invalid_argument unless low < high.
template <std::uniform_random_bit_generator Generator>
Rational random_rational(Generator& generator, const Rational& low, const Rational& high, std::uint32_t bits = 64) {
  if (!(low < high)) throw std::invalid_argument("decimal::random_rational: the range is empty");
  Integer steps = 1;
  steps <<= bits;
  Rational place(random_integer(generator, bits), steps);
  place.canonicalize();
  return low + (high - low) * place;
}

}  // namespace gyre::decimal
