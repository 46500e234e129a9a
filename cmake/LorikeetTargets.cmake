# The helper functions every folder uses. One static library a folder, sources listed, no globs.

add_library(lorikeet_options INTERFACE)
target_include_directories(lorikeet_options INTERFACE ${CMAKE_SOURCE_DIR})
# -Wno-restrict: GCC 12 warns falsely on "literal" + std::string (GCC bug 105651).
target_compile_options(lorikeet_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-restrict>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${LORIKEET_WERROR}>>:-Werror>)
target_compile_definitions(lorikeet_options INTERFACE LORIKEET_VERSION="${PROJECT_VERSION}")
if(LORIKEET_SANITIZE)
  target_compile_options(lorikeet_options INTERFACE -fsanitize=${LORIKEET_SANITIZE} -fno-omit-frame-pointer
                                                   -fno-sanitize-recover=all -Wno-maybe-uninitialized)  # GCC warns falsely then
  target_link_options(lorikeet_options INTERFACE -fsanitize=${LORIKEET_SANITIZE})
  target_compile_definitions(lorikeet_options INTERFACE LORIKEET_SANITIZED=1)
endif()

# lorikeet_add_library(name SRCS a.cpp b.cpp DEPS base tensor LIBS PkgConfig::X)
# Makes the target lorikeet_<name>. DEPS are folders further down the ladder, LIBS anything else.
function(lorikeet_add_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS;LIBS;PRIVATE_LIBS" ${ARGN})
  add_library(lorikeet_${name} STATIC ${ARG_SRCS})
  target_link_libraries(lorikeet_${name} PUBLIC lorikeet_options ${ARG_LIBS} PRIVATE ${ARG_PRIVATE_LIBS})
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(lorikeet_${name} PUBLIC lorikeet_${dep})
  endforeach()
endfunction()

# lorikeet_add_test(stem DEPS ops quant LABELS ops [SRCS more.cpp] [TIMEOUT s] [TILES])
# Builds <stem>_test.cpp (Qt Test, QTEST_MAIN-like main inside) and registers it with ctest under its stem. TILES makes the
# AMX level one of the machine's, by emulation where the unit is missing: for tests that walk over the levels.
function(lorikeet_add_test stem)
  cmake_parse_arguments(ARG "TILES" "TIMEOUT" "SRCS;DEPS;LIBS;LABELS" ${ARGN})
  set(target ${stem}_test)
  add_executable(${target} EXCLUDE_FROM_ALL ${stem}_test.cpp ${ARG_SRCS})
  if(ARG_TILES)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:lorikeet_emulated_tiles>)
  endif()
  set_target_properties(${target} PROPERTIES AUTOMOC ON RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${target} PRIVATE lorikeet_test_support Qt6::Test ${ARG_LIBS})
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${target} PRIVATE lorikeet_${dep})
  endforeach()
  add_dependencies(lorikeet_tests ${target})
  add_test(NAME ${stem} COMMAND ${target})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${stem} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "QT_QPA_PLATFORM=offscreen")
  if("slow" IN_LIST ARG_LABELS)
    set_tests_properties(${stem} PROPERTIES COST 1000)  # begun first, so that none is left alone at the end
  endif()
endfunction()

# lorikeet_add_tiles_test(stem): the test <stem> once more as <stem>_tiles, where AMX is the best level, emulated where the
# unit is missing: for tests of what takes the level of the machine.
function(lorikeet_add_tiles_test stem)
  set(target ${stem}_tiles_test)
  add_executable(${target} EXCLUDE_FROM_ALL $<TARGET_OBJECTS:${stem}_test> $<TARGET_OBJECTS:lorikeet_emulated_tiles>)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  get_target_property(libraries ${stem}_test LINK_LIBRARIES)
  target_link_libraries(${target} PRIVATE ${libraries})
  add_dependencies(lorikeet_tests ${target})
  add_test(NAME ${stem}_tiles COMMAND ${target})
  get_test_property(${stem} LABELS labels)
  set_tests_properties(${stem}_tiles PROPERTIES LABELS "${labels}" TIMEOUT 300 ENVIRONMENT "QT_QPA_PLATFORM=offscreen")
endfunction()
