#include <optional>
#include <vector>

#include <gyre/js/internal/file_url.h>
#include <gyre/js/internal/utf8.h>

namespace gyre::js::internal {
namespace {

constexpr std::string_view kHexDigits = "0123456789ABCDEF";

constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte that the escape at `text[position]` ("%41") stands for.
constexpr std::optional<char> escaped_byte(std::string_view text, std::size_t position) {
  if (text[position] != '%' || position + 2 >= text.size()) return std::nullopt;
  const int high = hex_value(text[position + 1]);
  const int low = hex_value(text[position + 2]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

void append_escaped(std::string& out, char byte) {
  const auto value = static_cast<unsigned char>(byte);
  out += '%';
  out += kHexDigits[value >> 4];
  out += kHexDigits[value & 15];
}

bool is_outside_printable_ascii(char c) {
  return c <= ' ' || c == 0x7F || static_cast<unsigned char>(c) >= 0x80;
}

// The URL Standard's path percent-encode set, what would be read back as something else, and what Node encodes, too.
bool needs_escape_in_path(char c) {
  return is_outside_printable_ascii(c) || std::string_view("\"#<>?`{}%\\[]^|~").find(c) != std::string_view::npos;
}

bool needs_escape_in_suffix(char c) {
  return is_outside_printable_ascii(c) || std::string_view("\"<>`").find(c) != std::string_view::npos;
}

std::unexpected<Error> invalid(std::string reason) {
  return std::unexpected(Error(Errc::invalid_argument, std::move(reason)));
}

enum class Bytes { utf8, any };

Result<std::string> decode_segment(std::string_view segment, Bytes allowed) {
  std::string decoded;
  decoded.reserve(segment.size());
  for (std::size_t position = 0; position < segment.size(); ++position) {
    char c = segment[position];
    if (c == '%') {
      const std::optional<char> byte = escaped_byte(segment, position);
      if (!byte) return invalid("it contains a '%' that is not followed by two hexadecimal digits (write '%25')");
      if (*byte == '/' || *byte == '\\') {
        return invalid(fmt::format("it contains an encoded '{}' ({})", *byte, segment.substr(position, 3)));
      }
      c = *byte;
      position += 2;
    }
    if (c == '\0') return invalid("it contains a NUL character");
    decoded += c;
  }
  if (allowed == Bytes::utf8 && !is_utf8(decoded)) return invalid("it is not valid UTF-8 text once decoded");
  return decoded;
}

// The parser's first step: space around the text and line ends and tabs inside it do not count.
std::string without_ignored(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ' && text.back() != '\0') text.remove_suffix(1);
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    if (c != '\t' && c != '\n' && c != '\r') result += c;
  }
  return result;
}

std::string encode_suffix(std::string_view query, std::string_view fragment) {
  std::string suffix;
  for (const std::string_view part : {query, fragment}) {
    if (part.size() < 2) continue;  // a lone "?" or "#" says nothing, and Node drops it
    for (const char c : part) {
      if (needs_escape_in_suffix(c)) {
        append_escaped(suffix, c);
      } else {
        suffix += c;
      }
    }
  }
  return suffix;
}

struct Reference {
  std::string_view path;
  std::string_view query;     // with its "?"
  std::string_view fragment;  // with its "#"
};

Reference split_reference(std::string_view text) {
  Reference parts;
  if (const auto at = text.find('#'); at != text.npos) {
    parts.fragment = text.substr(at);
    text = text.substr(0, at);
  }
  if (const auto at = text.find('?'); at != text.npos) {
    parts.query = text.substr(at);
    text = text.substr(0, at);
  }
  parts.path = text;
  return parts;
}

constexpr bool is_slash(char c) {
  return c == '/' || c == '\\';
}

// Takes "//host" off the front of `path`; only this host will do.
Result<> take_authority(std::string_view& path) {
  if (path.size() < 2 || !is_slash(path[0]) || !is_slash(path[1])) return {};
  path.remove_prefix(2);
  std::size_t end = 0;
  while (end < path.size() && !is_slash(path[end])) ++end;
  const std::string_view host = path.substr(0, end);
  if (!host.empty() && plain_segment(host) != "localhost") {
    return invalid("it names another host, and modules are local files");
  }
  path.remove_prefix(end);
  return {};
}

Result<> append_segment(FileLocation& location, std::string_view segment, Bytes allowed) {
  constexpr std::size_t kLongestDots = 6;  // "%2e%2e"
  const std::string plain = segment.size() <= kLongestDots ? plain_segment(segment) : std::string();
  location.names_directory = segment.empty() || plain == "." || plain == "..";
  if (segment.empty() || plain == ".") return {};
  if (plain == "..") {
    location.path = std::string(parent_directory(location.path));
    return {};
  }
  Result<std::string> decoded = decode_segment(segment, allowed);
  if (!decoded) return std::unexpected(std::move(decoded).error());
  location.path = join_path(location.path, *decoded);
  return {};
}

Result<FileLocation> resolve(std::string_view raw, std::string_view base, Bytes allowed) {
  if (allowed == Bytes::utf8 && !is_utf8(raw)) return invalid("it is not valid UTF-8");
  const std::string text = without_ignored(raw);
  Reference parts = split_reference(text);
  const bool absolute = !parts.path.empty() && is_slash(parts.path[0]);
  if (Result<> local = take_authority(parts.path); !local) return std::unexpected(std::move(local).error());

  FileLocation location{std::string(absolute ? "/" : base), encode_suffix(parts.query, parts.fragment), false};
  while (location.path.size() > 1 && location.path.back() == '/') location.path.pop_back();
  for (std::size_t start = 0, end = 0; start <= parts.path.size(); start = end + 1) {
    end = start;
    while (end < parts.path.size() && !is_slash(parts.path[end])) ++end;
    Result<> appended = append_segment(location, parts.path.substr(start, end - start), allowed);
    if (!appended) return std::unexpected(std::move(appended).error());
  }
  return location;
}

Result<FileLocation> parse(std::string_view url, Bytes allowed) {
  if (url_scheme(url) != "file") return invalid("it is not a file: URL");
  return resolve(url.substr(url.find(':') + 1), "/", allowed);
}

}  // namespace

Result<FileLocation> resolve_file_reference(std::string_view reference, std::string_view base) {
  return resolve(reference, base, Bytes::utf8);
}

Result<FileLocation> parse_file_url(std::string_view url) {
  return parse(url, Bytes::utf8);
}

Result<std::string> path_of_file_url(std::string_view url) {
  Result<FileLocation> location = parse(url, Bytes::any);
  if (!location) return std::unexpected(std::move(location).error());
  return std::move(location->path);
}

std::string file_url(std::string_view path) {
  std::string url = "file://";
  url.reserve(url.size() + path.size());
  for (const char c : path) {
    if (needs_escape_in_path(c)) {
      append_escaped(url, c);
    } else {
      url += c;
    }
  }
  return url;
}

std::string url_scheme(std::string_view text) {
  if (text.empty() || !is_letter(text[0])) return {};
  std::string scheme;
  for (const char c : text) {
    if (c == ':') return scheme;
    if (!is_letter(c) && !is_digit(c) && c != '+' && c != '-' && c != '.') return {};
    scheme += to_lower(c);
  }
  return {};
}

std::string_view parent_directory(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == path.npos || slash == 0 ? path.substr(0, slash == 0 ? 1 : 0) : path.substr(0, slash);
}

std::string join_path(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (path.empty() || path.back() != '/') path += '/';
  path += name;
  return path;
}

std::string plain_segment(std::string_view segment) {
  std::string plain;
  plain.reserve(segment.size());
  for (std::size_t position = 0; position < segment.size(); ++position) {
    if (const std::optional<char> byte = escaped_byte(segment, position)) {
      plain += to_lower(*byte);
      position += 2;
    } else {
      plain += to_lower(segment[position]);
    }
  }
  return plain;
}

}  // namespace gyre::js::internal
