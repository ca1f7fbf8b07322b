# Compiler, flags and packages. All packages come from Debian 12.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR
    "GCC ${CMAKE_CXX_COMPILER_VERSION} silently miscompiles coroutines (GCC PR 106188, 100611, "
    "101367, 107288). Use clang 19: cmake --preset release, or -DCMAKE_CXX_COMPILER=clang++-19.")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)

# CHECK is on in every build; NDEBUG only silences assert() of third parties.
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -gline-tables-only")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -gline-tables-only -DNDEBUG")
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-designated-field-initializers -Werror
                    -fno-omit-frame-pointer)
if(DOGFS_SANITIZE)
  add_compile_options(-fsanitize=${DOGFS_SANITIZE} -fno-sanitize-recover=all -O1)
  add_link_options(-fsanitize=${DOGFS_SANITIZE})
endif()
if(DOGFS_MUTANTS)
  add_compile_definitions(DOGFS_MUTANTS)
endif()

find_program(LLD_PROGRAM NAMES ld.lld-19 ld.lld)
if(LLD_PROGRAM)
  add_link_options(-fuse-ld=lld-19)
endif()
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(launcher ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang\ -fno-pch-timestamp>)
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(Protobuf REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(rapidcheck REQUIRED)
pkg_check_modules(isal REQUIRED IMPORTED_TARGET libisal)
find_package(Boost 1.81 REQUIRED)

# What stands for malloc in the program: requests come in batches, and a batch makes and frees many
# small things. A sanitizer brings its own.
add_library(allocator INTERFACE)
if(NOT DOGFS_SANITIZE)
  find_package(mimalloc REQUIRED)
  # Nothing but malloc itself refers to it.
  target_link_options(allocator INTERFACE LINKER:--no-as-needed)
  target_link_libraries(allocator INTERFACE mimalloc)
endif()

# Asio's implementation is compiled once, in core/env/asio.cc, not in every file that includes it.
add_library(asio INTERFACE)
target_link_libraries(asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(asio INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
