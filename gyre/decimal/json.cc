#include <charconv>

#include <gyre/decimal/internal/float_access.h>
#include <gyre/decimal/json.h>

namespace gyre::decimal {
namespace {

constexpr int kMostNested = 64;

/// Reads just as much JSON as is needed here, strictly as RFC 8259 has it. The first error stays.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  bool failed() const { return error_.has_value(); }
  std::unexpected<Error> error() const { return std::unexpected(*error_); }
  std::size_t position() const { return position_; }

  void fail_expecting(std::string_view what) {
    if (failed()) return;
    error_ =
        Error(Errc::syntax_error, fmt::format("not the JSON of a number: expected {} at position {}", what, position_))
            .with("position", position_);
  }

  bool take(char c) {
    skip_space();
    if (failed() || position_ >= text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  void must_take(char c, std::string_view what) {
    if (!take(c)) fail_expecting(what);
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (failed() || !text_.substr(position_).starts_with(word)) return false;
    position_ += word.size();
    return true;
  }
  void must_end() {
    skip_space();
    if (position_ < text_.size()) fail_expecting("the end");
  }

  std::string string() {
    std::string result;
    must_take('"', "a string");
    while (!failed()) {
      if (position_ >= text_.size()) {
        fail_expecting("the end of the string");
        break;
      }
      const char c = text_[position_];
      if (c == '"') {
        ++position_;
        break;
      }
      if (static_cast<unsigned char>(c) < 0x20) {
        fail_expecting("an escape instead of a control character");
        break;
      }
      ++position_;
      if (c == '\\') {
        escape(result);
      } else {
        result += c;
      }
    }
    return result;
  }

  /// A whole number that is not negative.
  std::uint32_t number() {
    skip_space();
    std::uint32_t value = 0;
    const char* begin = text_.data() + position_;
    const char* end = text_.data() + text_.size();
    const auto [stop, error] = std::from_chars(begin, end, value);
    const bool leading_zero = stop - begin > 1 && *begin == '0';
    const bool fraction = stop < end && (*stop == '.' || *stop == 'e' || *stop == 'E');
    if (error != std::errc() || leading_zero || fraction) {
      fail_expecting("a whole number");
      return 0;
    }
    position_ += static_cast<std::size_t>(stop - begin);
    return value;
  }

  void skip_value(int depth = 0) {
    if (depth > kMostNested) return fail_expecting("fewer levels");
    skip_space();
    if (failed()) return;
    const char c = position_ < text_.size() ? text_[position_] : '\0';
    if (c == '"') {
      string();
    } else if (c == '{') {
      skip_members('{', '}', depth, true);
    } else if (c == '[') {
      skip_members('[', ']', depth, false);
    } else if (!take_word("null") && !take_word("true") && !take_word("false")) {
      skip_number();
    }
  }

 private:
  void skip_space() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\t' ||
                                        text_[position_] == '\n' || text_[position_] == '\r')) {
      ++position_;
    }
  }

  void skip_members(char open, char close, int depth, bool keys) {
    must_take(open, "a value");
    if (take(close)) return;
    do {
      if (keys) {
        string();
        must_take(':', "':'");
      }
      skip_value(depth + 1);
    } while (take(','));
    must_take(close, "',' or the end of the list");
  }

