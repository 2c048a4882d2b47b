# Finds V8 as Debian ships it: inside libnode, with its complete headers in libnode-dev.
#
#   find_package(V8 REQUIRED)
#   target_link_libraries(engine PRIVATE V8::V8)
#
# Looks in V8_ROOT (CMake or environment variable; a prefix like /usr), then in build/deps of this source tree, where
# scripts/setup unpacks libnode, then in the system. Headers and library are taken from the same prefix.
#
# Defines the target V8::V8 and
#   V8_FOUND  V8_VERSION_STRING  V8_MAJOR_VERSION  V8_MINOR_VERSION
#   V8_INCLUDE_DIR, V8_LIBRARY   cache entries; set both to use another build of V8
#   V8_LIBRARY_DIR               for the run path of what is installed, when it is not the system's
#
# /usr/include/node is never taken: it holds a cut set of headers, which may belong to another V8 than the library.

set(_v8_oldest 10.2)
set(_v8_newest 13.6)

# What was found before may be gone: build/deps is deleted by "make clean" and remade by scripts/setup.
foreach(_v8_entry IN ITEMS V8_INCLUDE_DIR V8_LIBRARY)
  if(${_v8_entry} AND NOT EXISTS "${${_v8_entry}}")
    unset(${_v8_entry} CACHE)
  endif()
endforeach()

foreach(_v8_prefix IN ITEMS "${V8_ROOT}" "$ENV{V8_ROOT}" "${CMAKE_CURRENT_LIST_DIR}/../build/deps/usr" "/usr")
  if(_v8_prefix STREQUAL "" OR (V8_INCLUDE_DIR AND V8_LIBRARY))
    continue()
  endif()
  get_filename_component(_v8_prefix "${_v8_prefix}" ABSOLUTE)
  file(GLOB _v8_multiarch_dirs "${_v8_prefix}/lib/*-linux-gnu*")
  if(CMAKE_LIBRARY_ARCHITECTURE)
    set(_v8_multiarch_dirs "${_v8_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
  endif()
  find_path(V8_INCLUDE_DIR v8-inspector.h
    PATHS "${_v8_prefix}/include/nodejs/deps/v8/include"
    NO_DEFAULT_PATH)
  find_library(V8_LIBRARY node
    PATHS ${_v8_multiarch_dirs} "${_v8_prefix}/lib"
    NO_DEFAULT_PATH)
  if(NOT V8_INCLUDE_DIR OR NOT V8_LIBRARY)
    unset(V8_INCLUDE_DIR CACHE)
    unset(V8_LIBRARY CACHE)
  endif()
endforeach()
mark_as_advanced(V8_INCLUDE_DIR V8_LIBRARY)

set(_v8_reason "libnode-dev is missing. Run scripts/setup, set V8_ROOT, or switch JavaScript off: -DGYRE_WITH_JS=OFF")
unset(V8_VERSION_STRING)
if(V8_INCLUDE_DIR AND EXISTS "${V8_INCLUDE_DIR}/v8-version.h")
  file(STRINGS "${V8_INCLUDE_DIR}/v8-version.h" _v8_defines REGEX "^#define V8_(MAJOR|MINOR|BUILD|PATCH)_")
  foreach(_v8_part IN ITEMS MAJOR_VERSION MINOR_VERSION BUILD_NUMBER PATCH_LEVEL)
    string(REGEX MATCH "V8_${_v8_part} ([0-9]+)" _v8_match "${_v8_defines}")
    set(V8_${_v8_part} "${CMAKE_MATCH_1}")
  endforeach()
  set(V8_VERSION_STRING "${V8_MAJOR_VERSION}.${V8_MINOR_VERSION}.${V8_BUILD_NUMBER}.${V8_PATCH_LEVEL}")
endif()

set(V8_VERSION_SUPPORTED FALSE)
if(V8_VERSION_STRING)
  set(_v8_release "${V8_MAJOR_VERSION}.${V8_MINOR_VERSION}")
  if(_v8_release VERSION_GREATER_EQUAL _v8_oldest AND _v8_release VERSION_LESS_EQUAL _v8_newest)
    set(V8_VERSION_SUPPORTED TRUE)
  else()
    set(_v8_reason "V8 ${V8_VERSION_STRING} in ${V8_INCLUDE_DIR} is not one of ${_v8_oldest} to ${_v8_newest}, \
which Gyre supports. Set V8_ROOT to one that is, or switch JavaScript off: -DGYRE_WITH_JS=OFF")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(V8
  REQUIRED_VARS V8_LIBRARY V8_INCLUDE_DIR V8_VERSION_SUPPORTED
  VERSION_VAR V8_VERSION_STRING
  HANDLE_VERSION_RANGE
  REASON_FAILURE_MESSAGE "${_v8_reason}")

if(V8_FOUND)
  get_filename_component(V8_LIBRARY_DIR "${V8_LIBRARY}" DIRECTORY)
  if(NOT TARGET V8::V8)
    add_library(V8::V8 SHARED IMPORTED)
    set_target_properties(V8::V8 PROPERTIES
      IMPORTED_LOCATION "${V8_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${V8_INCLUDE_DIR}"
      # As Node.js compiles it; a promise would otherwise have a layout that the library does not.
      INTERFACE_COMPILE_DEFINITIONS V8_PROMISE_INTERNAL_FIELD_COUNT=1)
  endif()
endif()
