// An invoice that adds up: prices as people write them, a discount of a third, tax, and amounts rounded once, at the
// end.

#include <array>
#include <cstdio>
#include <string>

#include <gyre/decimal/json.h>
#include <gyre/decimal/money.h>
#include <gyre/decimal/parse.h>
#include <gyre/decimal/rational.h>

using gyre::decimal::Rational;

namespace {

struct Line {
  const char* what;
  const char* amount;
  const char* price;
};
constexpr std::array kLines = {
    Line{"coffee, kg", "2.5", "19.99"}, Line{"cups", "3", "4.10"},      Line{"filters", "1000", "0.0225"},
    Line{"discount", "1/3", "-9"},      Line{"mistyped", "1", "12,50"},
};

std::string euros(const Rational& value) {
  return gyre::decimal::to_string(value, {.places = 2}).value();
}

}  // namespace

int main() {
  Rational total;
  for (const Line& line : kLines) {
    const auto amount = gyre::decimal::parse_rational(line.amount);
    const auto price = gyre::decimal::parse_rational(line.price);
    if (!amount || !price) {
      const auto& error = amount ? price.error() : amount.error();
      std::printf("%-12s %s\n", line.what, error.message().c_str());
      continue;
    }
    const Rational sum = *amount * *price;
    std::printf("%-12s %8s\n", line.what, euros(sum).c_str());
    total += sum;
  }
  const Rational tax = total * Rational(19, 100);
  std::printf("%-12s %8s\n%-12s %8s\n", "tax, 19 %", euros(tax).c_str(), "to pay", euros(total + tax).c_str());

  // What another program gets: nothing is lost, or units and billionths.
  std::printf("exactly      %s\n", gyre::decimal::encode_json(total + tax).c_str());
  const auto money = gyre::decimal::to_money(total + tax);
  if (!money) return 1;
  std::printf("as money     %lld units, %d nanos\n", static_cast<long long>(money->units), money->nanos);
}
