"""results/reference/parity.md: every check against YOLOv5's numbers with its tolerance and its largest deviation.

ninja -C build parity-table
parity_table.py OUT.md TEST_PROGRAM...   what that runs; it runs the programs and collects what they report

The rows of tests that need a GPU come from OUT_gpu.tsv beside OUT.md, where that is there: the file that VALBENCH_DEVIATIONS named
when gpu_parity and gpu_nms ran.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

LIMIT_S = 1800
HEAD = """# Parity

Each check against the numbers of YOLOv5 v7.0 (`../shared/golden`, CONTRIBUTING.md), its tolerance, and the largest deviation of all its
values. Where a tolerance is relative it is that of the value that came closest to it. Checks that must be equal (checksums of pixels,
counts, indices, orders of boxes) have no row; they are part of the same tests. Made by

    ninja -C build parity-table
"""
GPU_HEAD = """
## GPU against CPU

From `{name}` beside this page, which `VALBENCH_DEVIATIONS={name} build/tests/gpu/gpu_parity` writes on a machine with a GPU. fp32 is
without TF32. Rows without a tolerance are reported only.
"""


def read_rows(file):
    """[(program, check, tolerance, deviation, values)], one row per check: the one closest to its tolerance, values added up."""
    worst = {}
    lines = file.read_text().splitlines() if file.is_file() else []
    for line in lines:
        program, check, tolerance, deviation, values = line.split("\t")
        row = [program, check, float(tolerance) if tolerance else None, float(deviation), int(values)]
        before = worst.setdefault((program, check), row)
        if before is not row:
            if ratio(row) > ratio(before):
                before[2:4] = row[2:4]
            before[4] += row[4]
    return list(worst.values())


def ratio(row):
    if row[3] == 0:
        return 0.0
    return row[3] / row[2] if row[2] else float("inf")


def table(rows):
    lines = ["| test | check | tolerance | largest deviation | values |", "|---|---|---|---|---|"]
    for program, check, tolerance, deviation, values in rows:
        check = check.replace("|", "\\|")
        lines.append(f"| {program} | {check} | {'none' if tolerance is None else f'{tolerance:.3g}'} | {deviation:.3g} | {values} |")
    return "\n".join(lines) + "\n"


def run(program, rows_file):
    """Returns the reasons of its skipped cases, and whether it passed."""
    environment = dict(os.environ, VALBENCH_DEVIATIONS=str(rows_file))
    done = subprocess.run([program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S)
    name = pathlib.Path(program).name
    print(f"{name}: {done.stdout.strip().splitlines()[-1] if done.stdout.strip() else 'no output'}", flush=True)
    if done.returncode != 0:
        print(done.stdout)
    return [f"{name}: {line}" for line in done.stdout.splitlines() if line.startswith("skipped: ")], done.returncode == 0


def main(out, programs):
    skipped, failed = [], []
    with tempfile.TemporaryDirectory() as folder:
        rows_file = pathlib.Path(folder) / "deviations.tsv"
        for program in programs:
            reasons, passed = run(program, rows_file)
            skipped += reasons
            if not passed:
                failed.append(pathlib.Path(program).name)
        rows = read_rows(rows_file)
    if failed:
        sys.exit(f"no table was written: {', '.join(failed)} failed")
    gpu_file = out.with_name(out.stem + "_gpu.tsv")
    gpu_rows = read_rows(gpu_file)
    text = HEAD + f"\n{len(rows)} checks of {sum(row[4] for row in rows)} values.\n\n" + table(rows)
    if skipped:
        text += "\nNot measured:\n\n" + "".join(f"- {reason}\n" for reason in skipped)
    text += GPU_HEAD.format(name=gpu_file.name) + ("\n" + table(gpu_rows) if gpu_rows else "\nNot measured (no GPU run is recorded).\n")
    part = out.with_name(out.name + ".part")
    part.write_text(text)
    part.replace(out)
    print(f"{len(rows)} checks of the CPU and {len(gpu_rows)} of the GPU in {out}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
