# Compiler, linker and flags. Everything here applies to the whole tree, so that one build is one ABI.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)  # A job may be linked as a program and as a shared library.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(WEIR_CCACHE ccache)
  if(WEIR_CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${WEIR_CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${WEIR_CCACHE})
  endif()
endif()

include(CheckLinkerFlag)
set(CMAKE_REQUIRED_QUIET ON)
check_linker_flag(CXX "-fuse-ld=lld" WEIR_HAS_LLD)
if(WEIR_HAS_LLD)
  add_link_options(-fuse-ld=lld)
endif()
add_link_options(LINKER:--as-needed)

# Optimisation. Line tables stay in release builds: a crash report without lines is of little use.
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG -g1")
set(CMAKE_C_FLAGS_RELEASE "-O3 -DNDEBUG -g1")
if(WEIR_SANITIZER)
  set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
else()
  set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
endif()
add_compile_options(-fno-omit-frame-pointer)

# The portable baseline is x86-64-v3 (Haswell, Zen 1 and newer). Override with -DWEIR_MARCH=x86-64-v2
# for older machines or -DWEIR_MARCH=native for one machine. Other architectures use their default.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND WEIR_MARCH)
  add_compile_options(-march=${WEIR_MARCH})
  if(WEIR_MARCH STREQUAL "x86-64-v3" AND EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo cpu_flags REGEX "^flags" LIMIT_COUNT 1)
    if(cpu_flags AND NOT cpu_flags MATCHES " avx2 ")
      message(WARNING "This machine lacks AVX2: programs built for x86-64-v3 will not run on it. "
                      "Configure with -DWEIR_MARCH=x86-64-v2.")
    endif()
  endif()
endif()

if(WEIR_SANITIZER STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
elseif(WEIR_SANITIZER STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
elseif(WEIR_SANITIZER)
  message(FATAL_ERROR "WEIR_SANITIZER is '${WEIR_SANITIZER}'; known are: address, thread")
endif()

if(WEIR_HARDEN)
  # Bounds checks of operator[] and friends, in every build. Measure their price with -DWEIR_HARDEN=OFF.
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
  if(NOT WEIR_SANITIZER)
    add_compile_options(-fstack-protector-strong -fstack-clash-protection
                        $<$<CONFIG:Release>:-U_FORTIFY_SOURCE>
                        $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
      add_compile_options(-fcf-protection)
    endif()
    add_link_options(LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)
  endif()
endif()

if(WEIR_PLANTED_BUGS)
  add_compile_definitions(WEIR_PLANTED_BUGS=1)
endif()

# Warnings, for weir's own targets only (linked privately by WeirTargets.cmake).
add_library(weir_warnings INTERFACE)
target_compile_options(weir_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual
  -Wimplicit-fallthrough
  # Designated initialisers that leave the defaults alone are the house style for options structs.
  -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False positives of GCC 12's optimiser passes on std::string, std::vector and std::optional
  # (bugs 105329, 105651, 105562, 80635). Clang and the sanitizers watch what they would.
  target_compile_options(weir_warnings INTERFACE
    -Wno-restrict -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow
    -Wno-stringop-overread -Wno-free-nonheap-object -Wno-dangling-pointer)
else()
  # Clang blames users of std::stable_sort for what libstdc++ 12 deprecated inside it.
  target_compile_options(weir_warnings INTERFACE -Wno-deprecated-declarations -Wno-gnu-statement-expression-from-macro-expansion)
endif()
if(WEIR_WERROR)
  target_compile_options(weir_warnings INTERFACE -Werror)
endif()
