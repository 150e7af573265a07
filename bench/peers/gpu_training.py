"""Trainings beside those of Python YOLOv5 v7.0 (golden gpu_training.json).

gpu_training.py collect FOLDER            every epoch of every run.json below FOLDER, as CSV
gpu_training.py compare CSV GOLDEN.json   all values and the means in Markdown; exit code 1 where a mean lies outside
"""
import csv
import json
import pathlib
import statistics
import sys

TOLERANCE = 0.03  # of a mean over seeds
LAST_EPOCHS = 10
COLUMNS = ["model", "amp", "seed", "epoch", "loss_box", "loss_obj", "loss_cls", "precision", "recall", "map50", "map50_95",
           "val_loss_box", "val_loss_obj", "val_loss_cls", "peak_memory_mib"]


def rows_of(run):
    """One row per validated epoch."""
    spec = run["spec"]
    trained = {epoch["epoch"]: epoch for epoch in run["epochs"] if epoch["rank"] == 0}
    for validation in run["validations"]:
        row = {"model": spec["model"], "amp": spec["amp"], "seed": spec["seed"]}
        row.update({name: trained[validation["epoch"]][name] for name in ("loss_box", "loss_obj", "loss_cls", "peak_memory_mib")})
        row.update({name: validation[name] for name in ("epoch", "precision", "recall", "map50", "map50_95")})
        row.update(zip(("val_loss_box", "val_loss_obj", "val_loss_cls"), validation["loss"]))
        yield {name: f"{row[name]:.6g}" if isinstance(row[name], float) else row[name] for name in COLUMNS}


def collect(folder):
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for file in sorted(pathlib.Path(folder).glob("*/*/run.json")):
        writer.writerows(rows_of(json.loads(file.read_text())))


def measures(epochs):
    """What the golden file records of a run: mAP50-95 of the epoch with the best fitness, and the mean of the last ten."""
    best = max(epochs, key=lambda e: 0.1 * float(e["map50"]) + 0.9 * float(e["map50_95"]))
    last = [float(e["map50_95"]) for e in epochs[-LAST_EPOCHS:]]
    return {"best_epoch": int(best["epoch"]), "best": float(best["map50_95"]), "last10": statistics.mean(last),
            "epochs": len(epochs), "memory": max(float(e["peak_memory_mib"]) for e in epochs)}


def compare(table, golden_file):
    runs = {}
    with open(table) as lines:
        for row in csv.DictReader(lines):
            runs.setdefault((row["model"], row["amp"]), {}).setdefault(int(row["seed"]), []).append(row)
    golden = json.loads(pathlib.Path(golden_file).read_text()) if pathlib.Path(golden_file).is_file() else None
    theirs = {}
    for run in golden["runs"] if golden else []:
        theirs.setdefault(run["cfg"], {})[run["seed"]] = {"best": run["best_mAP50_95"], "last10": run["last10_mean_mAP50_95"],
                                                         "best_epoch": run["best_epoch"]}
    print("| model | program | seed | epochs | best epoch | best mAP50-95 | mean of last ten | peak memory, MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for model in sorted(theirs):
        for seed, run in sorted(theirs[model].items()):
            print(f"| {model} | YOLOv5 v7.0, fp16 | {seed} | 60 | {run['best_epoch']} | {run['best']:.4f} | {run['last10']:.4f} | |")
    ours = {key: {seed: measures(epochs) for seed, epochs in seeds.items()} for key, seeds in runs.items()}
    for (model, amp), seeds in sorted(ours.items()):
        for seed, run in sorted(seeds.items()):
            print(f"| {model} | valbench, {amp} | {seed} | {run['epochs']} | {run['best_epoch']} | {run['best']:.4f} "
                  f"| {run['last10']:.4f} | {run['memory']:.0f} |")
    print(f"\n| model | precision | measure | seeds | valbench | YOLOv5 v7.0, fp16 | difference | allowed | |\n{'|---' * 9}|")
    outside = 0
    for (model, amp), seeds in sorted(ours.items()):
        for name, title in (("best", "best mAP50-95"), ("last10", "mean of last ten")):
            mean = statistics.mean(run[name] for run in seeds.values())
            if model not in theirs:
                print(f"| {model} | {amp} | {title} | {len(seeds)} | {mean:.4f} | not measured (no golden runs) | | {TOLERANCE} | |")
                continue
            expected = statistics.mean(run[name] for run in theirs[model].values())
            within = abs(mean - expected) <= TOLERANCE
            outside += not within
            print(f"| {model} | {amp} | {title} | {len(seeds)} | {mean:.4f} | {expected:.4f} | {mean - expected:+.4f} "
                  f"| {TOLERANCE} | {'within' if within else 'OUTSIDE'} |")
    if not golden:
        print(f"\nNothing to compare with: {golden_file} is not there.")
    return 1 if outside or not golden or not ours else 0


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "collect":
        collect(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "compare":
        sys.exit(compare(sys.argv[2], sys.argv[3]))
    else:
        sys.exit(__doc__)
