// Feeds the module resolver with hostile specifiers, referrers and package.json files. The input's first three lines
// are the specifier, the referrer and a second specifier; the rest is the package.json of both the importing package
// and an installed one. Whatever comes out must keep the resolver's promises.
//
//   cmake --preset fuzz && cmake --build --preset fuzz && build/fuzz/bin/module_resolver_fuzz

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <gyre/js/internal/utf8.h>
#include <gyre/js/module_resolver.h>
#include <gyre/js/source_excerpt.h>

namespace {

using gyre::js::MemoryModuleFileSystem;
using gyre::js::ModuleFormat;
using gyre::js::ModuleResolver;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return line;
}

void check_printable(std::string_view text) {
  require(text.size() < 64 * 1024);
  for (std::size_t position = 0; position < text.size();) {
    const auto point = gyre::js::internal::decode_utf8(text, position);
    require(point.valid && !gyre::js::internal::is_unprintable(point.value));
    position += point.length;
  }
}

void check(ModuleResolver& resolver, std::string_view specifier, std::string_view referrer) {
  const auto module = resolver.resolve(specifier, referrer);
  if (!module) {
    require(module.error().context("code").has_value());
    check_printable(module.error().to_string());
    return;
  }
  if (module->format == ModuleFormat::builtin) {
    require(module->path.empty() && module->url.starts_with("gyre:"));
    return;
  }
  require(module->path.starts_with('/') && module->url.starts_with("file:///"));
  for (const char c : module->url) require(c > ' ' && c < 0x7F);
  // The URL leads back to the same module.
  const auto again = resolver.resolve(module->url, "/app/main.js");
  require(again.has_value() && *again == *module);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view specifier = take_line(input);
  const std::string_view referrer = take_line(input);
  const std::string_view second = take_line(input);

  MemoryModuleFileSystem files;
  for (const std::string directory : {"/app/", "/app/node_modules/p/"}) {
    files.add(directory + "package.json", std::string(input));
    for (const char* file : {"main.js", "a.mjs", "lib/b.js", "index.js", "x y.json"}) files.add(directory + file, "");
  }
  files.add_link("/app/link", "node_modules/p");
  ModuleResolver resolver(files);
  check(resolver, specifier, referrer);
  check(resolver, second, "/app/main.js");
  check(resolver, second, "file:///app/node_modules/p/lib/b.js");
  check(resolver, "p", "/app/main.js");
  const auto entry = resolver.resolve_entry(specifier);
  if (!entry) check_printable(entry.error().to_string());

  const std::string excerpt = gyre::js::source_excerpt(
      specifier, input, {.line = size % 7, .column = size % 131, .length = size % 11}, {.max_width = size % 50});
  require(excerpt.ends_with('\n'));
  for (std::size_t position = 0; position < excerpt.size();) {
    const auto point = gyre::js::internal::decode_utf8(excerpt, position);
    require(point.valid);
    position += point.length;
  }
  return 0;
}
