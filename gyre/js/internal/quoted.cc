#include <fmt/format.h>

#include <gyre/js/internal/quoted.h>
#include <gyre/js/internal/utf8.h>

namespace gyre::js::internal {
namespace {

constexpr std::size_t kMaxShown = 400;

void append_shown(std::string& out, std::string_view text) {
  for (std::size_t position = 0; position < text.size();) {
    const Utf8CodePoint point = decode_utf8(text, position);
    const std::string_view bytes = text.substr(position, point.length);
    position += point.length;
    if (point.valid && !is_unprintable(point.value)) {
      out += bytes;
      continue;
    }
    for (const char byte : bytes) out += fmt::format("\\x{:02X}", static_cast<unsigned char>(byte));
  }
}

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

}  // namespace

std::string shown(std::string_view text) {
  std::string result;
  if (text.size() <= kMaxShown) {
    append_shown(result, text);
    return result;
  }
  std::size_t head = kMaxShown / 2, tail = text.size() - kMaxShown / 2;
  for (int step = 0; step < 3 && is_continuation(text[head]); ++step) --head;
  for (int step = 0; step < 3 && is_continuation(text[tail]); ++step) ++tail;
  append_shown(result, text.substr(0, head));
  result += fmt::format("...({} bytes)...", tail - head);
  append_shown(result, text.substr(tail));
  return result;
}

std::string in_quotes(std::string_view text) {
  return fmt::format("'{}'", shown(text));
}

}  // namespace gyre::js::internal
