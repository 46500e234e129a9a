#!/usr/bin/env bash
# Builds what run.sh runs on a rented card and packs it with every library it needs into build/gpu/bundle.tar.xz.
#
#   bundle.sh [ARCHITECTURES] [--model PATH] [--no-build] [--build-folder FOLDER] [--dry-run]
#     ARCHITECTURES      for nvcc, as CMake writes them (default 90-real: H100 and H200)
#     --model PATH       a model file or folder that goes along, for the stage parity
#     --no-build         pack what the folder holds already
#     --build-folder F   another folder than build/gpu
#     --dry-run          print the commands, run none
# Needs the packages of ./studio build and the CUDA toolkit; LORIKEET_JOBS bounds the compilers at once.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

architectures=90-real model='' build=$root/build/gpu do_build=yes dry=no
warn_bytes=$(( 60 * 1024 * 1024 ))
# Of every machine with a driver and a compiler; older copies in front of them would break the machine's own libraries.
system_libraries='^(linux-vdso|ld-linux.*|libc|libm|libpthread|libdl|librt|libresolv|libutil|libcuda|libnvidia-.*)\.so'
compiler_libraries='^(libstdc\+\+|libgcc_s)\.so'  # packed apart, used only where the machine has none

say() { echo "bundle.sh: $*" >&2; }
fail() { say "$*"; exit 1; }
usage() { sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'; }
run() { if [ "$dry" = yes ]; then printf '%q ' "$@"; echo; else "$@"; fi; }

read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --model) model=${2:?--model needs a path}; shift ;;
      --build-folder) build=${2:?--build-folder needs a folder}; shift ;;
      --no-build) do_build=no ;;
      --dry-run) dry=yes ;;
      -h|--help) usage; exit 0 ;;
      -*) fail "unknown option $1 (--help)" ;;
      *) architectures=$1 ;;
    esac
    shift
  done
  [ -z "$model" ] || [ -e "$model" ] || fail "$model is not here"
}

test_targets() { # the kernel tests that this build knows
  ninja -C "$build" -t targets all | sed -n 's/^\([a-z0-9_]*_gpu_test\): phony.*/\1/p'
}

compile() {
  run cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DLORIKEET_CUDA=ON -DLORIKEET_GUI=OFF -DLORIKEET_TESTS=ON \
    -DCMAKE_OPTIMIZE_DEPENDENCIES=ON "-DCMAKE_CUDA_ARCHITECTURES=$architectures"
  local tests=('<every *_gpu_test>')
  if [ "$dry" = no ]; then
    mapfile -t tests < <(test_targets)
    [ ${#tests[@]} -gt 0 ] || fail "the build has no target *_gpu_test"
  fi
  run cmake --build "$build" ${LORIKEET_JOBS:+--parallel "$LORIKEET_JOBS"} --target step_gpu ops_gpu lorikeet "${tests[@]}"
}

programs() {
  find "$build/tests" "$build/bin" -maxdepth 1 -type f -executable \( -name '*_gpu_test' -o -name step_gpu -o -name ops_gpu -o -name lorikeet \) | sort
}

libraries() { # libraries PROGRAM...: the files they are linked with, and those link with
  local missing
  missing=$(ldd "$@" | grep 'not found' | sort -u || true)
  [ -z "$missing" ] || fail "libraries are missing here: $missing"
  ldd "$@" | sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p' | sort -u
}

copy_libraries() { # copy_libraries FOLDER PROGRAM...
  local folder=$1 path name
  shift
  while read -r path; do
    name=${path##*/}
    if [[ $name =~ $system_libraries ]]; then continue; fi
    if [[ $name =~ $compiler_libraries ]]; then cp -L "$path" "$folder/fallback/"; else cp -L "$path" "$folder/"; fi
  done < <(libraries "$@")
}

copy_headers() { # for run.sh --build: what core includes from outside, and a bare machine lacks
  local folder=$1 path
  for path in fmt nlohmann openssl pcre2.h "$(gcc -print-multiarch)/openssl"; do
    [ -e "/usr/include/$path" ] || fail "/usr/include/$path is not here"
    mkdir -p "$folder/$(dirname "$path")"
    cp -rL "/usr/include/$path" "$folder/$(dirname "$path")/"
  done
}

manifest() {
  echo "Lorikeet $(sed -n 's/^project(Lorikeet VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")"
  echo "revision $(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)$(git -C "$root" diff --quiet HEAD 2>/dev/null || echo ' with changes')"
  echo "architectures $architectures"
  echo "built $(date +%Y-%m-%dT%H:%M:%S)"
  nvcc --version 2>/dev/null | sed -n 's/.*\(release [0-9.]*\).*/nvcc \1/p'
}

pack() { # pack PROGRAM...
  local folder=$build/bundle/lorikeet-gpu
  rm -rf "$folder"
  mkdir -p "$folder"/{bin,lib/fallback,tests/gpu,tests/data,include}
  cp "$@" "$folder/bin/"
  strip --strip-unneeded "$folder"/bin/*  # what runs on the card is a section of its own and stays
  copy_libraries "$folder/lib" "$@"
  copy_headers "$folder/include"
  cp -r "$root/tests/data/parity" "$root/tests/data/models" "$folder/tests/data/"
  cp -r "$root"/tests/gpu/*.sh "$root"/tests/gpu/*.py "$root/tests/gpu/README.md" "$folder/tests/gpu/"
  cp "$root/LICENSE" "$folder/"
  if [ -n "$model" ]; then mkdir "$folder/model"; cp -rL "$model" "$folder/model/"; fi
  manifest >"$folder/manifest.txt"
  # One large window: the tests hold the same kernels, which are packed once then. Unpacking takes that much memory.
  tar --sort=name --owner=0 --group=0 -C "$build/bundle" -cf - lorikeet-gpu | xz --lzma2=preset=6,dict=256MiB -c >"$build/bundle.tar.xz.part"
  mv "$build/bundle.tar.xz.part" "$build/bundle.tar.xz"
}

check_data_folder() { # tests in a bundle must not look for their data where they were compiled
  local test
  for test in "$@"; do
    if [[ $test == *trainer_cuda* ]] && ! grep -q LORIKEET_TEST_DATA_FOLDER "$test"; then
      say "warning: ${test##*/} knows no LORIKEET_TEST_DATA_FOLDER and will look for its data in $root/tests/data"
    fi
  done
}

report() {
  local bytes
  bytes=$(stat -c %s "$build/bundle.tar.xz")
  say "$build/bundle.tar.xz, $(( bytes / 1024 / 1024 )) MiB; the largest parts, unpacked:"
  du -ak --apparent-size "$build/bundle/lorikeet-gpu" | sort -rn | sed -n '2,12s/^/  KiB /p' >&2
  [ "$bytes" -le "$warn_bytes" ] || say "warning: over $(( warn_bytes / 1024 / 1024 )) MiB"
}

read_arguments "$@"
[ "$do_build" = no ] || compile
if [ "$dry" = yes ]; then
  echo "pack: programs of $build/{tests,bin}, their libraries, headers, tests/data/{parity,models}, tests/gpu${model:+, $model} -> $build/bundle.tar.xz"
  exit 0
fi
mapfile -t found < <(programs)
[ ${#found[@]} -gt 0 ] || fail "$build holds none of the programs"
say "packing ${#found[@]} programs"
check_data_folder "${found[@]}"
pack "${found[@]}"
report
