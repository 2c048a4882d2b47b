#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/js/internal/file_url.h>
#include <gyre/js/internal/quoted.h>
#include <gyre/js/internal/utf8.h>

namespace gyre::js::internal {
namespace {

TEST(FileUrl, EncodesWhateverAUrlCannotHold) {
  // As Node 20's url.pathToFileURL spells them.
  EXPECT_EQ(file_url("/a/b.js"), "file:///a/b.js");
  EXPECT_EQ(file_url("/a b%?#\\\n\"<>`{}"), "file:///a%20b%25%3F%23%5C%0A%22%3C%3E%60%7B%7D");
  EXPECT_EQ(file_url("/\u00E9"), "file:///%C3%A9");
  EXPECT_EQ(file_url("/-_.~!$&'()*+,;=:@[]|^"), "file:///-_.%7E!$&'()*+,;=:@%5B%5D%7C%5E");
}

TEST(FileUrl, EveryByteSurvivesTheWayThereAndBack) {
  for (int value = 1; value < 256; ++value) {
    if (value == '/') continue;
    const std::string path = std::string("/x") + static_cast<char>(value) + "y";
    if (value == '\\') {
      EXPECT_FALSE(path_of_file_url(file_url(path))) << "an encoded backslash is refused everywhere";
      continue;
    }
    EXPECT_EQ(path_of_file_url(file_url(path)).value(), path) << value;
  }
}

TEST(FileUrl, ReferencesCarryTheirSuffixAndTheirDirectoryMark) {
  const auto resolve = [](std::string_view reference) {
    return resolve_file_reference(reference, "/base/dir").value();
  };
  EXPECT_EQ(resolve("a"), (FileLocation{"/base/dir/a", "", false}));
  EXPECT_EQ(resolve("a?b#c"), (FileLocation{"/base/dir/a", "?b#c", false}));
  EXPECT_EQ(resolve("a#c?b"), (FileLocation{"/base/dir/a", "#c?b", false}));
  EXPECT_EQ(resolve("?"), (FileLocation{"/base/dir", "", true}));
  EXPECT_EQ(resolve("a/"), (FileLocation{"/base/dir/a", "", true}));
  EXPECT_EQ(resolve("a/."), (FileLocation{"/base/dir/a", "", true}));
  EXPECT_EQ(resolve("a/.."), (FileLocation{"/base/dir", "", true}));
  EXPECT_EQ(resolve("../../../x"), (FileLocation{"/x", "", false}));
  EXPECT_EQ(resolve("..."), (FileLocation{"/base/dir/...", "", false}));
  EXPECT_EQ(resolve_file_reference("a", "/").value().path, "/a");
  EXPECT_EQ(resolve_file_reference("a", "/b/").value().path, "/b/a");
}

TEST(FileUrl, SchemesAreReadInLowerCase) {
  EXPECT_EQ(url_scheme("file:///x"), "file");
  EXPECT_EQ(url_scheme("FiLe:x"), "file");
  EXPECT_EQ(url_scheme("a+b-c.1:"), "a+b-c.1");
  for (const char* text : {"", ":", "a", "1a:", "./a:b", "a/b:c", "#a:b", "\u00E9:"}) EXPECT_EQ(url_scheme(text), "");
}

TEST(FileUrl, ParentsEndAtTheRoot) {
  EXPECT_EQ(parent_directory("/a/b"), "/a");
  EXPECT_EQ(parent_directory("/a"), "/");
  EXPECT_EQ(parent_directory("/"), "/");
  EXPECT_EQ(parent_directory("a"), "");
  EXPECT_EQ(parent_directory(""), "");
  EXPECT_EQ(join_path("/", "a"), "/a");
  EXPECT_EQ(join_path("/a", "b"), "/a/b");
}

TEST(FileUrl, SegmentsAreComparedInTheirPlainSpelling) {
  EXPECT_EQ(plain_segment("%2e%2E"), "..");
  EXPECT_EQ(plain_segment("NoDe%5Fm"), "node_m");
  EXPECT_EQ(plain_segment("%"), "%");
  EXPECT_EQ(plain_segment("%2"), "%2");
  EXPECT_EQ(plain_segment("%zz"), "%zz");
}

TEST(Utf8, AcceptsExactlyTheWellFormed) {
  for (const char* text :
       {"", "a", "\u0080", "\u07FF", "\u0800", "\uD7FF", "\uE000", "\uFFFF", "\U00010000", "\U0010FFFF"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const char* text : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xEF\xBF",
                           "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "a\xC3", "\xE2\x82z"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
}

TEST(Utf8, DecodesCodePoints) {
  EXPECT_EQ(decode_utf8("\u00E9", 0).value, U'\u00E9');
  EXPECT_EQ(decode_utf8("\u6F22", 0).value, U'\u6F22');
  EXPECT_EQ(decode_utf8("x\U0001F600", 1).value, U'\U0001F600');
  EXPECT_EQ(decode_utf8("\xF0\x9F\x98", 0).length, 3u) << "the longest start of a character is one replacement";
  EXPECT_EQ(decode_utf8("\xF0\x80", 0).length, 1u);
}

TEST(Quoted, EscapesWhatIsNotPrintable) {
  EXPECT_EQ(in_quotes("a\u00E9"), "'a\u00E9'");
  EXPECT_EQ(in_quotes("\n\x7F\xFF"), "'\\x0A\\x7F\\xFF'");
  EXPECT_EQ(shown(std::string(1000, 'x')), std::string(200, 'x') + "...(600 bytes)..." + std::string(200, 'x'));
  EXPECT_EQ(shown(std::string(400, 'x')), std::string(400, 'x'));
  EXPECT_LT(shown(std::string(1'000'000, '\x80')).size(), 2000u);
}

}  // namespace
}  // namespace gyre::js::internal