  bool skip_digits() {
    const std::size_t begin = position_;
    while (position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9') ++position_;
    return position_ > begin;
  }
  void skip_number() {
    if (position_ < text_.size() && text_[position_] == '-') ++position_;
    const std::size_t begin = position_;
    if (!skip_digits()) return fail_expecting("a value");
    if (text_[begin] == '0' && position_ - begin > 1) return fail_expecting("no leading zero");
    if (position_ < text_.size() && text_[position_] == '.') {
      ++position_;
      if (!skip_digits()) return fail_expecting("a digit");
    }
    if (position_ < text_.size() && (text_[position_] == 'e' || text_[position_] == 'E')) {
      ++position_;
      if (position_ < text_.size() && (text_[position_] == '+' || text_[position_] == '-')) ++position_;
      if (!skip_digits()) fail_expecting("a digit");
    }
  }

  // A code unit; -1 if there is none.
  int hex4() {
    unsigned value = 0;
    const char* begin = text_.data() + position_;
    if (text_.size() - position_ < 4) return -1;
    const auto [stop, error] = std::from_chars(begin, begin + 4, value, 16);
    if (error != std::errc() || stop != begin + 4) return -1;
    position_ += 4;
    return static_cast<int>(value);
  }
  void escape(std::string& to) {
    const char c = position_ < text_.size() ? text_[position_++] : '\0';
    switch (c) {
      case '"':
      case '\\':
      case '/':
        to += c;
        return;
      case 'b':
        to += '\b';
        return;
      case 'f':
        to += '\f';
        return;
      case 'n':
        to += '\n';
        return;
      case 'r':
        to += '\r';
        return;
      case 't':
        to += '\t';
        return;
      case 'u': {
        const int unit = hex4();
        if (unit < 0) return fail_expecting("four hexadecimal digits");
        // Names and numbers are ASCII; anything else only has to differ from them.
        to += unit < 0x80 ? static_cast<char>(unit) : '\x7F';
        return;
      }
      default:
        return fail_expecting("an escape");
    }
  }

  std::string_view text_;
  std::size_t position_ = 0;
  std::optional<Error> error_;
};

bool is_null(std::string_view json) {
  JsonReader reader(json);
  if (!reader.take_word("null")) return false;
  reader.must_end();
  return !reader.failed();
}

template <typename Decode>
auto decode_optional(std::string_view json, const ParseLimits& limits, Decode decode)
    -> Result<std::optional<typename decltype(decode(json, limits))::value_type>> {
  if (is_null(json)) return std::nullopt;
  auto value = decode(json, limits);
  if (!value) return std::unexpected(value.error());
  return std::move(*value);
}

}  // namespace

std::string encode_json(const std::optional<Rational>& value) {
  if (!value) return "null";
  return fmt::format("\"{}/{}\"", value->get_num().get_str(), value->get_den().get_str());
}

Result<std::string> encode_json(const std::optional<Float>& value) {
  if (!value) return "null";
  auto text = to_string(*value);
  // A double's text may name more than one number where the precision is higher than a double's.
  if (text && value->is_finite() && !value->is_zero()) {
    const auto back = parse_float(*text, value->precision());
    if (!back || !back->identical(*value)) text = internal::own_precision_text(*value, {});
  }
  if (!text) return std::unexpected(text.error());
  return fmt::format(R"({{"value":"{}","prec":{}}})", *text, value->precision());
}

Result<Rational> decode_json_rational(std::string_view json, const ParseLimits& limits) {
  JsonReader reader(json);
  const std::string text = reader.string();
  reader.must_end();
  if (reader.failed()) return reader.error();
  return parse_rational(text, limits);
}

Result<std::optional<Rational>> decode_json_optional_rational(std::string_view json, const ParseLimits& limits) {
  return decode_optional(json, limits, decode_json_rational);
}

Result<Float> decode_json_float(std::string_view json, const ParseLimits& limits) {
  JsonReader reader(json);
  std::optional<std::string> text;
  std::uint32_t precision = 0;
  reader.must_take('{', "an object");
  if (!reader.take('}')) {
    do {
      const std::string name = reader.string();
      reader.must_take(':', "':'");
      if (name == "value") {
        text = reader.string();
      } else if (name == "prec") {
        precision = reader.number();
      } else {
        reader.skip_value();
      }
    } while (!reader.failed() && reader.take(','));
    reader.must_take('}', "',' or '}'");
  }
  reader.must_end();
  if (!reader.failed() && !text) reader.fail_expecting("a member \"value\" before the end");
  if (reader.failed()) return reader.error();
  if (precision > Float::kLargestPrecision) {
    return fail(Errc::limit_exceeded, "a precision of {} bits is beyond {}", precision, Float::kLargestPrecision);
  }

  constexpr std::uint32_t kDefault = 64;
  auto value = parse_float(*text, precision == 0 ? kDefault : precision, Rounding::half_even, limits);
  if (value && precision == 0) {
    if (value->is_zero()) return Float::zero(value->is_negative());
    if (value->is_infinite()) return Float::infinity(value->is_negative());
  }
  return value;
}

Result<std::optional<Float>> decode_json_optional_float(std::string_view json, const ParseLimits& limits) {
  return decode_optional(json, limits, decode_json_float);
}

}  // namespace gyre::decimal
