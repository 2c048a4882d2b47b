#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>

#include <gtest/gtest.h>
#include <tests/support/process.h>

#include <gyre/decimal/float_text.h>
#include <gyre/decimal/money.h>
#include <gyre/decimal/parse.h>
#include <gyre/decimal/random.h>
#include <gyre/decimal/rational.h>

// Random results, checked by oracle.py with Python's exact numbers. GYRE_DECIMAL_CASES says how many.

namespace gyre::decimal {
namespace {

constexpr std::size_t kCasesInFile = 500'000;

constexpr std::array kRoundings = {
    std::pair{Rounding::half_even, "half_even"}, std::pair{Rounding::half_even_but_not_zero, "half_even_but_not_zero"},
    std::pair{Rounding::half_up, "half_up"},     std::pair{Rounding::half_away, "half_away"},
    std::pair{Rounding::down, "down"},           std::pair{Rounding::up, "up"},
    std::pair{Rounding::floor, "floor"},         std::pair{Rounding::ceiling, "ceiling"}};
constexpr std::array kNotations = {std::pair{Notation::fixed, "fixed"}, std::pair{Notation::scientific, "scientific"},
                                   std::pair{Notation::general, "general"}};

class Cases {
 public:
  Cases(std::uint64_t seed, const std::string& path) : random_(seed), file_(std::fopen(path.c_str(), "w")) {}

  void write(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string line = next();
      std::fwrite(line.data(), 1, line.size(), file_.get());
    }
    ASSERT_EQ(std::fflush(file_.get()), 0);
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  Integer whole(std::uint64_t most_bits) {
    return random_integer(random_, static_cast<std::uint32_t>(1 + below(most_bits)));
  }
  Rational fraction() {
    Rational value;
    const std::uint64_t most_bits = below(8) == 0 ? 1000 : below(2) == 0 ? 64 : 16;
    switch (below(4)) {
      case 0: {  // halves of decimal places: ties
        Integer power;
        mpz_ui_pow_ui(power.get_mpz_t(), 10, below(25));
        value = Rational(2 * whole(most_bits) + 1, power * 2);
        break;
      }
      case 1:  // powers of two below
        value = Rational(whole(most_bits), Integer(1) << static_cast<mp_bitcnt_t>(below(200)));
        break;
      default:
        value = Rational(whole(most_bits), whole(most_bits) + 1);
    }
    value.canonicalize();
    return below(2) == 0 ? value : Rational(-value);
  }
  static std::string text_of(const Rational& value, char separator) {
    return value.get_num().get_str() + separator + value.get_den().get_str();
  }

  std::string next() {
    switch (below(8)) {
      case 0: {
        const Rational value = fraction();
        const auto& [rounding, name] = kRoundings[below(kRoundings.size())];
        const int places = static_cast<int>(below(40)) - 20;
        return fmt::format("R {} {} {} {}\n", text_of(value, ' '), places, name,
                           text_of(round(value, places, rounding), '/'));
      }
      case 1: {
        const Rational value = fraction();
        const auto money = to_money(value);
        return fmt::format("M {} {}\n", text_of(value, ' '),
                           money ? fmt::format("{},{}", money->units, money->nanos) : "refused");
      }
      case 2:
      case 3: {
        std::uint64_t bits = random_();
        if (below(2) == 0)
          bits = std::bit_cast<std::uint64_t>(
              std::ldexp(static_cast<double>(below(1 << 20)), static_cast<int>(below(40)) - 20));
        if (!std::isfinite(std::bit_cast<double>(bits))) bits = 0;
        const auto& [notation, name] = kNotations[below(kNotations.size())];
        const int places = static_cast<int>(below(25)) - 5;
        const int asked = places < 0 ? kAutomatic : places;
        return fmt::format("D {} {} {} {}\n", bits, name, asked,
                           to_string(std::bit_cast<double>(bits), {.notation = notation, .places = asked}).value());
      }
      case 4: {
        std::string text = below(2) == 0 ? "-" : "";
        text += whole(200).get_str();
        if (below(2) == 0) text += "." + whole(100).get_str();
        if (below(2) == 0) text += fmt::format("e{}", static_cast<int>(below(200)) - 100);
        if (below(8) == 0) text = text_of(fraction(), '/');
        return fmt::format("P {} {}\n", text, text_of(parse_rational(text).value(), '/'));
      }
      default: {
        const Rational value = fraction();
        const auto& [rounding, name] = kRoundings[below(kRoundings.size())];
        const int places = below(2) == 0 ? kAutomatic : static_cast<int>(below(4) == 0 ? below(256) : below(20));
        const auto precision = static_cast<std::uint32_t>(below(3) == 0 ? 0 : 1 + below(300));
        const TextOptions options{.places = places, .precision = precision, .rounding = rounding};
        return fmt::format("T {} {} {} {} {}\n", text_of(value, ' '), places, precision, name,
                           to_string(value, options).value());
      }
    }
  }

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::mt19937_64 random_;
  std::unique_ptr<std::FILE, Close> file_;
};

TEST(Oracle, DEC_36_PythonAgrees) {
  const char* asked = std::getenv("GYRE_DECIMAL_CASES");  // NOLINT(concurrency-mt-unsafe)
  std::size_t left = asked == nullptr ? 100'000 : std::strtoull(asked, nullptr, 10);
  const std::string path = ::testing::TempDir() + "gyre_decimal_cases_" + std::to_string(std::random_device()());
  for (std::uint64_t seed = 36; left > 0; ++seed) {
    const std::size_t count = std::min(left, kCasesInFile);
    Cases(seed, path).write(count);
    const auto result =
        gyre::testing::run_process({GYRE_PYTHON, std::string(GYRE_SOURCE_DIR) + "/gyre/decimal/oracle.py", path},
                                   {.time_limit = std::chrono::minutes(10)});
    ASSERT_EQ(result.status, 0) << result.output.substr(0, 2'000) << result.errors.substr(0, 2'000);
    EXPECT_EQ(result.output, fmt::format("{} agree\n", count));
    left -= count;
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace gyre::decimal
