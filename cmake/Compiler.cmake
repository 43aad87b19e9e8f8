# Flags of our own code. Floating point is pinned: no contraction, no reassociation, so that the
# bits of a result do not depend on what the optimizer happened to do (docs/architecture.md).
add_library(trestle_flags INTERFACE)
target_compile_options(trestle_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-march=${TRESTLE_MARCH} -ffp-contract=off -fno-fast-math -fopenmp-simd>
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror>)
target_include_directories(trestle_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_include_directories(trestle_flags SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/gen)

if(TRESTLE_SANITIZE)
  add_compile_options(-fsanitize=${TRESTLE_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${TRESTLE_SANITIZE})
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # The tests' precompiled headers use no macro that changes, and no __TIME__.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
