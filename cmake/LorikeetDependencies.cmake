# Every outside library, with the reason it is here. All are packaged in Debian 12 and Ubuntu 24.04.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)                                      # formatting: GCC 12 has no std::format
find_package(OpenSSL REQUIRED COMPONENTS Crypto)                # SHA-256 of models, data, checkpoints and exports
find_path(LORIKEET_JSON_INCLUDE nlohmann/json.hpp REQUIRED)     # JSON
find_path(LORIKEET_CLI11_INCLUDE CLI/CLI.hpp REQUIRED)          # command line
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)  # tokenizer.model files
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)    # pre-tokenizer patterns (Unicode classes, look-ahead)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc)          # Unicode normal forms and character classes of tokenizers

add_library(lorikeet_json INTERFACE)
target_include_directories(lorikeet_json SYSTEM INTERFACE ${LORIKEET_JSON_INCLUDE})

if(LORIKEET_GUI)
  find_package(Qt6 6.4 REQUIRED COMPONENTS Widgets Svg PrintSupport)
  find_package(QCustomPlotQt6 REQUIRED)                         # charts
endif()
if(LORIKEET_TESTS)
  find_package(Qt6 6.4 REQUIRED COMPONENTS Test)                # the one test framework, core and window alike
endif()

set(LORIKEET_WITH_CUDA OFF)
if(NOT LORIKEET_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES "75-real;80-real;86-real;89-real;90-real;120")
    endif()
    enable_language(CUDA)
    set(LORIKEET_WITH_CUDA ON)
  elseif(LORIKEET_CUDA STREQUAL "ON")
    message(FATAL_ERROR "LORIKEET_CUDA=ON, but no CUDA compiler (nvcc) was found; install the CUDA toolkit or set CUDACXX")
  endif()
endif()
message(STATUS "Lorikeet: CUDA backend ${LORIKEET_WITH_CUDA}, window ${LORIKEET_GUI}, tests ${LORIKEET_TESTS}")
