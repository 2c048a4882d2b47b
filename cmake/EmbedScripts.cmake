# Writes OUTPUT, a C++ file that holds the JavaScript files in DIRECTORY as text:
#   cmake -DDIRECTORY=... -DOUTPUT=... -P EmbedScripts.cmake
file(GLOB scripts ${DIRECTORY}/*.js)
list(SORT scripts)
set(arrays "")
set(table "")
foreach(script IN LISTS scripts)
  get_filename_component(name ${script} NAME_WE)
  file(READ ${script} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND arrays "constexpr unsigned char k_${name}[] = {${bytes}};\n")
  string(APPEND table "    {\"${name}\", text(k_${name})},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made by cmake/EmbedScripts.cmake from the files in gyre/js/builtins.
#include <cstddef>
#include <utility>

#include <gyre/js/internal/builtins.h>

namespace gyre::js::internal {
namespace {

${arrays}
template <std::size_t N>
std::string_view text(const unsigned char (&bytes)[N]) {
  return {reinterpret_cast<const char*>(bytes), N};
}

const std::pair<std::string_view, std::string_view> kScripts[] = {
${table}};

}  // namespace

std::optional<std::string_view> builtin_source(std::string_view name) {
  for (const auto& [key, source] : kScripts) {
    if (key == name) return source;
  }
  return std::nullopt;
}

}  // namespace gyre::js::internal
")
