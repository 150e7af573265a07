#!/usr/bin/env bash
# Whole validations of Python YOLOv5 v7.0 beside ours: 640 px, batch 64, 8 loader threads, learning rate 0. See README.md.
set -euo pipefail
[ $# -eq 4 ] || { sed -n '2p' "$0"; exit 2; }
peers=$1 data=$2 pt=$3 weights=$4
valbench=${VALBENCH:-$(dirname "$0")/../../build/src/main/valbench}
python=${PYTHON:-${VALBENCH_PEERS:?run ./valbench setup --peers, or set PYTHON}/bin/python}
work=$(mktemp -d)
cat > "$work/hyp.yaml" <<'Y'
{lr0: 0.0000001, lrf: 0.01, momentum: 0.937, weight_decay: 0.0005, warmup_epochs: 3.0, warmup_momentum: 0.8, warmup_bias_lr: 0.0, box: 0.05, cls: 0.5, cls_pw: 1.0, obj: 1.0,
 obj_pw: 1.0, iou_t: 0.2, anchor_t: 4.0, fl_gamma: 0.0, hsv_h: 0.015, hsv_s: 0.7, hsv_v: 0.4, degrees: 0.0, translate: 0.1, scale: 0.5, shear: 0.0, perspective: 0.0, flipud: 0.0,
 fliplr: 0.5, mosaic: 0.0, mixup: 0.0, copy_paste: 0.0}
Y
cat > "$work/val.yaml" <<Y
name: validation
model: yolov5n
weights: $(realpath "$weights")
data: $(realpath "$data")
imgsz: 640
epochs: 4
batch_size: 32
ranks: 1
device: auto
workers: 8
cache: none
hyp: $work/hyp.yaml
rounds: 1
baseline: val
validation: {batch_size: 64, workers: 8}
strategies:
  - {name: val}
Y
ours() {
  rm -rf "$work/out"
  "$valbench" sweep "$work/val.yaml" --out "$work/out" > "$work/ours.log"
  "$python" -c "
import json
for v in json.load(open('$work/out/r00-val/run.json'))['validations']:
    print('valbench val %.3f s mAP50-95 %.5f' % (v['seconds'], v['map50_95']))"
}
ours
PYTHONPATH=$peers/stubs${PYTHONPATH:+:$PYTHONPATH} "$python" "$peers/whole.py" --data "$data" --weights "$pt" --img 640 --batch 32 --epochs 4 --workers 4 \
  --hyp "$work/hyp.yaml" --noautoanchor --noplots --project "$work/py" 2>&1 | grep '^val'
ours
