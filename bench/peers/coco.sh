#!/usr/bin/env bash
# COCO's twelve numbers by hotcoco and ours in turn, on the same files and threads: coco.sh PEERS [ROUNDS]. See README.md.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2p' "$0"; exit 2; }
peers=$1 rounds=${2:-5}
bench=${BENCH:-$(dirname "$0")/../../build/bench/bench_coco_average_precision}
threads=${THREADS:-$(nproc)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-${VALBENCH_PEERS:?run ./valbench setup --peers, or set PYTHON}/bin/python}
set=${COCO_SET:-$work/set}
theirs() { RAYON_NUM_THREADS=$threads "$python" "$peers/coco_map.py" --out "$set" --only hotcoco | grep '^hotcoco'; }
ours() {
  VALBENCH_COCO_SET=$set "$bench" --benchmark_filter="coco_from_memory/threads:$threads/|coco_read" --benchmark_format=csv 2>/dev/null |
    awk -F, '/^"coco_from/ {printf "valbench evaluate + accumulate %.3f s", $3 / 1000; next} /^"coco_read/ {read = $3 / 1000}
             END {printf " load %.3f s\n", read}'
}
theirs > "$work/lines"  # makes the set
for ((round = 0; round < rounds; ++round)); do
  ours >> "$work/lines"
  theirs >> "$work/lines"
done
cat "$work/lines"
"$python" - "$work/lines" <<'P'
import statistics, sys
rows = [line.split() for line in open(sys.argv[1])][1:]  # the first call may have made the set
theirs = [(float(r[5]) + float(r[8]), float(r[2]) + float(r[5]) + float(r[8])) for r in rows if r[0] == "hotcoco"]
a, b = (statistics.median(column) for column in zip(*theirs))
c = statistics.median(float(r[4]) for r in rows if r[0] == "valbench")
print(f"medians: hotcoco evaluate + accumulate {a:.3f} s, with load {b:.3f} s; valbench from memory {c:.3f} s: {a / c:.1f} x and {b / c:.1f} x")
P
