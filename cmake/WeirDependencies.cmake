# Third-party libraries: Debian packages found by find_package or pkg-config, never downloaded here.
# Required ones fail the configure; each optional component prints one line.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)

pkg_check_modules(ROCKSDB REQUIRED IMPORTED_TARGET rocksdb)
add_library(weir_rocksdb_client INTERFACE)
target_link_libraries(weir_rocksdb_client INTERFACE PkgConfig::ROCKSDB)

# yaml-cpp 0.7 names its target without a namespace, 0.8 with one.
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(weir_yaml_cpp INTERFACE)
  target_link_libraries(weir_yaml_cpp INTERFACE yaml-cpp)
  target_include_directories(weir_yaml_cpp SYSTEM INTERFACE ${YAML_CPP_INCLUDE_DIR})
  add_library(yaml-cpp::yaml-cpp ALIAS weir_yaml_cpp)
endif()

# What every layer may use. The linker drops what a program does not need (--as-needed).
add_library(weir_third_party INTERFACE)
target_link_libraries(weir_third_party INTERFACE
  fmt::fmt spdlog::spdlog yaml-cpp::yaml-cpp nlohmann_json::nlohmann_json ZLIB::ZLIB
  PkgConfig::XXHASH PkgConfig::LZ4 PkgConfig::ZSTD Threads::Threads)

add_library(weir_headers INTERFACE)
target_include_directories(weir_headers INTERFACE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)

# Kafka: optional component.
set(WEIR_KAFKA_FOUND FALSE)
if(WEIR_WITH_KAFKA STREQUAL "OFF")
  message(STATUS "weir: kafka     off (WEIR_WITH_KAFKA=OFF)")
else()
  pkg_check_modules(RDKAFKA QUIET IMPORTED_TARGET rdkafka)
  find_package(OpenSSL QUIET)
  if(RDKAFKA_FOUND AND OPENSSL_FOUND)
    set(WEIR_KAFKA_FOUND TRUE)
    add_library(weir_kafka_client INTERFACE)
    target_link_libraries(weir_kafka_client INTERFACE PkgConfig::RDKAFKA OpenSSL::SSL OpenSSL::Crypto)
    message(STATUS "weir: kafka     found (librdkafka ${RDKAFKA_VERSION}, OpenSSL ${OPENSSL_VERSION})")
  elseif(WEIR_WITH_KAFKA STREQUAL "ON")
    message(FATAL_ERROR "WEIR_WITH_KAFKA=ON, but librdkafka-dev or libssl-dev is missing")
  else()
    message(STATUS "weir: kafka     not found (install librdkafka-dev and libssl-dev)")
  endif()
endif()

# Allocator of executables. Sanitizers bring their own.
find_library(WEIR_JEMALLOC jemalloc)
if(WEIR_SANITIZER)
  message(STATUS "weir: jemalloc  off (sanitizer build)")
elseif(WEIR_JEMALLOC)
  message(STATUS "weir: jemalloc  found (${WEIR_JEMALLOC})")
else()
  message(STATUS "weir: jemalloc  not found (install libjemalloc-dev); using the C library's")
endif()

if(WEIR_BUILD_TESTS)
  find_package(GTest REQUIRED)
  find_package(rapidcheck QUIET)
endif()
find_package(benchmark QUIET)
