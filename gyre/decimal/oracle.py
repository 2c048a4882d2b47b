"""Checks lines of results of gyre::decimal with Python's own exact numbers. Reads a file, prints how many lines agree, and
exits with 1 at the first that does not. Written from the rules in rational.h, not from the implementation."""

import math
import sys
from decimal import ROUND_DOWN, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from fractions import Fraction

# ceil and floor of multiples of log10(2) without floats: the number of digits of powers of two.
def floor_log(n):
    return len(str(1 << n)) - 1


def significant(precision):
    return 1 if precision == 0 else floor_log(precision) + 2


def automatic_places(value, precision):
    numerator, denominator = abs(value.numerator).bit_length(), value.denominator.bit_length()
    if precision == 0:
        precision = max(64, numerator, denominator)
    exponent = numerator - denominator
    digits = significant(precision)
    if exponent > 0:
        return max(0, digits - floor_log(exponent - 1))
    if exponent >= -3:
        return digits
    return digits - 1 + significant(-exponent)


def round_up(scaled, mode, places):
    """`scaled`, not negative in sign but a Fraction of its own sign, to a whole number of its magnitude."""
    magnitude = abs(scaled)
    whole = math.floor(magnitude)
    rest = magnitude - whole
    half = Fraction(1, 2)
    negative = scaled < 0
    if rest == 0:
        return whole
    away = {
        "half_even": rest > half or (rest == half and whole % 2 == 1),
        "half_even_but_not_zero": rest > half or (rest == half and (whole % 2 == 1 or (whole == 0 and places > 0))),
        "half_up": rest > half or (rest == half and not negative),
        "half_away": rest >= half,
        "down": False,
        "up": True,
        "floor": negative,
        "ceiling": not negative,
    }[mode]
    return whole + (1 if away else 0)


def text_of(value, places, precision, mode):
    automatic = places < 0
    if automatic:
        places = 0 if value.denominator == 1 else automatic_places(value, precision)
    magnitude = round_up(value * 10**places, mode, places)
    digits = str(magnitude).rjust(places + 1, "0")
    whole, fraction = (digits[:-places], digits[-places:]) if places else (digits, "")
    if automatic:
        fraction = fraction.rstrip("0")
    return ("-" if value < 0 else "") + whole + ("." + fraction if fraction else "")


DECIMAL_MODES = {
    "half_even": ROUND_HALF_EVEN,
    "half_away": ROUND_HALF_UP,
    "down": ROUND_DOWN,
    "up": ROUND_UP,
    "floor": ROUND_FLOOR,
    "ceiling": ROUND_CEILING,
}


def money_of(value):
    nanos = round(value * 10**9)  # Fraction rounds half to even
    if not -(2**63 + 1) * 10**9 < value * 10**9 < 2**63 * 10**9:
        return "refused"
    if not (-(2**63 + 1) * 10**9 + 1 <= value * 10**9 <= 2**63 * 10**9 - 1):
        return "refused"
    sign = -1 if nanos < 0 else 1
    units, rest = divmod(abs(nanos), 10**9)
    return f"{sign * units},{sign * rest}"


def check_text(numerator, denominator, places, precision, mode, found):
    value = Fraction(int(numerator), int(denominator))
    expected = text_of(value, int(places), int(precision), mode)
    if found != expected:
        return expected
    if int(places) >= 0 and mode in DECIMAL_MODES and value.denominator & (value.denominator - 1) == 0:
        # A second opinion, where the value is a finite decimal.
        context = Context(prec=5000, rounding=DECIMAL_MODES[mode])
        exact = context.divide(Decimal(value.numerator), Decimal(value.denominator))
        by_decimal = context.quantize(exact, Decimal(1).scaleb(-int(places)))
        if Fraction(by_decimal) != Fraction(found):
            return str(by_decimal)
    return None


def check_round(numerator, denominator, places, mode, found):
    value = Fraction(int(numerator), int(denominator))
    factor = Fraction(10) ** int(places)
    magnitude = round_up(value * factor, mode, int(places))
    expected = Fraction(magnitude) / factor * (-1 if value < 0 else 1)
    return None if Fraction(found) == expected else str(expected)


def check_money(numerator, denominator, found):
    expected = money_of(Fraction(int(numerator), int(denominator)))
    return None if found == expected else expected


def check_double(bits, notation, places, found):
    import struct

    value = struct.unpack("<d", struct.pack("<Q", int(bits)))[0]
    if int(places) >= 0:
        letter = {"fixed": "f", "scientific": "e", "general": "g"}[notation]
        expected = f"%.{places}{letter}" % value
        return None if found == expected else expected
    # Shortest digits as Python has them, laid out by the rules.
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    exponent += len(digits) - 1 if value else -exponent
    scientific = notation == "scientific" or (notation == "general" and (exponent < -4 or exponent >= 6))
    if scientific:
        expected = text[0] + ("." + text[1:] if len(text) > 1 else "") + f"e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    else:
        expected = f"{Decimal(text).scaleb(exponent - len(text) + 1):f}"
    expected = ("-" if sign else "") + expected
    return None if found == expected else expected


def check_parse(text, found):
    expected = Fraction(text)
    return None if Fraction(found) == expected else str(expected)


CHECKS = {"T": check_text, "R": check_round, "M": check_money, "D": check_double, "P": check_parse}


def main():
    sys.set_int_max_str_digits(0)
    count = 0
    with open(sys.argv[1], encoding="ascii") as lines:
        for line in lines:
            kind, *fields = line.split()
            expected = CHECKS[kind](*fields)
            if expected is not None:
                print(f"expected {expected}: {line}")
                return 1
            count += 1
    print(f"{count} agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
