# Apache Arrow C++ and Parquet: the system's own where there is one, else the libraries and headers
# inside the pyarrow wheel of the project's virtual environment (scripts/setup).
# Targets: Arrow::arrow, Arrow::parquet. Variables: Arrow_VERSION, Arrow_SOURCE, and the
# target Arrow::s3 where Arrow has S3.
find_package(Arrow CONFIG QUIET)
find_package(Parquet CONFIG QUIET)
if(TARGET Arrow::arrow_shared AND TARGET Parquet::parquet_shared)
  set(Arrow_SOURCE "system")
  add_library(Arrow::arrow ALIAS Arrow::arrow_shared)
  add_library(Arrow::parquet ALIAS Parquet::parquet_shared)
  if(ARROW_S3)
    add_library(Arrow::s3 ALIAS Arrow::arrow_shared)
  endif()
  return()
endif()

set(_python ${CMAKE_SOURCE_DIR}/.venv/bin/python)
if(NOT EXISTS ${_python})
  message(FATAL_ERROR "Apache Arrow C++ not found. Run scripts/setup, which installs it from the "
    "pyarrow wheel into .venv, or install libarrow-dev and libparquet-dev.")
endif()
execute_process(
  COMMAND ${_python} -c
    "import pyarrow as p; print(p.get_include(), p.get_library_dirs()[0], p.__version__, sep=';', end='')"
  OUTPUT_VARIABLE _facts RESULT_VARIABLE _failed)
if(_failed)
  message(FATAL_ERROR "pyarrow is not in .venv: run scripts/setup")
endif()
list(GET _facts 0 _include)
list(GET _facts 1 _libraries)
list(GET _facts 2 Arrow_VERSION)
set(Arrow_SOURCE "pyarrow wheel")
foreach(_name arrow parquet)
  file(GLOB _so ${_libraries}/lib${_name}.so.*)
  list(GET _so 0 _so)
  add_library(Arrow::${_name} SHARED IMPORTED)
  set_target_properties(Arrow::${_name} PROPERTIES IMPORTED_LOCATION ${_so})
  target_include_directories(Arrow::${_name} SYSTEM INTERFACE ${_include})
endforeach()
file(GLOB _so ${_libraries}/libarrow_s3.so.*)
if(_so)
  list(GET _so 0 _so)
  add_library(Arrow::s3 SHARED IMPORTED)
  set_target_properties(Arrow::s3 PROPERTIES IMPORTED_LOCATION ${_so})
endif()
set_property(TARGET Arrow::parquet PROPERTY INTERFACE_LINK_LIBRARIES Arrow::arrow)
