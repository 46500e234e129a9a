#!/usr/bin/env bash
# Everything that is to be known from a card, in one command of at most ten minutes. Needs bash, coreutils and python3.
#
#   run.sh [--bundle FOLDER_OR_TAR] [--stage NAME]... [--out FOLDER] [options]
#     --bundle PATH      what bundle.sh made (default: the folder above this one in a bundle, else build/gpu/bundle.tar.xz)
#     --build            compile step_gpu and ops_gpu here first (nvcc, CMake, a C++ compiler; headers from the bundle)
#     --stage NAME       only this stage, repeatable: device build kernels sanitizer determinism parity ops steps memory peers
#                        (the summary is always written, over all figures the folder holds)
#     --out FOLDER       where NAME.json, logs/, summary.json and summary.md go (default: gpu-results)
#     --archive FILE     all of that in one .tar.gz besides
#     --model PATH       a model for the stage parity (default: one in the bundle)
#     --limit NAME=S     another limit for a stage;  --budget S: seconds for all (default 570)
#     --small            tiny shapes: to try the script itself without a card
# Ends with the number of stages that failed. A stage that fails, or runs into its limit, leaves the others alone.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

declare -A limits=([device]=15 [build]=420 [kernels]=110 [sanitizer]=90 [determinism]=30 [parity]=60 [ops]=30 [steps]=135 [memory]=5 [peers]=90)
order=(device build kernels determinism ops steps memory parity peers sanitizer)
chosen=() bundle='' out=gpu-results archive='' budget=570 build=no extra=()

fail() { echo "run.sh: $*" >&2; exit 64; }
usage() { sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'; }

read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --build) build=yes; shift; continue ;;
      --small) extra+=(--small); shift; continue ;;
      -h|--help) usage; exit 0 ;;
    esac
    [ $# -ge 2 ] || fail "$1 needs a value, or is unknown (--help)"
    case $1 in
      --bundle) bundle=$2 ;;
      --out) out=$2 ;;
      --archive) archive=$2 ;;
      --model) extra+=(--model "$2") ;;
      --budget) budget=$2 ;;
      --limit) [ -n "${limits[${2%%=*}]:-}" ] || fail "no stage ${2%%=*}"; limits[${2%%=*}]=${2#*=} ;;
      --stage) [ "$2" = summary ] || [ -n "${limits[$2]:-}" ] || fail "no stage $2; known: ${order[*]} summary"; chosen+=("$2") ;;
      *) fail "unknown option $1 (--help)" ;;
    esac
    shift 2
  done
}

unpack() { # unpack TAR FOLDER: by tar, or by Python where tar or xz is missing
  mkdir -p "$2"
  tar -xJf "$1" -C "$2" 2>/dev/null || python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$1" "$2"
}

find_bundle() { # sets $bundle to a folder
  if [ -z "$bundle" ]; then
    bundle=$here/../..
    [ -d "$bundle/bin" ] || bundle=$here/../../build/gpu/bundle.tar.xz
  fi
  [ -e "$bundle" ] || fail "$bundle is not here; make it with tests/gpu/bundle.sh, or name one with --bundle"
  if [ -f "$bundle" ]; then
    local folder=$out/unpacked
    rm -rf "$folder"
    unpack "$bundle" "$folder" || fail "$bundle could not be unpacked"
    bundle=$folder/lorikeet-gpu
  fi
  bundle=$(cd "$bundle" && pwd)
  [ -d "$bundle/bin" ] || [ "$build" = yes ] || fail "$bundle holds no folder bin"
}

is_chosen() { # of the stages named, or all but build where none is
  [ "$1" != build ] || [ "$build" = yes ] || return 1
  [ ${#chosen[@]} -gt 0 ] || return 0
  [[ " ${chosen[*]} " == *" $1 "* ]] || [ "$1" = build ]
}

not_finished() { # not_finished STAGE WHY: its JSON, when the stage could not write it itself
  printf '{"stage": "%s", "ok": false, "skipped": null, "errors": ["%s"], "seconds": 0, "time": "", "data": null}\n' "$1" "$2" >"$out/$1.json"
  echo "$1: $2"
}

run_stage() { # 0 well or skipped, 1 failed
  local left=$(( ends - $(date +%s) )) limit=${limits[$1]} code
  [ "$left" -ge "$limit" ] || limit=$left
  if [ "$limit" -lt 3 ]; then not_finished "$1" "not run: no time was left"; return 1; fi
  # The stage keeps its own limit; this one is for when it cannot.
  timeout -k 5 $(( limit + 10 )) python3 "$here/stages.py" "$1" --bundle "$bundle" --out "$out" --limit "$limit" --programs "$out/built/bin" "${extra[@]}"
  code=$?
  case $code in
    0|2) return 0 ;;
    1) return 1 ;;
    *) not_finished "$1" "the stage itself ended with $code"; return 1 ;;
  esac
}

read_arguments "$@"
command -v python3 >/dev/null || fail "python3 is not here"
mkdir -p "$out" || fail "$out cannot be made"
out=$(cd "$out" && pwd)
find_bundle
ends=$(( $(date +%s) + budget )) failed=0
for stage in "${order[@]}"; do
  is_chosen "$stage" || continue
  run_stage "$stage" || failed=$(( failed + 1 ))
done
python3 "$here/summary.py" "$out" && cat "$out/summary.md"
if [ -n "$archive" ]; then
  files=(summary.md summary.json logs)
  for stage in "${order[@]}"; do [ ! -e "$out/$stage.json" ] || files+=("$stage.json"); done
  tar -czf "$archive" -C "$out" "${files[@]}"
fi
echo "run.sh: $failed stages failed; figures in $out"
exit "$failed"
