#!/usr/bin/env python3
"""Two questions to a GPU, answered with ratios of interleaved runs: bench/gpu_validation.py OUT [--set key=value ...]. See README.md.

serial   How much of a whole validation is work that more GPUs do not shorten: broadcast, gather, metrics, report? From the stage spans of
         untraced runs; target: at most 5 % of the rest, for 5,000 images.
overlap  Does a validation beside the training cost only the GPU's time that it needs? The epoch under overlapped, of untraced runs, against
         the larger of E (an epoch without validation) and the GPU's busy time of training plus that of validation (CUPTI, traced runs).
         Target: at most 1.10, and below E + V, where V is the validation under rank0.

Needs valbench (VALBENCH, or build/), one GPU (--ranks N: N of them) and about 10 minutes. What is there in OUT is used again, so that a
run that was cut off goes on. Settings given with --set come last; on a CPU (--device cpu) it goes as far as it can.
"""
import argparse
import collections
import csv
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
NO_GPU = "not measured (no GPU)"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--only", choices=["serial", "overlap"])
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=5000, help="validation images of the serial part")
    parser.add_argument("--train-images", type=int, default=4096)
    parser.add_argument("--overlapped-images", type=int, default=2048, help="validation images of the overlapped part")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--weights", help="weights that detect something; without them, 8 epochs train some")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    return parser.parse_args()


def valbench(*words):
    program = os.environ.get("VALBENCH") or os.path.join(HERE, "..", "build", "src", "main", "valbench")
    print("+ valbench", *words, flush=True)
    if code := subprocess.run([program, *words], stdout=sys.stderr).returncode:
        sys.exit(code)


