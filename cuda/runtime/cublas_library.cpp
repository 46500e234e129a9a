#include "cuda/runtime/cublas_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace lorikeet::cuda {
namespace {

constexpr size_t kOldest = 120000;
constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"};

/// The loader's own places first ("").
std::vector<std::string> folders() {
  std::vector<std::string> all = {""};
  std::error_code ignored;
  if (const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored); !ignored) all.push_back(program.parent_path().string() + "/");
  if (const char* home = std::getenv("CUDA_HOME"); home && *home) all.push_back(std::string(home) + "/lib64/");
  all.push_back("/usr/local/cuda/lib64/");
  all.push_back("/usr/local/cuda/targets/x86_64-linux/lib/");
  return all;
}

/// False when the library lacks a function.
template <class F>
bool find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

/// False, with what was wrong appended to `found`, when the library is too old or incomplete.
bool read(void* library, const std::string& path, CublasLt& lt, std::string& found) {
  decltype(&::cublasLtGetVersion) get_version = nullptr;
  lt.version = find(library, "cublasLtGetVersion", get_version) ? get_version() : 0;
  if (lt.version < kOldest) {
    found += "; " + path + " is version " + std::to_string(lt.version / 10000) + "." + std::to_string(lt.version / 100 % 100) + ", 12 or newer is needed";
    return false;
  }
  const bool whole = find(library, "cublasLtCreate", lt.create) && find(library, "cublasLtGetStatusName", lt.status_name) &&
                     find(library, "cublasLtMatmulDescCreate", lt.desc_create) && find(library, "cublasLtMatmulDescDestroy", lt.desc_destroy) &&
                     find(library, "cublasLtMatmulDescSetAttribute", lt.desc_set) && find(library, "cublasLtMatrixLayoutCreate", lt.layout_create) &&
                     find(library, "cublasLtMatrixLayoutDestroy", lt.layout_destroy) && find(library, "cublasLtMatmulPreferenceCreate", lt.preference_create) &&
                     find(library, "cublasLtMatmulPreferenceDestroy", lt.preference_destroy) &&
                     find(library, "cublasLtMatmulPreferenceSetAttribute", lt.preference_set) &&
                     find(library, "cublasLtMatmulAlgoGetHeuristic", lt.heuristics) && find(library, "cublasLtMatmul", lt.matmul);
  if (!whole) found += "; " + path + " lacks functions of cuBLASLt";
  return whole;
}

CublasLt open() {
  std::string found;
  CublasLt lt{};
  for (const std::string& folder : folders())
    for (const char* name : kNames) {
      void* library = dlopen((folder + name).c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!library) continue;
      if (read(library, folder + name, lt, found)) return lt;  // it stays open
      dlclose(library);
    }
  throw UnsupportedError("products on the GPU need NVIDIA's cuBLASLt 12 or newer (libcublasLt.so.13 or .so.12): looked for it in the loader's path, next to the program, in "
                         "$CUDA_HOME/lib64 and in /usr/local/cuda" + found +
                         "; install cuBLAS of the CUDA toolkit, or name its folder in LD_LIBRARY_PATH, or use --device cpu");
}

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt lt = open();
  return lt;
}

}  // namespace lorikeet::cuda
