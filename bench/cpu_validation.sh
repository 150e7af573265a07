#!/usr/bin/env bash
# All numbers of validation strategies on CPUs in one call, for a machine that does nothing else: cpu_validation.sh OUT [PART ...].
# Parts: bench (bench_sharded_validation), strategies, rect_and_batch, balance, axes, more_ranks (two ranks a core: exactness, no times); all
# without PART. Leaves a text and the CSV files of each in OUT, with the load of the machine and the seconds that it took. See README.md.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,4p' "$0"; exit 2; }
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/..")
build=${BUILD:-$root/build}
out=$(mkdir -p "$1" && readlink -f "$1")
shift
parts=("$@")
[ $# -gt 0 ] || parts=(bench strategies rect_and_batch balance axes more_ranks)

# measured NAME COMMAND...: its output in NAME.txt, with the load before and after and the seconds.
measured() {
  local name=$1 begin=$SECONDS
  shift
  {
    echo "\$ $*"
    echo "$(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), load before: $(cut -d' ' -f1-3 /proc/loadavg)"
    "$@" 2>&1
    echo "load after: $(cut -d' ' -f1-3 /proc/loadavg); took $((SECONDS - begin)) s"
  } | tee "$out/$name.txt"
}

# sweep NAME SCENARIO [OPTION ...]
sweep() {
  local name=$1 scenario=$2
  shift 2
  measured "$name" "$build/src/main/valbench" sweep "$root/scenarios/$scenario" --out "$out/$name" "$@"
  cp "$out/$name/summary.csv" "$out/$name-summary.csv"
  cp "$out/$name/runs.csv" "$out/$name-runs.csv"
}

export VALBENCH_SOURCE=$root
for part in "${parts[@]}"; do
  case $part in
    bench) measured sharded_validation "$build/bench/bench_sharded_validation" ;;
    strategies | rect_and_batch | balance) sweep "$part" "$part.yaml" ;;
    axes)
      sweep axes validation_axes.yaml --set device=cpu --set ranks=2 --set model=yolov5n --set imgsz=96 --set batch_size=16 --set workers=1 \
        --set "weights=$root/scenarios/weights/quickstart.safetensors" --set 'synth={train_images: 128, val_images: 383, width: 128, height: 96}'
      ;;
    more_ranks)
      ranks=$((2 * $(nproc)))
      sweep more_ranks strategies.yaml --rounds 1 --set "ranks=$ranks" --set "batch_size=$((12 * ranks))"
      ;;
    *)
      echo "no part $part. Parts: bench, strategies, rect_and_batch, balance, axes, more_ranks" >&2
      exit 2
      ;;
  esac
done
