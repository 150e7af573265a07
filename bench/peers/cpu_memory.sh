#!/usr/bin/env bash
# Peak memory of a training on the CPU by Python YOLOv5 v7.0 and ours: one epoch of a few images with validation, the largest resident
# set of any process: cpu_memory.sh PEERS DATA [MODEL:IMGSZ:BATCH ...]. See README.md.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,3p' "$0"; exit 2; }
peers=$(readlink -f "$1") data=$(readlink -f "$2")
shift 2
points=("$@")
if [ $# -eq 0 ]; then points=(yolov5n:320:16 yolov5s:320:16 yolov5n:640:8 yolov5s:640:8); fi
valbench=$(readlink -f "${VALBENCH:-$(dirname "$0")/../../build/src/main/valbench}")
python=${PYTHON:-${VALBENCH_PEERS:?run ./valbench setup --peers, or set PYTHON}/bin/python}
images=${IMAGES:-96} workers=${WORKERS:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -rL "$data" "$work/data"  # YOLOv5 writes its label cache beside the labels
for split in train val; do
  find "$work/data/images/$split" -type f | sort | tail -n "+$((images + 1))" | xargs -r rm
done
{ echo "path: $work/data" && grep -v '^path:' "$data/data.yaml"; } >"$work/data/data.yaml"
export OMP_WAIT_POLICY=passive  # waiting threads leave a busy machine to others
export YOLOV5_CONFIG_DIR=$work WANDB_MODE=disabled
# YOLOv5 wants a font, and would download one.
cp "$("$python" -c 'import matplotlib; print(matplotlib.get_data_path())')/fonts/ttf/DejaVuSans.ttf" "$work/Arial.ttf"
# Children that were waited for count with theirs, so this is the largest process of the whole tree.
peak() {
  "$python" - "$@" <<'P'
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr, stderr=sys.stderr).returncode
print(f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f}" if code == 0 else f"failed ({code})")
P
}
for point in "${points[@]}"; do
  IFS=: read -r model size batch <<<"$point"
  options=(--data "$work/data/data.yaml" --cfg "$model.yaml" --weights '' --img "$size" --batch "$batch" --epochs 1 --workers "$workers" --device cpu --noplots)
  theirs=$(cd "$work" && PYTHONPATH=$peers/stubs peak "$python" "$peers/whole.py" "${options[@]}" --noautoanchor --project "$work/py" 2>"$work/log") || true
  if [[ $theirs == failed* ]]; then tail -n 20 "$work/log" >&2; fi
  ours=$(peak "$valbench" train "${options[@]}" --noautoanchor --project "$work/ours" 2>"$work/log") || true
  if [[ $ours == failed* ]]; then tail -n 20 "$work/log" >&2; fi
  echo "$model $size px batch $batch: YOLOv5 $theirs MiB, valbench $ours MiB"
done
