# The GPU plugin, and what it and the core compare before they work together (base/plugin.h).
# TRESTLE_CUDA: AUTO builds the plugin where nvcc and NCCL are found, ON demands it, OFF never looks.
set(TRESTLE_CUDA "AUTO" CACHE STRING "Build the GPU plugin: AUTO (where nvcc and NCCL are found), ON or OFF")
set(TRESTLE_CUDA_VERSION "")
if(TRESTLE_SANITIZE)
  if(TRESTLE_CUDA STREQUAL ON)
    message(FATAL_ERROR "TRESTLE_CUDA=ON: the sanitizers do not go with nvcc's host code; use AUTO or OFF")
  endif()
elseif(NOT TRESTLE_CUDA STREQUAL OFF)
  find_program(TRESTLE_NVCC nvcc HINTS ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
  get_filename_component(toolkit "${TRESTLE_NVCC}" DIRECTORY)
  if(TRESTLE_NVCC)
    execute_process(COMMAND ${TRESTLE_NVCC} --version OUTPUT_VARIABLE said ERROR_QUIET)
    string(REGEX MATCH "release ([0-9]+)" release "${said}")
    if(NOT CMAKE_MATCH_1 OR CMAKE_MATCH_1 LESS 13)
      message(STATUS "The GPU plugin needs CUDA 13 or later; ${TRESTLE_NVCC} is ${release}")
      set(TRESTLE_NVCC "TRESTLE_NVCC-NOTFOUND")
    endif()
  endif()
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${toolkit}/../include)
  find_library(NCCL_LIBRARY nccl HINTS ${toolkit}/../lib64 ${toolkit}/../lib)
  if(TRESTLE_NVCC AND NCCL_INCLUDE_DIR AND NCCL_LIBRARY)
    set(CMAKE_CUDA_COMPILER ${TRESTLE_NVCC})
    set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90)  # and PTX of the latter, for later ones
    set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)    # else cudart is linked twice
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    set(TRESTLE_CUDA_VERSION "${CUDAToolkit_VERSION_MAJOR}.${CUDAToolkit_VERSION_MINOR}")
    if(CCACHE)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
    endif()
  elseif(TRESTLE_CUDA STREQUAL ON)
    message(FATAL_ERROR "TRESTLE_CUDA=ON needs nvcc and NCCL; found: ${TRESTLE_NVCC}, ${NCCL_INCLUDE_DIR}, "
      "${NCCL_LIBRARY}. Put the CUDA toolkit's bin into PATH or set CUDA_HOME; NCCL is looked for beside it")
  endif()
endif()

# The headers whose types cross the border: a plugin made from other ones must not be called.
set(border base/clock.h base/fixed_point.h base/gpu_runtime.h base/hash.h base/host_device.h base/philox.h
  base/plugin.h base/status.h cuda/table_kernels.h cuda/table_steps.h embedding/initializers.h
  embedding/optimizers.h embedding/row_kinds.h embedding/table.h)
set(hashes)
foreach(header ${border})
  file(SHA256 ${CMAKE_SOURCE_DIR}/${header} hash)
  string(APPEND hashes ${hash})
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${border})
string(SHA256 interface "${hashes}")
string(SUBSTRING ${interface} 0 12 interface)
string(JOIN ", " build "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}" ${TRESTLE_MARCH}
  ${CMAKE_BUILD_TYPE} ${TRESTLE_SANITIZE} "interface ${interface}")
set(TRESTLE_PLUGIN_BUILD "${PROJECT_VERSION} (${build})")
