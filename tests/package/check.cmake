set(scratch ${BUILD}/package-test)
file(REMOVE_RECURSE ${scratch})

function(must)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " line)
    message(FATAL_ERROR "failed: ${line}\n${output}")
  endif()
endfunction()

must(${CMAKE_COMMAND} --install ${BUILD} --prefix ${scratch}/prefix)

# By CMake package. An instrumented library needs an instrumented program.
set(flags "")
if(SANITIZE)
  string(APPEND flags " -fsanitize=${SANITIZE}")
endif()
if(COVERAGE)
  string(APPEND flags " --coverage")
endif()
must(${CMAKE_COMMAND} -S ${SOURCE}/project -B ${scratch}/project -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${CXX}
     -DCMAKE_PREFIX_PATH=${scratch}/prefix -DCMAKE_CXX_FLAGS=${flags} -DWITH_JS=${WITH_JS} -DV8_ROOT=${BUILD}/../deps/usr)
must(${CMAKE_COMMAND} --build ${scratch}/project)
must(${scratch}/project/loop_user)
if(WITH_JS)
  must(${scratch}/project/js_user)
  must(${scratch}/prefix/bin/gyre eval "console.log('installed')")
endif()

# By pkg-config, the loop alone.
file(GLOB pkgconfig_dir ${scratch}/prefix/lib*/pkgconfig ${scratch}/prefix/lib/*/pkgconfig)
set(ENV{PKG_CONFIG_PATH} "${pkgconfig_dir}")
execute_process(COMMAND pkg-config --cflags --libs --static gyre-loop OUTPUT_VARIABLE pc_flags RESULT_VARIABLE status
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_VARIABLE pc_error)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "pkg-config does not find gyre-loop: ${pc_error}")
endif()
separate_arguments(pc_flags)
separate_arguments(flags)
must(${CXX} ${flags} ${SOURCE}/project/loop_user.cc -o ${scratch}/by_pkgconfig ${pc_flags})
must(${scratch}/by_pkgconfig)
