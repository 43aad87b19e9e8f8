# A room is a folder of sources and protobuf messages. All rooms together are one shared library,
# libtrestle.so, so that the program and every plugin share one copy of protobuf and glog state.

# trestle_room(NAME): objects of the folder's *.cc and *.proto (recursively). Main programs excluded.
function(trestle_room name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  file(GLOB_RECURSE protos CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.proto)
  add_library(${name} OBJECT ${sources})
  target_link_libraries(${name} PUBLIC trestle_flags)
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf glog::glog)
  trestle_unity(${name} 8)
  if(TRESTLE_SANITIZE AND name MATCHES "^(base|comm|embedding|backend)$")
    target_compile_options(${name} PRIVATE -O1)  # where the time of tests goes; the presets say -O0
  endif()
  if(protos)
    trestle_protobuf(${name} ${protos})
  endif()
  set_property(GLOBAL APPEND PROPERTY TRESTLE_ROOMS ${name})
endfunction()

# With TRESTLE_UNITY, compiles a target's sources some at a time as one: what a clean build costs is
# mostly headers. Builds without it show that every source includes what it needs.
function(trestle_unity name sources)
  if(TRESTLE_UNITY)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${sources})
    target_compile_options(${name} PRIVATE -Wno-subobject-linkage)  # of unnamed namespaces: not our case
  endif()
endfunction()

# Generates and compiles the messages of a room, without our warnings, in a library of its own.
# Headers of all rooms' messages are generated before any source is compiled.
function(trestle_protobuf room)
  set(generated)
  foreach(proto ${ARGN})
    file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR} ${proto})
    string(REGEX REPLACE "\\.proto$" "" stem ${CMAKE_BINARY_DIR}/gen/${relative})
    add_custom_command(OUTPUT ${stem}.pb.cc ${stem}.pb.h
      COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR} --cpp_out=${CMAKE_BINARY_DIR}/gen ${proto}
      DEPENDS ${proto} COMMENT "protoc ${relative}" VERBATIM)
    list(APPEND generated ${stem}.pb.cc)
  endforeach()
  add_custom_target(${room}_generate DEPENDS ${generated})
  add_library(${room}_proto OBJECT ${generated})
  target_include_directories(${room}_proto PUBLIC ${CMAKE_BINARY_DIR}/gen)
  target_link_libraries(${room}_proto PUBLIC protobuf::libprotobuf)
  set_property(GLOBAL APPEND PROPERTY TRESTLE_GENERATE ${room}_generate)
  set_property(GLOBAL APPEND PROPERTY TRESTLE_ROOMS ${room}_proto)
endfunction()

function(trestle_core_library)
  get_property(rooms GLOBAL PROPERTY TRESTLE_ROOMS)
  get_property(generate GLOBAL PROPERTY TRESTLE_GENERATE)
  add_library(trestle_core SHARED)
  set_target_properties(trestle_core PROPERTIES OUTPUT_NAME trestle)
  foreach(room ${rooms})
    target_sources(trestle_core PRIVATE $<TARGET_OBJECTS:${room}>)
    add_dependencies(${room} ${generate})
  endforeach()
  target_link_libraries(trestle_core
    PUBLIC trestle_flags protobuf::libprotobuf glog::glog Threads::Threads
    PRIVATE MPI::MPI_CXX DNNL::dnnl libxsmm Arrow::parquet Arrow::arrow $<TARGET_NAME_IF_EXISTS:Arrow::s3> PkgConfig::xxhash
      ${CMAKE_DL_LIBS})
endfunction()

function(trestle_program)
  if(EXISTS ${CMAKE_SOURCE_DIR}/launcher/main.cc)
    add_executable(trestle launcher/main.cc)
    target_link_libraries(trestle PRIVATE trestle_core)
  endif()
endfunction()
