# The functions that turn folders into targets.

# weir_subfolders(out dir): names of the folders directly inside `dir`, sorted.
function(weir_subfolders out dir)
  file(GLOB entries CONFIGURE_DEPENDS LIST_DIRECTORIES true RELATIVE ${dir} ${dir}/*)
  set(names "")
  foreach(entry IN LISTS entries)
    if(IS_DIRECTORY ${dir}/${entry})
      list(APPEND names ${entry})
    endif()
  endforeach()
  set(${out} ${names} PARENT_SCOPE)
endfunction()

# weir_honour_lists(dir): enters `dir` when it has a CMakeLists.txt, now or after a later edit.
function(weir_honour_lists dir)
  file(GLOB lists CONFIGURE_DEPENDS ${dir}/CMakeLists.txt)
  if(lists)
    add_subdirectory(${dir})
  endif()
endfunction()

# weir_library(name dir): a static library of the folder's .cpp files (tests excluded),
# or an INTERFACE library while the folder has none.
function(weir_library name dir)
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PRIVATE weir_warnings)
  else()
    add_library(${name} INTERFACE)
  endif()
endfunction()

# weir_link_library(name libs...): links for every user of `name`, whichever kind it is.
function(weir_link_library name)
  get_target_property(type ${name} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    target_link_libraries(${name} INTERFACE ${ARGN})
  else()
    target_link_libraries(${name} PUBLIC ${ARGN})
  endif()
endfunction()

function(weir_include_library name)
  get_target_property(type ${name} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    target_include_directories(${name} INTERFACE ${ARGN})
  else()
    target_include_directories(${name} PUBLIC ${ARGN})
  endif()
endfunction()

# weir_bare_executable(name sources...): weir's warnings and allocator, no weir library.
function(weir_bare_executable name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE weir_warnings)
  if(WEIR_SANITIZER STREQUAL "thread")
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tools/tsan/c11_threads.cpp)
  endif()
  if(WEIR_JEMALLOC AND NOT WEIR_SANITIZER)
    # Named explicitly as needed: nothing refers to it by symbol except malloc itself.
    target_link_libraries(${name} PRIVATE
      -Wl,--push-state,--no-as-needed ${WEIR_JEMALLOC} -Wl,--pop-state)
  endif()
endfunction()

# weir_executable(name sources...): a program that uses the engine and every connector.
# Defines WEIR_WITH_KAFKA=1 when the Kafka connector is part of the build.
function(weir_executable name)
  weir_bare_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE ${WEIR_CONNECTORS} weir::weir CLI11::CLI11)
  if(TARGET weir_connector_kafka)
    target_compile_definitions(${name} PRIVATE WEIR_WITH_KAFKA=1)
  endif()
endfunction()

# weir_register_tests(name prefix label [TIMEOUT seconds]): each gtest case becomes a ctest test
# called <prefix>.<Suite>.<Case>. Test code may use the strings WEIR_SOURCE_DIR and WEIR_BINARY_DIR.
function(weir_register_tests name prefix label)
  cmake_parse_arguments(arg "" "TIMEOUT" "" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(WEIR_SANITIZER)
    math(EXPR arg_TIMEOUT "5 * ${arg_TIMEOUT}")
  endif()
  target_compile_definitions(${name} PRIVATE
    WEIR_SOURCE_DIR="${PROJECT_SOURCE_DIR}" WEIR_BINARY_DIR="${PROJECT_BINARY_DIR}")
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    TEST_PREFIX "${prefix}."
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    PROPERTIES LABELS "${label}" TIMEOUT ${arg_TIMEOUT})
endfunction()

# weir_register_whole(name label [TIMEOUT seconds]): the executable as one ctest test. For suites whose
# set-up is dear, such as a broker: registered case by case each case would pay for it again.
function(weir_register_whole name label)
  cmake_parse_arguments(arg "" "TIMEOUT" "" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 900)
  endif()
  target_compile_definitions(${name} PRIVATE
    WEIR_SOURCE_DIR="${PROJECT_SOURCE_DIR}" WEIR_BINARY_DIR="${PROJECT_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${arg_TIMEOUT})
  if(label STREQUAL "broker")
    # One broker at a time, or on two cores each starves the other; begun first, as they take longest.
    set_tests_properties(${name} PROPERTIES RESOURCE_LOCK kafka COST 1000)
  endif()
endfunction()

# weir_gtest(name sources...): a gtest executable with the engine and every connector, not registered.
function(weir_gtest name)
  weir_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE GTest::gmock GTest::gtest_main)
  weir_link_rapidcheck(${name})
endfunction()

# Property tests: `#if WEIR_HAS_RAPIDCHECK` guards them where the package is missing.
function(weir_link_rapidcheck name)
  if(rapidcheck_FOUND)
    target_link_libraries(${name} PRIVATE rapidcheck rapidcheck_gtest)
    target_compile_definitions(${name} PRIVATE WEIR_HAS_RAPIDCHECK=1)
  else()
    target_compile_definitions(${name} PRIVATE WEIR_HAS_RAPIDCHECK=0)
  endif()
endfunction()

# weir_unit_test(name prefix dir libs...): the folder's *_test.cpp as one executable, if there are any.
function(weir_unit_test name prefix dir)
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  weir_bare_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE ${ARGN} GTest::gmock GTest::gtest_main)
  weir_link_rapidcheck(${name})
  # A suite with a real server starts it once, not once for every case.
  file(GLOB broker_tests CONFIGURE_DEPENDS ${dir}/*_broker_test.cpp)
  if(broker_tests)
    weir_register_whole(${name} broker)
  else()
    weir_register_tests(${name} ${prefix} unit)
  endif()
endfunction()

# weir_test_folder(folder dir): tests/<folder>, by its own CMakeLists.txt or as one gtest executable.
function(weir_test_folder folder dir)
  file(GLOB lists CONFIGURE_DEPENDS ${dir}/CMakeLists.txt)
  if(lists)
    add_subdirectory(${dir})
    return()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cpp)
  if(NOT sources)
    return()
  endif()
  weir_gtest(weir_${folder}_test ${sources})
  target_include_directories(weir_${folder}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  weir_register_tests(weir_${folder}_test ${folder} ${folder} TIMEOUT 600)
endfunction()

# The checks of tools/ as tests, each with the self-test that proves it can fail.
function(weir_script_tests)
  find_package(Python3 COMPONENTS Interpreter QUIET)
  if(NOT Python3_FOUND)
    message(STATUS "weir: python3   not found; layer and header checks are not run")
    return()
  endif()
  foreach(check layers headers docs)
    file(GLOB script CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/check_${check}.py)
    if(script)
      add_test(NAME tools.check_${check} COMMAND ${Python3_EXECUTABLE} ${script}
               --root ${PROJECT_SOURCE_DIR} --build ${PROJECT_BINARY_DIR})
      add_test(NAME tools.check_${check}.self_test COMMAND ${Python3_EXECUTABLE} ${script} --self-test)
      set_tests_properties(tools.check_${check} tools.check_${check}.self_test
                           PROPERTIES LABELS tools TIMEOUT 900)
    endif()
  endforeach()
endfunction()
