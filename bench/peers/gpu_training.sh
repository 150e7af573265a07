#!/usr/bin/env bash
# Trainings on BCCD as golden gpu_training.json has them from Python YOLOv5 v7.0, several at once on each GPU, and the comparison:
#   bench/peers/gpu_training.sh DATA.yaml OUT [GOLDEN.json]
# Leaves gpu_training.csv (every epoch), gpu_training.md (the comparison) and gpu_training.log in OUT. Ends with 1 where a run failed
# or a mean lies outside. SEEDS, KINDS, LIMIT_S and SETTINGS (more --set) change what runs. See README.md.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,5p' "$0"; exit 2; }
here=$(dirname "$(readlink -f "$0")")
data=$(readlink -f "$1") out=$2 golden=${3:-$here/../../../shared/golden/gpu_training.json}
valbench=${VALBENCH:-$(command -v valbench || echo "$here/../../build/src/main/valbench")}
read -ra seeds <<<"${SEEDS:-0 1 2}"
read -ra kinds <<<"${KINDS:-yolov5s:fp16 yolov5n:fp16 yolov5n:bf16}"  # the longest first
read -ra settings <<<"${SETTINGS:-}"
gpus=${GPUS:-$(nvidia-smi -L | wc -l)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

# start NUMBER MODEL AMP SEED: one training in the background, on the next GPU in turn.
start() {
  local name=$2-$3-$4 device=cpu
  if ((gpus > 0)); then device=cuda:$(($1 % gpus)); fi
  local options=(--set "model=$2" --set "amp=$3" --set "seed=$4" --set "data=$data" --set "device=$device")
  # The values of the environment come last: of two --set the last one counts.
  for setting in "${settings[@]}"; do options+=(--set "$setting"); done
  (
    code=0
    timeout --signal=INT "${LIMIT_S:-520}" "$valbench" sweep "$here/gpu_training.yaml" "${options[@]}" \
      --out "$work/$name" >"$work/$name.log" 2>&1 || code=$?
    echo "$name on $device: exit code $code after $SECONDS s"
    exit "$code"
  ) &
}

number=0 jobs=()
for kind in "${kinds[@]}"; do
  for seed in "${seeds[@]}"; do
    start "$number" "${kind%:*}" "${kind#*:}" "$seed"
    jobs+=($!) number=$((number + 1))
  done
done
failed=0
for job in "${jobs[@]}"; do wait "$job" || failed=$((failed + 1)); done

tail -n 30 "$work"/*.log >"$out/gpu_training.log"
if ((failed > 0)); then tail -n 12 "$work"/*.log; fi
python3 "$here/gpu_training.py" collect "$work" >"$out/gpu_training.csv"
compared=0
python3 "$here/gpu_training.py" compare "$out/gpu_training.csv" "$golden" >"$out/gpu_training.md" || compared=$?
cat "$out/gpu_training.md"
if ((failed > 0)); then echo "$failed of $number runs failed"; fi
((failed == 0 && compared == 0))
