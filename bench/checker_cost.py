#!/usr/bin/env python3
"""What the collective checker costs a whole run: one small training on two CPU ranks with the checker (hang_timeout 120) and without
(hang_timeout 0), in turn, each pair in the other order than the last one.

    bench/checker_cost.py [ROUNDS] [--set KEY=VALUE ...]

Prints job_s and CPU seconds of every run, and the ratios with / without within a round: median, smallest and largest. A first pair warms
up and does not count. CPU time is what counts on a machine that does other work as well. VALBENCH names the program."""
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SETTINGS = ["strategies=[{name: rank0}]", "ranks=2", "device=cpu", "threads=1", "epochs=4"]


def run(program, settings, hang_timeout, out):
    """Job and CPU seconds of one run."""
    command = [program, "sweep", str(ROOT / "scenarios/quickstart.yaml"), "--rounds", "1", "--out", str(out)]
    for setting in settings + [f"hang_timeout={hang_timeout}"]:
        command += ["--set", setting]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = json.loads((out / "r00-rank0/run.json").read_text())
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return record["job_s"], cpu_s


def main():
    arguments = sys.argv[1:]
    rounds = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 8
    settings = SETTINGS + [text for text in arguments if text != "--set"]
    program = os.environ.get("VALBENCH", str(ROOT / "build/src/main/valbench"))
    names = ("job_s", "CPU s")
    ratios = ([], [])
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {rounds} rounds of quickstart.yaml with {', '.join(settings)}")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            order = (120, 0) if number % 2 == 0 else (0, 120)
            found = {t: run(program, settings, t, pathlib.Path(folder) / f"{number}-{t}") for t in order}
            if number == 0:
                continue
            for i, of_name in enumerate(ratios):
                of_name.append(found[120][i] / found[0][i])
            print(f"round {number}: " + ", ".join(f"{n} {found[120][i]:.2f} with, {found[0][i]:.2f} without" for i, n in enumerate(names)),
                  flush=True)
    for name, of_name in zip(names, ratios):
        print(f"{name}, with / without: {statistics.median(of_name):.3f} ({min(of_name):.3f} to {max(of_name):.3f})")
    print(f"load after: {os.getloadavg()[0]:.1f}")


main()
