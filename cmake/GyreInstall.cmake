# The CMake package: find_package(gyre COMPONENTS loop js) gives gyre::loop, gyre::js.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/gyre)
install(EXPORT gyre-targets NAMESPACE gyre:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/gyre-config.cmake.in ${PROJECT_BINARY_DIR}/gyre-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/gyre-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/gyre-config.cmake ${PROJECT_BINARY_DIR}/gyre-config-version.cmake
  DESTINATION ${package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(GYRE_WITH_JS)
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/FindV8.cmake DESTINATION ${package_dir})
endif()
