#!/usr/bin/env python3
"""Ranks of mpirun beside one process with as many threads, in turn, on the same prompts: seconds of the whole command, and whether both find the same."""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=str(ROOT / ".build/release/sample-attention"))
    arguments.add_argument("--mpirun", default="mpirun --allow-run-as-root --bind-to core", help="the launcher and its options")
    arguments.add_argument("--ranks", type=int, nargs="+", default=[2])
    arguments.add_argument("--tasks", type=int, default=24)
    arguments.add_argument("--length", type=int, default=4096)
    arguments.add_argument("--attention", default="tuned")
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tasks = pathlib.Path(scratch) / "tasks.jsonl"
        made = [options.program, "tasks", "--kind", "interleaved", "--length", str(options.length), "--count", str(options.tasks)]
        tasks.write_bytes(subprocess.run(made, check=True, stdout=subprocess.PIPE).stdout)
        command = [options.program, "evaluate", "--tasks", str(tasks), "--attention", options.attention, "--json", "--threads"]
        ways = {}
        for count in options.ranks:
            ways[f"1 process, {count} threads"] = command + [str(count)]
            ways[f"{count} ranks, 1 thread each"] = options.mpirun.split() + ["-n", str(count)] + command + ["1"]
        seconds, scores = {way: [] for way in ways}, set()
        for way in list(ways) * (options.rounds + 1):
            start = time.monotonic()
            result = json.loads(subprocess.run(ways[way], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
            seconds[way].append(time.monotonic() - start)
            task = result["tasks"][0]
            scores.add((task["score"], task["asked"], task["density"]))
    print("| | seconds | lowest | highest |\n|---|---|---|---|")
    for way, taken in seconds.items():
        # The first of each warms the caches.
        taken = taken[1:]
        print(f"| {way} | {statistics.median(taken):.2f} | {min(taken):.2f} | {max(taken):.2f} |")
    print("the same scores and densities everywhere" if len(scores) == 1 else f"DIFFERENT: {scores}")


if __name__ == "__main__":
    main()
