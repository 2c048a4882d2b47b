#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/js/source_excerpt.h>

namespace gyre::js {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string excerpt(std::string_view source, std::size_t line, std::size_t column, std::size_t length = 1) {
  return source_excerpt("/a.js", source, {.line = line, .column = column, .length = length});
}

struct Lines {
  std::string head, text, carets;
};

Lines split(const std::string& excerpt) {
  const auto first = excerpt.find('\n');
  const auto second = excerpt.find('\n', first + 1);
  EXPECT_EQ(excerpt.back(), '\n');
  return {excerpt.substr(0, first), excerpt.substr(first + 1, second - first - 1),
          excerpt.substr(second + 1, excerpt.size() - second - 2)};
}

struct ExcerptCase {
  std::string name;
  std::string source;
  SourcePosition position;
  std::string expected;
};

TEST(SourceExcerpt, ShowsTheLineAndPutsTheCaretUnderTheCharacter) {
  const ExcerptCase cases[] = {
      {"first character", "let x = ;", {1, 1}, "/a.js:1\nlet x = ;\n^\n"},
      {"in the middle", "let x = ;", {1, 9}, "/a.js:1\nlet x = ;\n        ^\n"},
      {"a range", "  retrun 42;", {1, 3, 6}, "/a.js:1\n  retrun 42;\n  ^^^^^^\n"},
      {"a range past the end", "ab", {1, 2, 50}, "/a.js:1\nab\n ^\n"},
      {"length zero counts as one", "ab", {1, 1, 0}, "/a.js:1\nab\n^\n"},
      {"column zero counts as one", "ab", {1, 0}, "/a.js:1\nab\n^\n"},
      {"end of line", "ab", {1, 3}, "/a.js:1\nab\n  ^\n"},
      {"past the end of line", "ab\ncd", {1, 99}, "/a.js:1\nab\n  ^\n"},
      {"second line", "a\nbc\nd", {2, 2}, "/a.js:2\nbc\n ^\n"},
      {"last line", "a\nbc\nd", {3, 1}, "/a.js:3\nd\n^\n"},
      {"empty line", "a\n\nb", {2, 1}, "/a.js:2\n\n^\n"},
      {"line after the last terminator", "a\n", {2, 1}, "/a.js:2\n\n^\n"},
      {"empty source", "", {1, 1}, "/a.js:1\n\n^\n"},
      {"CR LF", "a\r\nb\r\nc", {2, 1}, "/a.js:2\nb\n^\n"},
      {"CR", "a\rb\rc", {3, 1}, "/a.js:3\nc\n^\n"},
      {"line separator", "a\u2028b\u2029c", {3, 1}, "/a.js:3\nc\n^\n"},
      {"LF CR are two", "a\n\rb", {3, 1}, "/a.js:3\nb\n^\n"},
      {"byte E2 that ends no line", "a\u2026\nb", {2, 1}, "/a.js:2\nb\n^\n"},
  };
  for (const auto& [name, source, position, expected] : cases) {
    EXPECT_EQ(source_excerpt("/a.js", source, position), expected) << name;
  }
}

TEST(SourceExcerpt, WithoutSuchALineThereIsOnlyTheHeading) {
  EXPECT_EQ(excerpt("a\nb", 3, 1), "/a.js:3\n");
  EXPECT_EQ(excerpt("a\nb", 0, 1), "/a.js:0\n");
  EXPECT_EQ(excerpt("a", static_cast<std::size_t>(-1), 1).find('\n'), 26u);
}

TEST(SourceExcerpt, ALineAloneKeepsItsNumber) {
  EXPECT_EQ(line_excerpt("/a.js", "\tx = ;", {.line = 4'000'000'000, .column = 6}),
            "/a.js:4000000000\n\tx = ;\n\t    ^\n");
  EXPECT_EQ(line_excerpt("/a.js", "a\nb", {.line = 2, .column = 1}), "/a.js:2\na\uFFFDb\n^\n");
}

TEST(SourceExcerpt, TabsBeforeTheCaretStayTabs) {
  EXPECT_EQ(excerpt("\t\tx = y;", 1, 3), "/a.js:1\n\t\tx = y;\n\t\t^\n");
  EXPECT_EQ(excerpt("a\tb\tc", 1, 5), "/a.js:1\na\tb\tc\n \t \t^\n");
  EXPECT_EQ(excerpt("\tx", 1, 1), "/a.js:1\n\tx\n^\n");
}

TEST(SourceExcerpt, ColumnsAreUtf16UnitsAndWideCharactersTakeTwoCells) {
  EXPECT_EQ(excerpt("'é' x", 1, 5), "/a.js:1\n'é' x\n    ^\n");
  EXPECT_EQ(excerpt("'漢字' x", 1, 6), "/a.js:1\n'漢字' x\n       ^\n");
  EXPECT_EQ(excerpt("'😀' x", 1, 6), "/a.js:1\n'😀' x\n     ^\n");
  EXPECT_EQ(excerpt("'😀' x", 1, 3), "/a.js:1\n'😀' x\n ^\n") << "between surrogates: at the character";
  EXPECT_EQ(excerpt("e\u0301 x", 1, 4), "/a.js:1\ne\u0301 x\n  ^\n") << "a combining mark takes no cell";
  EXPECT_EQ(excerpt("漢字", 1, 1, 2), "/a.js:1\n漢字\n^^^\n");
}

TEST(SourceExcerpt, HostileTextCannotDriveTheTerminal) {
  EXPECT_EQ(excerpt("a\x1b[31m b", 1, 3), "/a.js:1\na\uFFFD[31m b\n  ^\n");
  EXPECT_EQ(excerpt(std::string_view("a\0b", 3), 1, 3), "/a.js:1\na\uFFFDb\n  ^\n");
  EXPECT_EQ(excerpt("a\u202Eb\u2066c\u009Bd", 1, 7), "/a.js:1\na\uFFFDb\uFFFDc\uFFFDd\n      ^\n");
  EXPECT_EQ(source_excerpt("x\x1b[2J\ny", "a", {}), "x\\x1B[2J\\x0Ay:1\na\n^\n");
}

TEST(SourceExcerpt, BytesThatAreNotUtf8CountAsTheDecoderReplacesThem) {
  EXPECT_EQ(excerpt("\xFF\xFEx", 1, 3), "/a.js:1\n\uFFFD\uFFFDx\n  ^\n");
  EXPECT_EQ(excerpt("\xE6\xBCx", 1, 2), "/a.js:1\n\uFFFDx\n ^\n") << "one replacement for a truncated character";
  EXPECT_EQ(excerpt("\xED\xA0\x80x", 1, 4), "/a.js:1\n\uFFFD\uFFFD\uFFFDx\n   ^\n") << "an encoded surrogate";
  EXPECT_EQ(excerpt("\xF0\x9F\x98", 1, 1), "/a.js:1\n\uFFFD\n^\n");
  EXPECT_EQ(excerpt("x\xC0\x80", 1, 3), "/a.js:1\nx\uFFFD\uFFFD\n  ^\n");
}

TEST(SourceExcerpt, ALineOfExactlyTheWidthIsNotCut) {
  const std::string line(120, 'a');
  EXPECT_EQ(split(excerpt(line, 1, 1)).text, line);
  EXPECT_EQ(split(excerpt(line, 1, 120)).text, line);
  EXPECT_EQ(split(excerpt(line, 1, 121)).text, line);
  EXPECT_EQ(split(excerpt(line + "a", 1, 1)).text, std::string(114, 'a') + "...");
}

TEST(SourceExcerpt, LongLinesAreCutAroundTheColumn) {
  std::string line;
  for (int number = 10000; number < 12000; ++number) line += std::to_string(number) + ",";
  for (const std::size_t column : {1u, 2u, 39u, 40u, 60u, 114u, 121u, 5000u, 6001u, 11880u, 11999u, 12000u, 12001u}) {
    const Lines lines = split(excerpt("x\n" + line + "\ny", 2, column));
    EXPECT_LE(lines.text.size(), 120u) << column;
    EXPECT_GE(lines.text.size(), 70u) << column;
    const std::size_t at = lines.carets.find('^');
    ASSERT_NE(at, std::string::npos) << column;
    EXPECT_EQ(at + 1, lines.carets.size()) << column;
    if (column <= line.size()) {
      const std::string_view shown = std::string_view(lines.text).substr(at, 6);
      const std::size_t count = std::min(shown.find("..."), shown.size());
      EXPECT_EQ(shown.substr(0, count), line.substr(column - 1, count)) << column;
      EXPECT_GE(count, 1u) << column;
    }
    EXPECT_EQ(lines.text.starts_with("..."), column > 39) << column << lines.text;
    EXPECT_EQ(lines.text.ends_with("..."), column < 11900) << column << lines.text;
  }
}

TEST(SourceExcerpt, CutLinesKeepAlignmentWithTabsAndWideCharacters) {
  std::string line;
  for (int repeat = 0; repeat < 500; ++repeat) line += "漢\t😀b";
  // Five code units each: the "b" of the 300th group.
  const Lines lines = split(excerpt(line, 1, 300 * 5));
  EXPECT_THAT(lines.text, HasSubstr("..."));
  EXPECT_EQ(std::count(lines.carets.begin(), lines.carets.end(), '^'), 1);
  const auto tabs_before = std::count(lines.carets.begin(), lines.carets.end(), '\t');
  std::size_t at = 0;
  for (auto tab = tabs_before; tab > 0; --tab) at = lines.text.find('\t', at) + 1;
  EXPECT_EQ(lines.text.substr(at).substr(0, 5), "😀b") << "after the last tab: a wide character, then the caret's";
  EXPECT_TRUE(lines.carets.ends_with("\t  ^")) << lines.carets;
}

TEST(SourceExcerpt, HugeLinesAndNarrowWidthsAreHarmless) {
  const std::string huge(4'000'000, 'x');
  EXPECT_LT(excerpt(huge, 1, 2'000'000, 1'000'000).size(), 300u);
  const std::string marks = [] {
    std::string text = "e";
    for (int repeat = 0; repeat < 100'000; ++repeat) text += "\u0301";
    return text;
  }();
  EXPECT_LT(excerpt(marks, 1, 50'000).size(), 2000u) << "characters without width cannot fill the line";
  for (std::size_t width = 0; width < 40; ++width) {
    for (const std::size_t column : {1u, 7u, 50u, 99u, 200u}) {
      const std::string text =
          source_excerpt("f", std::string(100, 'a'), {.line = 1, .column = column}, {.max_width = width});
      EXPECT_LE(split(text).text.size(), std::max<std::size_t>(width, 20)) << width;
      EXPECT_THAT(split(text).carets, HasSubstr("^"));
    }
  }
}

}  // namespace
}  // namespace gyre::js
