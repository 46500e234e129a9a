#!/bin/sh
# Pictures of the main job in the real window under Xvfb, by keyboard alone: open the sample, start, watch the loss fall,
# ask the tuned model a sentence it has not seen, export the PEFT folder.
#   tests/tools/record_run.sh PROGRAM OUT [STEPS]
# STEPS shortens the run (default 12; 0 trains the whole sample). OUT gets 01-ready.png and so on, and files.txt, the list
# of what was exported. Needs Xvfb, openbox, xdotool and ImageMagick's import. THEME=dark takes them in dark.
set -eu
program=${1:?"usage: record_run.sh PROGRAM OUT [STEPS]"}
out=${2:?"usage: record_run.sh PROGRAM OUT [STEPS]"}
steps=${3:-12}
theme=${THEME:-light}
root=$(cd "$(dirname "$0")/../.." && pwd)
for tool in Xvfb openbox xdotool import; do
  command -v "$tool" >/dev/null || { echo "record_run.sh: $tool is not installed" >&2; exit 1; }
done
mkdir -p "$out"
scratch=$(mktemp -d)
chmod 700 "$scratch"
x_pid= wm_pid= app_pid=
trap 'kill $app_pid $wm_pid $x_pid 2>/dev/null || true; rm -rf "$scratch"' EXIT INT TERM
# A first start: no settings, no runs; only the fetched model is the user's own.
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$HOME/.cache}"
export HOME="$scratch/home" XDG_RUNTIME_DIR="$scratch" XDG_CONFIG_HOME="$scratch/config" XDG_DATA_HOME="$scratch/data"
mkdir -p "$HOME" "$scratch/config/fontconfig"
cat >"$scratch/config/fontconfig/fonts.conf" <<'FONTS'
<fontconfig><alias binding="strong"><family>sans-serif</family><prefer><family>Inter</family></prefer></alias></fontconfig>
FONTS

number=0
picture() {  # $1: what it shows
  number=$((number + 1))
  file=$(printf '%s/%02d-%s.png' "$out" "$number" "$1")
  import -window "$window" "$file"
  echo "$file"
}
command_palette() { xdotool key ctrl+k; sleep 0.5; xdotool type --delay 5 "$1"; sleep 0.3; xdotool key Return; }
state() { sed -n 's/.*"state": *"\([a-z]*\)".*/\1/p' "$XDG_DATA_HOME"/lorikeet/runs/*/run.json 2>/dev/null | head -n 1; }
wait_for() {  # $1: seconds at most, then a command that succeeds at the end
  left=$(($1 * 2)); shift
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ "$left" -gt 0 ] && kill -0 "$app_pid" || { echo "record_run.sh: waited in vain for: $*" >&2; picture failed; exit 1; }
    sleep 0.5
  done
}

Xvfb -displayfd 3 -screen 0 1320x860x24 -dpi 96 3>"$scratch/display" 2>/dev/null &
x_pid=$!
while [ ! -s "$scratch/display" ]; do sleep 0.1; done
DISPLAY=:$(cat "$scratch/display")
export DISPLAY
openbox >/dev/null 2>&1 &
wm_pid=$!
sleep 0.5

what=--sample
if [ "$steps" -gt 0 ]; then
  what="$scratch/appointments.json"
  cat >"$what" <<CONFIG
{"data": {"train": ["$root/resources/sample/appointments.jsonl"], "max_length": 512},
 "quantization": {"format": "keep"}, "adapter": {"rank": 16, "alpha": 32}, "optimizer": {"learning_rate": 0.001},
 "training": {"max_steps": $steps, "batch_size": 1, "gradient_accumulation": 2, "save_every": 6, "eval_every": 6}}
CONFIG
fi
"$program" --theme "$theme" "$what" 2>"$scratch/stderr" &
app_pid=$!
wait_for 30 xdotool search --onlyvisible --pid "$app_pid" --name Lorikeet
window=$(xdotool search --onlyvisible --pid "$app_pid" --name Lorikeet | head -n 1)
xdotool windowmove "$window" 0 0 windowsize "$window" 1280 800
sleep 4
picture ready
xdotool key ctrl+Return
sleep 2
picture started
running() { [ "$(state)" = running ]; }
ended() { [ "$(state)" = finished ]; }
wait_for 60 running
while running; do
  sleep "${EVERY:-15}"
  picture training
done
ended || { echo "record_run.sh: the run ended as $(state)" >&2; exit 1; }
sleep 2
picture finished

command_palette "chat with the shown run"
sleep 3
picture chat
question=$(sed -n '1s/.*"role": *"user", *"content": *"\([^"]*\)".*/\1/p' "$root/resources/sample/appointments_heldout.jsonl")
xdotool type --delay 5 "$question"
xdotool key Return
sleep "${ANSWER:-20}"
picture answer

xdotool key alt+4
sleep 1
xdotool key ctrl+e
sleep 2
picture export
xdotool key alt+x
exported() { ls "$HOME"/*-peft/adapter_model.safetensors; }
wait_for 120 exported
sleep "${PROOF:-15}"
picture exported
(cd "$HOME" && ls -l ./*-peft) | tee "$out/files.txt"
[ -s "$scratch/stderr" ] && { echo "the program said:"; cat "$scratch/stderr"; } >&2 || true
