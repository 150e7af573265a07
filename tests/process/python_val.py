"""YOLOv5 v7.0's own val.run on a checkpoint, for the test of the way back into Python: its four numbers as one line of JSON.

usage: python_val.py WEIGHTS DATA IMGSZ BATCH FOLDER
"""
import json
import sys
import time

import yolov5.models.common as common
import yolov5.utils.downloads as downloads
import yolov5.utils.general as general
import yolov5.val as val


class StoppedClock:
    """NMS gives up by the wall clock, and on a slow machine loses detections without a word."""

    def __getattr__(self, name):
        return (lambda: 0.0) if name == "time" else getattr(time, name)


general.time = StoppedClock()
general.check_font = lambda *arguments, **options: None  # It downloads one, for pictures.
# It looks for a library that the peers do without.
common.attempt_download_from_hub = downloads.attempt_download_from_hub = lambda *arguments, **options: None

weights, data, imgsz, batch, folder = sys.argv[1:]
result = val.run(data=data, weights=weights, batch_size=int(batch), imgsz=int(imgsz), device="cpu", workers=0, plots=False, project=folder)
print(json.dumps(dict(zip(("precision", "recall", "map50", "map50_95"), map(float, result[0][:4])))))
