#!/bin/sh
# Pictures of every page of the real window, light and dark, at 100 and 200 %, under Xvfb.
#   tests/tools/screenshots.sh PROGRAM OUT [RUN_FOLDER]
# With RUN_FOLDER (a real run) Monitor shows it. Needs Xvfb, openbox, xdotool and ImageMagick's import.
# PAGES, THEMES and SCALES narrow what is taken, for example PAGES="setup data" SCALES=1.
set -eu
program=${1:?"usage: screenshots.sh PROGRAM OUT [RUN_FOLDER]"}
out=${2:?"usage: screenshots.sh PROGRAM OUT [RUN_FOLDER]"}
run=${3:-}
pages=${PAGES:-home setup data monitor chat export}
themes=${THEMES:-light dark}
scales=${SCALES:-1 2}
for tool in Xvfb openbox xdotool import; do
  command -v "$tool" >/dev/null || { echo "screenshots.sh: $tool is not installed" >&2; exit 1; }
done
mkdir -p "$out"
scratch=$(mktemp -d)
export XDG_RUNTIME_DIR="$scratch" XDG_CONFIG_HOME="$scratch/config"  # no remembered geometry or theme
mkdir -p "$scratch/config/fontconfig"
cat >"$scratch/config/fontconfig/fonts.conf" <<'FONTS'
<fontconfig><alias binding="strong"><family>sans-serif</family><prefer><family>Inter</family></prefer></alias></fontconfig>
FONTS
chmod 700 "$scratch"
x_pid= wm_pid= app_pid=
trap 'kill $app_pid $wm_pid $x_pid 2>/dev/null || true; rm -rf "$scratch"' EXIT INT TERM

start_display() {  # $1: scale
  Xvfb -displayfd 3 -screen 0 "$((1320 * $1))x$((860 * $1))x24" -dpi 96 3>"$scratch/display" 2>/dev/null &
  x_pid=$!
  while [ ! -s "$scratch/display" ]; do sleep 0.1; done
  DISPLAY=:$(cat "$scratch/display")
  export DISPLAY
  openbox >/dev/null 2>&1 &
  wm_pid=$!
  sleep 0.5
}

take() {  # $1: page, $2: theme, $3: scale
  what="--sample"
  [ "$1" = monitor ] && [ -n "$run" ] && what="$run"
  [ "$1" = home ] && what=""
  # The data folder is the user's own, so that Home shows the runs there are.
  QT_SCALE_FACTOR="$3" "$program" --theme "$2" --page "$1" ${what:+"$what"} 2>"$scratch/stderr" &
  app_pid=$!
  window=
  for _ in $(seq 100); do
    window=$(xdotool search --onlyvisible --pid "$app_pid" --name Lorikeet 2>/dev/null | head -n 1) && [ -n "$window" ] && break
    sleep 0.2
  done
  [ -n "$window" ] || { echo "screenshots.sh: no window appeared:" >&2; cat "$scratch/stderr" >&2; exit 1; }
  xdotool windowmove "$window" 0 0 windowsize "$window" "$((1280 * $3))" "$((800 * $3))"
  sleep "${SETTLE:-4}"
  if [ "$1" != monitor ] && [ "$1" != home ]; then  # opening the sample leads to Set up
    key=$(case $1 in setup) echo 2 ;; data) echo 3 ;; chat) echo 5 ;; export) echo 6 ;; esac)
    xdotool key --window "$window" "alt+$key"
    sleep "${SETTLE:-4}"
  fi
  if [ "$1" = chat ] && [ -n "${ASK:-}" ]; then
    xdotool type --delay 5 "$ASK"
    xdotool key Return
    sleep "${ANSWER:-20}"
  fi
  import -window "$window" "$out/$1-$2-$3.png"
  kill "$app_pid"
  wait "$app_pid" 2>/dev/null || true
  app_pid=
  [ -s "$scratch/stderr" ] && { echo "$1 $2 $3 said:"; cat "$scratch/stderr"; } >&2 || true
}

for scale in $scales; do
  start_display "$scale"
  for theme in $themes; do
    for page in $pages; do
      take "$page" "$theme" "$scale"
      echo "$out/$page-$theme-$scale.png"
    done
  done
  kill $wm_pid $x_pid 2>/dev/null || true
  wait $wm_pid $x_pid 2>/dev/null || true
  wm_pid= x_pid=
  : >"$scratch/display"
done