class Bench:
    def __init__(self, options):
        self.options = options
        self.out = os.path.abspath(options.out)
        os.makedirs(self.out, exist_ok=True)
        self.scenario = os.path.join(self.out, "gpu_validation.yaml")
        with open(self.scenario, "w") as file:
            file.write(f"""# Question: that of bench/gpu_validation.py, which wrote this.
name: gpu_validation
model: yolov5s
weights: none
data: {self.data()}
imgsz: {options.size}
epochs: {options.epochs}
batch_size: {64 * options.ranks}
ranks: {options.ranks}
device: {options.device}
workers: 8
rounds: {options.rounds}
baseline: rank0
strategies:
  - {{name: rank0}}
""")
        self.weights = os.path.abspath(options.weights) if options.weights else self.train_weights()

    def data(self):
        """Made once: the sweeps share it."""
        folder, o = os.path.join(self.out, "data"), self.options
        file = os.path.join(folder, "data.yaml")
        if not os.path.exists(file):
            valbench("synth", "--out", folder, "--train-images", str(o.train_images), "--val-images", str(o.images), "--classes", "20",
                     "--width", str(o.size), "--height", str(o.size * 3 // 4), "--objects-per-image", "7")
        return file

    def sweep(self, name, *words):
        """Runs what is not there yet. The folder's records, by strategy: a list of (round, run.json)."""
        folder = os.path.join(self.out, name)
        settings = [part for setting in self.options.settings for part in ("--set", setting)]
        valbench("sweep", self.scenario, "--out", folder, *(["--resume"] if os.path.isdir(folder) else []), *words, *settings)
        runs = collections.defaultdict(list)
        for run in sorted(os.listdir(folder)):
            file = os.path.join(folder, run, "run.json")
            if os.path.exists(file):
                with open(file) as record:
                    content = json.load(record)
                content["folder"] = os.path.join(folder, run)
                runs[content["spec"]["validation"]["name"]].append(content)
        return runs

    def train_weights(self):
        runs = self.sweep("weights", "--rounds", "1", "--set", "epochs=8", "--set", "validation.interval=8", "--set", "verify=none")
        print(f"weights: mAP50-95 {runs['rank0'][0]['validations'][-1]['map50_95']:.3f}")
        return os.path.join(runs["rank0"][0]["folder"], "weights", "last.safetensors")


def spread(values, digits=3):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def later(run, rank=0):
    """Rank 0's epochs without the first, in which images are decoded and kernels chosen; all where there is one only."""
    epochs = [epoch for epoch in run["epochs"] if epoch["rank"] == rank]
    return epochs[1:] or epochs


def serial(bench):
    ranks = bench.options.ranks
    strategies = "strategies=[{name: rank0}" + (", {name: sharded, placement: sharded}]" if ranks > 1 else "]")
    runs = bench.sweep("serial", "--set", f"weights={bench.weights}", "--set", strategies)
    for name, records in runs.items():
        parts, ratios = collections.defaultdict(list), []
        for run in records:
            for epoch in later(run):
                phase = collections.defaultdict(float, epoch["phase_s"])
                if phase["val.epoch"] == 0:
                    continue
                named = {"broadcast": phase["val.broadcast"], "gather": phase["val.gather"], "metrics": phase["val.metrics"]}
                # gather: with the wait for the slower rank. other: copying the weights, waiting for the first batch to be asked for, reading the losses back.
                named["other"] = phase["val.epoch"] - phase["val.batch"] - sum(named.values())
                # The console's row and results.csv: what is left of the epoch. No phase holds it.
                named["report"] = epoch["epoch_s"] - epoch["train_s"] - phase["val.epoch"] - phase["checkpoint.save"] - epoch["wait_s"]
                for part, seconds in {**named, "batches": phase["val.batch"]}.items():
                    parts[part].append(1000 * seconds)
                ratios.append(sum(named.values()) / phase["val.batch"])
        last = records[0]["validations"][-1]
        print(f"\nserial, {name}: {last['images']} images, {last['detections']} detections, {ranks} rank(s), {len(ratios)} validations")
        for part, values in parts.items():
            print(f"  {part:9} {spread(values, 2) + ' ms' if any(values) else 'not measured (nothing is sent)'}")
        print(f"  serial part / the rest: {spread(ratios, 4)}; target: at most 0.05")


def busy_seconds(run):
    """Seconds per epoch in which the GPU worked for the training and for validation: unions of what the phases launched, by rank 0."""
    trace = next(t for t in run["gpu_traces"] if t["rank"] == 0)
    if not trace["available"]:
        return None
    lost = {key: trace[key] for key in ("dropped", "invalid", "orphans", "missing") if trace[key]}
    if lost:
        print(f"  incomplete trace of {run['folder']}: {lost}")
    with open(os.path.join(run["folder"], "rank-0.trace.json")) as file:
        events = json.load(file)["traceEvents"]
    spans = {"train": [], "val": []}
    for event in events:
        kind = event.get("args", {}).get("phase", "").split(".")[0]
        if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset") and kind in spans:
            spans[kind].append((event["ts"], event["ts"] + event["dur"]))
    epochs = run["spec"]["epochs"] - trace["first_epoch"]
    busy = {}
    for kind, intervals in spans.items():
        end = total = 0
        for begin, stop in sorted(intervals):
            total += max(0, stop - max(begin, end))
            end = max(end, stop)
        busy[kind] = total / 1e6 / epochs
    return busy


def overlap(bench):
    settings = ["--set", f"weights={bench.weights}", "--set", f"validation.subset={bench.options.overlapped_images}"]
    strategies = "strategies=[{name: rank0}, {name: none, placement: none}, {name: overlapped, placement: overlapped}]"
    runs = bench.sweep("overlap", *settings, "--set", strategies)
    traced = bench.sweep("overlap-traced", *settings, "--set", "epochs=3", "--rounds", "1", "--profile")
    seconds = collections.defaultdict(dict)  # (strategy, measure) -> round -> seconds
    for name, records in runs.items():
        for run in records:
            for measure in ("epoch_s", "train_s", "val_s"):
                # Each of these epochs has the validation of the one before beside it.
                seconds[name, measure][run["spec"]["round"]] = statistics.median(epoch[measure] for epoch in later(run))
    waited = [epoch["phase_s"].get("val.wait", 0.0) for run in runs["overlapped"] for epoch in later(run)]
    busy = busy_seconds(traced["rank0"][0])
    rows = collections.defaultdict(list)
    for number, epoch in seconds["overlapped", "epoch_s"].items():
        e, v = seconds["none", "epoch_s"].get(number), seconds["rank0", "val_s"].get(number)
        if e is None or v is None:
            continue
        rows["E, epoch without validation, s"].append(e)
        rows["V, validation under rank0, s"].append(v)
        rows["epoch under rank0, s"].append(seconds["rank0", "epoch_s"][number])
        rows["epoch under overlapped, s"].append(epoch)
        rows["slowdown of the training (train_s, overlapped / none)"].append(
            seconds["overlapped", "train_s"][number] / seconds["none", "train_s"][number])
        rows["overlapped / (E + V); target: below 1"].append(epoch / (e + v))
        if busy:
            rows["overlapped / max(E, busy); target: at most 1.10"].append(epoch / max(e, busy["train"] + busy["val"]))
    records = runs["overlapped"]
    print(f"\noverlap: {records[0]['validations'][-1]['images']} validation images, {len(records)} rounds, {bench.options.ranks} rank(s)")
    for what, values in rows.items():
        print(f"  {what}: {spread(values)}")
    print(f"  training held up by the last validation (val.wait): {spread(waited)} s an epoch")
    for kind in ("train", "val"):
        print(f"  GPU busy with {kind}, an epoch (rank0, traced): {f'{busy[kind]:.3f} s' if busy else NO_GPU}")
    if not busy:
        print(f"  overlapped / max(E, busy): {NO_GPU}")


def main():
    options = arguments()
    bench = Bench(options)
    if options.only != "overlap":
        serial(bench)
    if options.only != "serial":
        overlap(bench)


if __name__ == "__main__":
    main()
