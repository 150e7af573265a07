"""Samples per second of Python YOLOv5 v7.0's own training loader, with its hyp.scratch-low: loader.py IMAGES IMGSZ BATCH WORKERS EPOCHS

One epoch warms up. Prints `rate SAMPLES_PER_S cpu MS_PER_SAMPLE`; CPU time is that of this process and its workers.
The label cache comes to lie beside the labels, so IMAGES belongs to a copy of the data set.
"""
import logging
import pathlib
import sys
import time

import psutil
import yaml
import yolov5
from yolov5.utils.dataloaders import create_dataloader

logging.disable(logging.INFO)


def cpu_seconds():
    me = psutil.Process()
    return sum(t.user + t.system for t in (p.cpu_times() for p in [me, *me.children(recursive=True)]))


def main(images, imgsz, batch, workers, epochs):
    hyp = yaml.safe_load((pathlib.Path(yolov5.__file__).parent / "data/hyps/hyp.scratch-low.yaml").read_text())
    loader, _ = create_dataloader(images, imgsz, batch, 32, hyp=hyp, augment=True, workers=workers, shuffle=True)

    def epoch():
        return sum(len(batch[0]) for batch in loader)

    epoch()
    cpu, begin = cpu_seconds(), time.perf_counter()
    samples = sum(epoch() for _ in range(epochs))
    seconds, cpu = time.perf_counter() - begin, cpu_seconds() - cpu
    print(f"rate {samples / seconds:.2f} cpu {1000 * cpu / samples:.2f}")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))
