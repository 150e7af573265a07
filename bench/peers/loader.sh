#!/usr/bin/env bash
# The training loader of Python YOLOv5 v7.0 and ours in turn, on one copy of a data set, 640 px, batch 16, hyp scratch-low, nothing
# cached, 1 and 2 workers: loader.sh PEERS DATA [ROUNDS]. See README.md.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,3p' "$0"; exit 2; }
peers=$1 data=$2 rounds=${3:-5}
bench=${BENCH:-$(dirname "$0")/../../build/bench/bench_data_loader}
python=${PYTHON:-${VALBENCH_PEERS:?run ./valbench setup --peers, or set PYTHON}/bin/python}
epochs=${EPOCHS:-2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -rL "$data" "$work/data"  # YOLOv5 writes its label cache beside the labels
theirs() {
  PYTHONPATH=$peers/stubs${PYTHONPATH:+:$PYTHONPATH} "$python" "$(dirname "$0")/loader.py" "$work/data/images/train" 640 16 "$1" "$epochs" 2>"$work/log" |
    awk '/^rate/ {print $2, $4}'
}
# Samples per second and CPU milliseconds of a sample. Times are in ms and of one epoch.
ours() {
  VALBENCH_BENCH_DATA=$work/data/data.yaml "$bench" --benchmark_filter="train_mosaic/imgsz:640/workers:$1/cache:0/" --benchmark_format=json \
    --benchmark_min_time="${MIN_TIME:-3}" 2>>"$work/log" | "$python" -c '
import json, sys
run = json.load(sys.stdin)["benchmarks"][0]
rate = run["items_per_second"]
print(f"{rate:.2f} {run['"'cpu_time'"'] / (rate * run['"'real_time'"'] / 1000):.2f}")'
}
for workers in 1 2; do
  for ((round = 0; round < rounds; ++round)); do
    echo "workers $workers YOLOv5 $(theirs "$workers") valbench $(ours "$workers") load $(cut -d' ' -f1 /proc/loadavg)" | tee -a "$work/lines"
  done
done
"$python" - "$work/lines" <<'P'
import statistics, sys
rows = [line.split() for line in open(sys.argv[1])]
for workers in ("1", "2"):
    here = [(float(r[3]), float(r[4]), float(r[6]), float(r[7])) for r in rows if r[1] == workers]
    ratio = sorted(ours / theirs for theirs, _, ours, _ in here)
    cpu = sorted(theirs / ours for _, theirs, _, ours in here)
    theirs, theirs_cpu, ours, ours_cpu = (statistics.median(column) for column in zip(*here))
    print(f"workers {workers}: YOLOv5 {theirs:.1f} samples/s ({theirs_cpu:.1f} ms CPU each), valbench {ours:.1f} samples/s ({ours_cpu:.1f} ms); "
          f"ratio {statistics.median(ratio):.2f} ({ratio[0]:.2f} to {ratio[-1]:.2f}), by CPU time {statistics.median(cpu):.2f} ({cpu[0]:.2f} to {cpu[-1]:.2f})")
P
