#!/usr/bin/env bash
# One training step of Python YOLOv5 v7.0 beside ours, interleaved. See README.md.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2p' "$0"; exit 2; }
peers=$1 points=${2:-n:64,s:64}
bench=${BENCH:-$(dirname "$0")/../../build/bench/bench_train_step}
python=${PYTHON:-${VALBENCH_PEERS:?run ./valbench setup --peers, or set PYTHON}/bin/python}
filter="yolov5($(echo "$points" | tr ':,' '/|'))"
"$bench" --benchmark_filter="$filter"
PYTHONPATH=$peers/stubs${PYTHONPATH:+:$PYTHONPATH} "$python" "$peers/step.py" --points "$points" --steps 20 | grep '^step'
"$bench" --benchmark_filter="$filter"
