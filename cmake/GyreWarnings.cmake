# One set of compiler flags for everything that is ours. A target takes them by linking gyre_flags.
add_library(gyre_flags INTERFACE)
target_compile_options(gyre_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wunused
  $<$<BOOL:${GYRE_WERROR}>:-Werror>)
if(GYRE_SANITIZE)
  # vptr checks need the type information that V8's library is built without.
  target_compile_options(gyre_flags INTERFACE -fsanitize=${GYRE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  if(GYRE_SANITIZE MATCHES undefined)
    target_compile_options(gyre_flags INTERFACE -fno-sanitize=vptr)
  endif()
  target_link_options(gyre_flags INTERFACE -fsanitize=${GYRE_SANITIZE})
endif()
if(GYRE_COVERAGE)
  target_compile_options(gyre_flags INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(gyre_flags INTERFACE --coverage)
endif()
