#include <gyre/decimal/json.h>
#include <gyre/decimal/money.h>
#include <gyre/decimal/parse.h>

int main() {
  using namespace gyre::decimal;
  const auto price = parse_rational("19.99");
  if (!price) return 1;
  const Rational third = *price / 3;
  const auto money = to_money(third);
  return money && to_string(*money).value() == "6.663333333" && to_string(third, {.places = 2}).value() == "6.66" &&
                 decode_json_rational(encode_json(third)).value() == third
             ? 0
             : 1;
}
