# gyre_module(NAME
#   DESCRIPTION text
#   SOURCES ...          .cc files of the library (none: header-only)
#   TESTS ...            _test.cc files; built into one program, gyre_NAME_test
#   DEPENDS ...          other modules and packages that users of the headers need
#   PRIVATE_DEPENDS ...  what only the implementation needs
#   PKGCONFIG_REQUIRES ...   pkg-config names of what DEPENDS lists beyond our modules
#   PKGCONFIG_LIBS text)     linker flags for what a static build needs beyond that
#
# Defines the library target gyre_NAME with alias gyre::NAME, its tests, and how it is installed.
function(gyre_module NAME)
  cmake_parse_arguments(ARG "" "DESCRIPTION;PKGCONFIG_LIBS" "SOURCES;TESTS;DEPENDS;PRIVATE_DEPENDS;PKGCONFIG_REQUIRES" ${ARGN})
  set(target gyre_${NAME})
  add_library(${target} ${ARG_SOURCES})
  add_library(gyre::${NAME} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${NAME} VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${target} PUBLIC cxx_std_23)
  target_link_libraries(${target} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_DEPENDS} $<BUILD_INTERFACE:gyre_flags>)

  install(TARGETS ${target} EXPORT gyre-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gyre/${NAME}
    FILES_MATCHING PATTERN "*.h" PATTERN "internal" EXCLUDE PATTERN "v8" EXCLUDE PATTERN "builtins" EXCLUDE)
  gyre_pkgconfig(${NAME} "${ARG_DESCRIPTION}" "${ARG_DEPENDS}" "${ARG_PKGCONFIG_REQUIRES}" "${ARG_PKGCONFIG_LIBS}")

  if(GYRE_BUILD_TESTS AND ARG_TESTS)
    gyre_test(${target}_test SOURCES ${ARG_TESTS} DEPENDS ${target})
  endif()
endfunction()

# gyre_test(NAME SOURCES ... DEPENDS ... [LABELS ...]): a GoogleTest program, each of its tests a ctest test.
function(gyre_test NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LABELS;DEFINITIONS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPENDS} GTest::gmock_main gyre_flags)
  target_compile_definitions(${NAME} PRIVATE GYRE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" ${ARG_DEFINITIONS})
  gtest_discover_tests(${NAME} DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES PROPERTIES TIMEOUT 120 LABELS "${ARG_LABELS}")
endfunction()

function(gyre_pkgconfig NAME DESCRIPTION DEPENDS REQUIRES PC_PRIVATE_LIBS)
  set(requires ${REQUIRES})
  foreach(dependency IN LISTS DEPENDS)
    if(dependency MATCHES "^gyre::(.*)$")
      list(APPEND requires gyre-${CMAKE_MATCH_1})
    endif()
  endforeach()
  list(JOIN requires " " PC_REQUIRES)
  set(PC_NAME gyre-${NAME})
  set(PC_LIBRARY gyre_${NAME})
  set(PC_DESCRIPTION "${DESCRIPTION}")
  # Relative to the file itself, so that an installation can be moved.
  file(RELATIVE_PATH PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  configure_file(${PROJECT_SOURCE_DIR}/cmake/gyre.pc.in ${PROJECT_BINARY_DIR}/pkgconfig/${PC_NAME}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/pkgconfig/${PC_NAME}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
