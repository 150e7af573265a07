"""Expected numbers of tests/unit/coco_tests.cpp: the same sets, made by the same generator, scored by pycocotools 2.0.11."""
import contextlib, io, json, sys
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

CASES = {  # name: seed, images, categories, labels, detections (of each image, at most), crowd %, levels of score, largest side, first id
    "everything": (1, 12, 3, 9, 40, 10, 1000, 200, 1), "crowds": (2, 10, 2, 6, 30, 45, 1000, 60, 1), "ties": (3, 10, 2, 6, 30, 10, 4, 80, 1),
    "sizes": (4, 20, 2, 5, 20, 5, 1000, 320, 1), "large ids": (5, 10, 2, 6, 30, 10, 1000, 80, (1 << 53) - 3), "id 0": (6, 8, 2, 4, 20, 0, 1000, 60, 0),
    "more than 100": (7, 4, 1, 30, 400, 5, 50, 90, 1), "no labels": (8, 4, 2, 0, 10, 0, 1000, 60, 1), "no detections": (9, 4, 2, 5, 0, 10, 1000, 60, 1),
    "only crowds": (10, 4, 2, 5, 10, 100, 1000, 60, 1), "all scores equal": (11, 10, 2, 6, 30, 10, 1, 80, 1)}


class Random:
    def __init__(self, seed): self.state = seed
    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self.state >> 33) % n


def make(seed, images, categories, labels, detections, crowd, levels, side, first):
    r = Random(seed)
    size = lambda: 1 + r.below(side)
    annotations, results = [], []
    for i in range(images):
        own = []
        for _ in range(r.below(labels + 1)):
            box = [r.below(200), r.below(200), size(), size()]
            annotations.append(dict(id=len(annotations) + first, image_id=i + first, category_id=r.below(categories) + first, iscrowd=int(r.below(100) < crowd),
                                    bbox=box, area=box[2] * box[3] * (50 + r.below(51)) / 100))
            own.append(annotations[-1])
        for _ in range(r.below(detections + 1) if detections < 100 else detections):
            of = own[r.below(len(own))] if own else None
            box = [v + r.below(9) - 4 for v in of["bbox"]] if of else [r.below(200), r.below(200), size(), size()]
            box[2], box[3] = max(box[2], 1), max(box[3], 1)
            category = of["category_id"] if of and r.below(10) < 8 else r.below(categories) + first
            results.append(dict(image_id=i + first, category_id=category, bbox=box, score=(1 + r.below(levels)) / levels))
    return dict(images=[dict(id=i + first) for i in range(images)], categories=[dict(id=c + first) for c in range(categories)], annotations=annotations), results


for name, case in CASES.items():
    truth, results = make(*case)
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(); gt.dataset = truth; gt.createIndex()
        if results: dt = gt.loadRes(results)
        else:
            dt = COCO(); dt.dataset = dict(truth, annotations=[]); dt.createIndex()
        run = COCOeval(gt, dt, "bbox"); run.evaluate(); run.accumulate(); run.summarize()
    print("    {\"%s\", {%s},\n     {%s}}," % (name, ", ".join(map(str, case)), ", ".join(repr(float(v)) for v in run.stats)))
