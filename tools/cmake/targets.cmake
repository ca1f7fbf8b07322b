# dogfs_library(name folder LINK ...): all sources of one folder and those below it.
# A folder that has no sources yet makes an empty library, so that the table above is always whole.
# Under a sanitizer a library's files are compiled some at a time, which halves the time that takes.
# Files that can include Asio share the precompiled header of the library env, others that of base.

function(dogfs_sources out folder)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  set(${out} ${sources} PARENT_SCOPE)
endfunction()

function(dogfs_link target scope)
  foreach(dependency ${ARGN})
    if(TARGET dogfs_${dependency})
      target_link_libraries(${target} ${scope} dogfs_${dependency})
    else()
      target_link_libraries(${target} ${scope} ${dependency})
    endif()
  endforeach()
endfunction()

# Whether a target can see env, and with it Asio.
function(dogfs_sees_asio out target)
  get_target_property(reach ${target} LINK_LIBRARIES)
  set(${out} OFF PARENT_SCOPE)
  while(reach)
    list(POP_FRONT reach next)
    if(next STREQUAL "asio" OR next STREQUAL "dogfs_env")
      set(${out} ON PARENT_SCOPE)
      return()
    endif()
    if(TARGET ${next} AND next MATCHES "^dogfs_")
      get_target_property(more ${next} INTERFACE_LINK_LIBRARIES)
      if(more)
        list(APPEND reach ${more})
      endif()
    endif()
  endwhile()
endfunction()

function(dogfs_precompile target)
  dogfs_sees_asio(asio ${target})
  if(target STREQUAL "dogfs_base")
    target_precompile_headers(dogfs_base PRIVATE ${CMAKE_SOURCE_DIR}/core/base/precompiled.h)
  elseif(target STREQUAL "dogfs_env")
    target_precompile_headers(dogfs_env PRIVATE ${CMAKE_SOURCE_DIR}/core/env/precompiled.h)
  elseif(asio)
    target_precompile_headers(${target} REUSE_FROM dogfs_env)
  else()
    target_precompile_headers(${target} REUSE_FROM dogfs_base)
  endif()
endfunction()

# Tests share two precompiled headers, with Asio and without; the first test of each kind makes it.
function(dogfs_precompile_test target)
  dogfs_sees_asio(asio ${target})
  set(header tests/precompiled.h)
  if(asio)
    set(header tests/precompiled_asio.h)
  endif()
  get_property(maker GLOBAL PROPERTY ${header})
  if(maker)
    target_precompile_headers(${target} REUSE_FROM ${maker})
  else()
    target_precompile_headers(${target} PRIVATE ${CMAKE_SOURCE_DIR}/${header})
    set_property(GLOBAL PROPERTY ${header} ${target})
  endif()
endfunction()

# Files whose private names another file of the library has, too: compiled alone in any case.
set(DOGFS_ALONE
  core/chunk/append_file.cc core/chunk/store_identity.cc
  core/namespace/appends.cc core/namespace/cluster.cc core/namespace/import.cc
  core/namespace/packs.cc core/namespace/permissions.cc core/namespace/queries.cc
  core/namespace/response_coding.cc core/namespace/schema.cc core/namespace/tables.cc
  core/proto/namespace_appends.cc core/proto/namespace_replies.cc
  nodes/client/group_admin.cc nodes/client/packer.cc nodes/client/shard_sender.cc
  nodes/metadata/deletion.cc nodes/metadata/exports.cc nodes/metadata/expiry.cc
  sim/check/command_origin.cc sim/check/linearizability.cc sim/run/injector.cc)

function(dogfs_library name folder)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  dogfs_sources(sources ${folder})
  if(sources)
    add_library(dogfs_${name} STATIC ${sources})
    target_include_directories(dogfs_${name} PUBLIC ${CMAKE_SOURCE_DIR})
    dogfs_link(dogfs_${name} PUBLIC ${arg_LINK})
    dogfs_precompile(dogfs_${name})
    if(DOGFS_SANITIZE)
      set_target_properties(dogfs_${name} PROPERTIES UNITY_BUILD ON)
      set_source_files_properties(${DOGFS_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  else()
    add_library(dogfs_${name} INTERFACE)
    target_include_directories(dogfs_${name} INTERFACE ${CMAKE_SOURCE_DIR})
    dogfs_link(dogfs_${name} INTERFACE ${arg_LINK})
  endif()
endfunction()

# dogfs_protocol: a library with the *.proto files of the folder compiled in (lite runtime).
# Generated headers are included as "core/proto/NAME.pb.h".
function(dogfs_protocol name folder)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  file(GLOB schemas CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.proto)
  if(NOT schemas)
    dogfs_library(${name} ${folder} LINK ${arg_LINK} protobuf::libprotobuf-lite)
    return()
  endif()
  set(generated)
  foreach(schema ${schemas})
    get_filename_component(stem ${schema} NAME_WE)
    set(base ${CMAKE_BINARY_DIR}/generated/${folder}/${stem})
    add_custom_command(OUTPUT ${base}.pb.cc ${base}.pb.h
      COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR}
              --cpp_out=lite:${CMAKE_BINARY_DIR}/generated ${schema}
      DEPENDS ${schemas})
    list(APPEND generated ${base}.pb.cc ${base}.pb.h)
  endforeach()
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/generated)
  add_library(dogfs_${name}_generated STATIC ${generated})
  target_compile_options(dogfs_${name}_generated PRIVATE -w)
  target_include_directories(dogfs_${name}_generated SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/generated)
  target_link_libraries(dogfs_${name}_generated PUBLIC protobuf::libprotobuf-lite)
  dogfs_library(${name} ${folder} LINK dogfs_${name}_generated ${arg_LINK})
endfunction()

function(dogfs_program name folder)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  dogfs_sources(sources ${folder})
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  dogfs_link(${name} PRIVATE ${arg_LINK})
  if(EXISTS ${CMAKE_SOURCE_DIR}/${folder}/precompiled.h)
    target_precompile_headers(${name} PRIVATE ${CMAKE_SOURCE_DIR}/${folder}/precompiled.h)
  endif()
endfunction()

# dogfs_test: one doctest program per folder of tests/, run by ctest under its own name. What it
# tests is optimised as the build says; its own sources are not, which halves their compile time.
function(dogfs_test name folder)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  dogfs_sources(sources ${folder})
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources} ${CMAKE_SOURCE_DIR}/tests/main.cc)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  dogfs_link(${name} PRIVATE ${arg_LINK} rapidcheck)
  target_compile_options(${name} PRIVATE -O0)
  dogfs_precompile_test(${name})
  set_source_files_properties(${CMAKE_SOURCE_DIR}/tests/main.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endfunction()
