#!/usr/bin/env python3
"""The way back into Python YOLOv5: turns weights of valbench into a checkpoint that its val.py, detect.py, export.py, train.py --weights
and torch.hub read.

usage: to_yolov5.py runs/train/exp/weights/best.pt OUT.pt

Run it with a Python that has YOLOv5: in a clone of YOLOv5 v7.0, or after `pip install yolov5==7.0.14`. It takes best.pt and last.pt of a
finished training, and checkpoints (.safetensors) of a running one; of these it takes the EMA, as YOLOv5 does.
"""
import datetime
import importlib
import json
import os
import struct
import sys
from pathlib import Path

import torch
import yaml

DTYPES = {"F16": torch.float16, "F32": torch.float32, "I64": torch.int64}


def fail(message):
    sys.exit(f"error: {message}")


def read_safetensors(file):
    """Weights and facts of a checkpoint; what only valbench needs (train.*) stays behind."""
    raw = bytearray(file.read_bytes())
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    info = header.pop("__metadata__", {})
    state = {}
    for name, entry in header.items():
        if name.startswith("train."):
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        state[name] = torch.frombuffer(raw[begin:end], dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return state, {"yaml_file": info["model"] + ".yaml", "yaml_text": "", "nc": int(info["classes"]), "names": info["names"].split(",")}


def read_weights(file):
    if not file.is_file():
        fail(f"{file}: no such file")
    if file.suffix == ".safetensors":
        return read_safetensors(file)
    content = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or "yaml_file" not in content:
        fail(f"{file}: valbench did not write this file. Give weights/best.pt or last.pt of one of its trainings")
    return content.pop("model"), content


def import_yolov5():
    """YOLOv5's module of models and its folder: of a clone in the current folder, else of the installed package."""
    sys.path.insert(0, os.getcwd())
    for name in ("models.yolo", "yolov5.models.yolo"):
        try:
            module = importlib.import_module(name)
            return module, Path(module.__file__).parent
        except ModuleNotFoundError as error:
            if error.name not in ("models", "models.yolo", "yolov5"):
                raise
    fail("no YOLOv5 here. Run this in a clone of YOLOv5 v7.0, or install it: pip install yolov5==7.0.14")


def configuration(info, folder):
    """The model's YAML: its text where it was the user's own, else YOLOv5's file of that name."""
    if info["yaml_text"]:
        return yaml.safe_load(info["yaml_text"])
    for file in (folder / info["yaml_file"], folder / "hub" / info["yaml_file"]):
        if file.is_file():
            return yaml.safe_load(file.read_text())
    fail(f"YOLOv5 in {folder} has no {info['yaml_file']}")


def build(module, folder, state, info):
    config = configuration(info, folder)
    per_level = next(tensor for name, tensor in state.items() if name.endswith(".anchors")).shape[1]
    given = config["anchors"]
    same = per_level == (given if isinstance(given, int) else len(given[0]) // 2)
    model = module.DetectionModel(config, ch=3, nc=info["nc"], anchors=None if same else per_level)
    model.load_state_dict({name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()})
    model.nc = info["nc"]  # As train.py leaves a model, with its names and hyperparameters.
    model.hyp = info.get("hyp", {})
    model.names = dict(enumerate(info["names"])) if len(info["names"]) == info["nc"] else {i: str(i) for i in range(info["nc"])}
    return model


def use_clone_names(model):
    """YOLOv5's files name classes as a clone does (models.yolo), not as the installed package (yolov5.models.yolo)."""
    for module in model.modules():
        name = type(module).__module__
        if name.startswith("yolov5."):
            clone_name = name[len("yolov5.") :]
            sys.modules.setdefault(clone_name.split(".")[0], sys.modules["yolov5." + clone_name.split(".")[0]])
            sys.modules[clone_name] = sys.modules[name]
            type(module).__module__ = clone_name


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = map(Path, sys.argv[1:])
    state, info = read_weights(source)
    module, folder = import_yolov5()
    model = build(module, folder, state, info).half()
    for parameter in model.parameters():
        parameter.requires_grad = False
    use_clone_names(model)
    nothing = dict.fromkeys(("best_fitness", "ema", "updates", "optimizer", "opt", "git"))
    torch.save({"epoch": -1, "model": model, **nothing, "date": datetime.datetime.now().isoformat()}, target)
    print(f"{target}: {info['yaml_file']}, {info['nc']} classes")


if __name__ == "__main__":
    main()
