#!/usr/bin/env bash
# Stands in for every outside program that the launcher calls, under that program's name; tests/process/launcher_tests.cpp
# links it there. It appends each call to $FAKES/calls, and files in $FAKES say what goes wrong.
set -euo pipefail
tool=${0##*/}
printf '%s %s\n' "$tool" "$*" >>"$FAKES/calls"

last_of() { printf '%s' "${@: -1}"; }

# pip3 download ... -d FOLDER PIN
fake_pip() {
  local pin folder
  pin=$(last_of "$@")
  folder=${*: -2:1}
  if [[ -e $FAKES/hold ]]; then rm "$FAKES/hold" && read -r _ <"$FAKES/go"; fi
  if [[ -e $FAKES/pip_fails_on_$pin ]]; then cat "$FAKES/pip_fails_on_$pin" && exit 1; fi
  mkdir -p "$folder"
  if [[ -e $FAKES/interrupt_on_$pin ]]; then
    rm "$FAKES/interrupt_on_$pin"
    head -c 60 "$FAKES/${pin%%==*}.whl" >"$folder/${pin%%==*}.whl"
    kill -9 "$PPID"
  fi
  if [[ -e $FAKES/truncate_$pin ]]; then
    rm "$FAKES/truncate_$pin"
    head -c 60 "$FAKES/${pin%%==*}.whl" >"$folder/${pin%%==*}.whl"
  else
    cp "$FAKES/${pin%%==*}.whl" "$folder"
  fi
}

fake_meson() {
  if [[ $1 == test ]]; then
    mkdir -p "$3/meson-logs"
    cp "$FAKES/testlog.json" "$3/meson-logs/"
    cat "$FAKES/counts" >>"$VALBENCH_TEST_COUNTS"
    exit "$(<"$FAKES/meson_test_exit")"
  fi
  mkdir -p "$2/meson-private"
  : >"$2/build.ninja"
  printf '[options]\nlibtorch = %s\n' "${4#-Dlibtorch=}" >"$2/meson-private/cmd_line.txt"
}

fake_ninja() {
  mkdir -p "$2/src/main"
  printf '#!/bin/sh\necho "the real program: $*"\n' >"$2/src/main/valbench"
  chmod +x "$2/src/main/valbench"
}

case $tool in
  pip3) fake_pip "$@" ;;
  meson) fake_meson "$@" ;;
  ninja) fake_ninja "$@" ;;
  id) if [[ -e $FAKES/not_root ]]; then echo 1000; else echo 0; fi ;;
  sudo)
    [[ -e $FAKES/sudo_works ]] || exit 1
    "${@:2}"
    ;;
  dpkg-query)
    for name in "${@:4}"; do
      if ! grep -qsx "$name" "$FAKES/missing_packages"; then printf 'ii  %s\n' "$name"; fi
    done
    ;;
  apt-get) if [[ -e $FAKES/apt_fails ]]; then cat "$FAKES/apt_fails" && exit 100; fi ;;
  df) printf 'Filesystem 1024-blocks Used Available Capacity Mounted\ndisk 9 9 %s 9%% /\n' "$(cat "$FAKES/free_kib")" ;;
  g++) cat "$FAKES/compiler_version" ;;
esac
