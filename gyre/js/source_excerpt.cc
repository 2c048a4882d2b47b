#include <algorithm>
#include <array>
#include <deque>
#include <optional>

#include <fmt/format.h>

#include <gyre/js/internal/quoted.h>
#include <gyre/js/internal/utf8.h>
#include <gyre/js/source_excerpt.h>

namespace gyre::js {
namespace {

using internal::decode_utf8;
using internal::Utf8CodePoint;

constexpr std::string_view kCut = "...";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::size_t kMinWidth = 20;
constexpr std::size_t kTabWidth = 8;  // at most; only for deciding where to cut

struct Range {
  char32_t first, last;
};

// Unicode 15, EastAsianWidth W and F, in blocks.
constexpr auto kWide = std::to_array<Range>({
    {0x1100, 0x115F},
    {0x2E80, 0x303E},
    {0x3041, 0x33FF},
    {0x3400, 0x4DBF},
    {0x4E00, 0x9FFF},
    {0xA000, 0xA4CF},
    {0xAC00, 0xD7A3},
    {0xF900, 0xFAFF},
    {0xFE30, 0xFE6F},
    {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6},
    {0x1F300, 0x1F64F},
    {0x1F680, 0x1F6FF},
    {0x1F900, 0x1F9FF},
    {0x20000, 0x3FFFD},
});

// Combining marks, joiners and variation selectors.
constexpr auto kZeroWidth = std::to_array<Range>({
    {0x0300, 0x036F},
    {0x0483, 0x0489},
    {0x0591, 0x05BD},
    {0x064B, 0x065F},
    {0x1AB0, 0x1AFF},
    {0x1DC0, 0x1DFF},
    {0x200B, 0x200D},
    {0x2060, 0x2060},
    {0x20D0, 0x20FF},
    {0xFE00, 0xFE0F},
    {0xFE20, 0xFE2F},
    {0xFEFF, 0xFEFF},
    {0xE0100, 0xE01EF},
});

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, char32_t point) {
  return std::ranges::any_of(ranges, [point](Range range) { return point >= range.first && point <= range.last; });
}

// A character as it is printed.
struct Glyph {
  std::string_view text;
  std::size_t units;  // in UTF-16
  std::size_t cells;  // on a terminal; of a tab, the most it can take
  bool is_tab() const { return text == "\t"; }
};

Glyph glyph_at(std::string_view line, std::size_t position, std::size_t* next) {
  const Utf8CodePoint point = decode_utf8(line, position);
  *next = position + point.length;
  if (point.value == '\t') return {"\t", 1, kTabWidth};
  if (!point.valid || internal::is_unprintable(point.value)) return {kReplacement, 1, 1};
  const std::size_t cells = is_in(kWide, point.value) ? 2 : is_in(kZeroWidth, point.value) ? 0 : 1;
  return {line.substr(position, point.length), point.value >= 0x10000 ? 2u : 1u, cells};
}

// The length of the line terminator at `position`, or 0.
std::size_t terminator_length(std::string_view source, std::size_t position) {
  const std::string_view rest = source.substr(position);
  if (rest.starts_with("\r\n")) return 2;
  if (rest.starts_with('\n') || rest.starts_with('\r')) return 1;
  return rest.starts_with("\xE2\x80\xA8") || rest.starts_with("\xE2\x80\xA9") ? 3 : 0;
}

std::optional<std::string_view> find_line(std::string_view source, std::size_t number) {
  if (number == 0) return std::nullopt;
  std::size_t start = 0;
  for (std::size_t line = 1;; ++line) {
    std::size_t end = start, terminator = 0;
    for (; end < source.size(); ++end) {
      const char c = source[end];
      if (c != '\n' && c != '\r' && c != '\xE2') continue;
      terminator = terminator_length(source, end);
      if (terminator > 0) break;
    }
    if (line == number) return source.substr(start, end - start);
    if (terminator == 0) return std::nullopt;
    start = end + terminator;
  }
}

/// The part of a line around a position, chosen to fit a width.
struct Window {
  std::deque<Glyph> before;  // up to the position
  std::deque<Glyph> after;   // from the position on
  bool is_cut_before = false;
  bool is_cut_after = false;
  std::size_t cells_before = 0;
  std::size_t cells_after = 0;

  std::size_t cells() const { return cells_before + cells_after; }
};

void drop_first(Window& window) {
  window.cells_before -= window.before.front().cells;
  window.before.pop_front();
  window.is_cut_before = true;
}

// Keeps only what can be shown: a minified line may have megabytes.
Window read_window(std::string_view line, std::size_t column, std::size_t width) {
  Window window;
  std::size_t position = 0, next = 0;
  for (std::size_t unit = 1; position < line.size(); position = next) {
    const Glyph glyph = glyph_at(line, position, &next);
    if (unit + glyph.units > column) break;
    unit += glyph.units;
    window.before.push_back(glyph);
    window.cells_before += glyph.cells;
    // Combining characters take no cells, so that the number of glyphs is bounded, too.
    while (window.cells_before > width || window.before.size() > 2 * width) drop_first(window);
  }
  for (; position < line.size(); position = next) {
    const Glyph glyph = glyph_at(line, position, &next);
    if (window.cells_after + glyph.cells > width || window.after.size() > 2 * width) {
      window.is_cut_after = true;
      break;
    }
    window.after.push_back(glyph);
    window.cells_after += glyph.cells;
  }
  return window;
}

// Cuts the window down to `width`, with about a third of it before the position.
void fit(Window& window, std::size_t width) {
  const bool fits = window.cells() <= width && !window.is_cut_before && !window.is_cut_after;
  if (fits) return;
  const std::size_t room = width - 2 * kCut.size();
  while (window.cells() > room && window.cells_after > room - room / 3) {
    window.cells_after -= window.after.back().cells;
    window.after.pop_back();
    window.is_cut_after = true;
  }
  while (window.cells() > room && !window.before.empty()) drop_first(window);
}

void append_cells(std::string& out, const Glyph& glyph) {
  if (glyph.is_tab()) {
    out += '\t';
  } else {
    out.append(glyph.cells, ' ');
  }
}

std::string heading(std::string_view file, std::size_t line) {
  return fmt::format("{}:{}\n", internal::shown(file), line);
}

}  // namespace

std::string source_excerpt(std::string_view file, std::string_view source, const SourcePosition& position,
                           const SourceExcerptOptions& options) {
  const std::optional<std::string_view> line = find_line(source, position.line);
  return line ? line_excerpt(file, *line, position, options) : heading(file, position.line);
}

std::string line_excerpt(std::string_view file, std::string_view line, const SourcePosition& position,
                         const SourceExcerptOptions& options) {
  const std::size_t width = std::max(options.max_width, kMinWidth);
  Window window = read_window(line, std::max<std::size_t>(position.column, 1), width);
  fit(window, width);

  std::string text, carets;
  if (window.is_cut_before) {
    text += kCut;
    carets.append(kCut.size(), ' ');
  }
  for (const Glyph& glyph : window.before) {
    text += glyph.text;
    append_cells(carets, glyph);
  }
  std::size_t underlined = 0;
  for (const Glyph& glyph : window.after) {
    text += glyph.text;
    if (underlined < std::max<std::size_t>(position.length, 1)) {
      carets.append(glyph.is_tab() || underlined == 0 ? 1 : glyph.cells, '^');
    }
    underlined += glyph.units;
  }
  if (window.after.empty()) carets += '^';
  if (window.is_cut_after) text += kCut;
  return fmt::format("{}{}\n{}\n", heading(file, position.line), text, carets);
}

}  // namespace gyre::js
