#!/usr/bin/env python3
"""How far does each part follow the threads, and how busy does each study keep them?

usage: measure.py PROGRAM [--threads 1 2 4 8 16] [--only PART ...] [--text FILE] [--output results.json]

What --output holds already of other parts or threads stays there.

parts: pool       microseconds until all threads are at work on a run and it has ended, after pauses of 0, 20 and 1,000 µs
       attention  dense attention of 8 heads and of 1 head, 8,192 tokens, and 8 heads at 512 tokens
       prefill    the bundled model, dense and tuned: 512, 8,192 and 32,768 tokens
       decode     the bundled model, 1,024 tokens cached
       tune, search, profile, compare, evaluate
                  one study each: seconds, and the share of the threads' time in which they were at work

Each row is the time by threads; studies have the busy share beside it, as the program reports it (`threadsBusy`: the share of the
threads' time in which they had a piece of work).
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOOK = ROOT / "Sources/HaystackModel/text"


def run(program, *arguments, ok=(0,)):
    result = subprocess.run([program, *map(str, arguments), "--json"], capture_output=True, text=True)
    if result.returncode not in ok:
        sys.exit(f"{' '.join(map(str, arguments))}: {result.stderr.strip().splitlines()[-1]}")
    return json.loads(result.stdout)


def bench(program, threads, name, command, arguments, label, value):
    rows = run(program, "bench", command, *arguments, "--threads", threads)["results"]
    return {f"{name} {label(row)}": {"value": value(row)} for row in rows}


def calibrated(program, threads):
    """Measures this machine's latency model beforehand: every later run with as many threads finds it in the user's cache."""
    run(program, "calibrate", "--threads", threads)


def study(program, threads, name, *arguments, ok=(0,)):
    begin = time.monotonic()
    result = run(program, *arguments, "--threads", threads, ok=ok)
    seconds = time.monotonic() - begin
    busy = result.get("threadsBusy", result.get("provenance", {}).get("threadsBusy"))
    return {f"{name} s": {"value": seconds, "busy": busy}}


def parts(program, text, folder):
    def pool(t):
        return bench(program, t, "pool", "pool", [], lambda r: f"after {r['pauseMicroseconds']} µs, µs", lambda r: r["microseconds"])

    def attention(t):
        found = {}
        for heads, length in ((8, 8192), (1, 8192), (8, 512)):
            found |= bench(
                program, t, f"attention {heads} heads", "attention",
                ["--length", length, "--query-heads", heads, "--key-value-heads", min(2, heads), "--pattern", "dense", "--head-dimension", 64],
                lambda r: f"{r['length']}, ms", lambda r: r["milliseconds"])
        return found

    def prefill(t):
        found = {}
        for attention in ("dense", "tuned"):
            found |= bench(
                program, t, f"prefill {attention}", "prefill",
                ["--attention", attention, "--length", 512, "--length", 8192, "--length", 32768, "--rounds", 2],
                lambda r: f"{r['length']}, s", lambda r: r["seconds"])
        return found

    def decode(t):
        return bench(
            program, t, "decode", "decode", ["--length", 1024, "--rounds", 3], lambda r: f"{r['cache']} {r['length']}, ms a token",
            lambda r: r["milliseconds"])

    # Held-out text may miss the floor: what counts here is the time.
    def tune(t):
        calibrated(program, t)
        return study(
            program, t, "tune 2,048 and 8,192", "tune", "--length", 2048, "--length", 8192, "--output", f"{folder}/tune{t}", ok=(0, 78))

    def search(t):
        calibrated(program, t)
        return study(program, t, "search 4,096", "search", "--length", 4096, "--output", f"{folder}/search{t}")

    def profile(t):
        return study(program, t, "profile 8,192", "profile", "--length", 8192)

    def compare(t):
        return study(
            program, t, "compare 8,192", "compare", "--methods", "dense,paper,tuned", "--length", 8192, "--kind", "needle-multi-key",
            "--kind", "interleaved", "--kind", "perplexity", "--count", 1)

    def evaluate(t):
        return study(program, t, "evaluate 8,192", "evaluate", "--perplexity", text, "--length", 8192, "--windows", 6)

    return {f.__name__: f for f in (pool, attention, prefill, decode, tune, search, profile, compare, evaluate)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--text", default=str(sorted(BOOK.glob("*.txt"))[0]) if BOOK.is_dir() else None)
    parser.add_argument("--output")
    options = parser.parse_args()
    threads = sorted(t for t in options.threads if t <= os.cpu_count())
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    output = pathlib.Path(options.output) if options.output else None
    found = json.loads(output.read_text())["rows"] if output and output.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name, part in parts(options.program, options.text, folder).items():
            if options.only and name not in options.only:
                continue
            for t in threads:
                for key, row in part(t).items():
                    found.setdefault(key, {})[str(t)] = row
    threads = sorted({int(t) for row in found.values() for t in row})
    print(f"{cpu}, {os.cpu_count()} cores\n")
    print("| what | " + " | ".join(f"{t} threads" for t in threads) + " |\n|" + " --- |" * (len(threads) + 1))
    for key, row in found.items():
        cells = []
        for t in threads:
            one = row.get(str(t))
            if one is None:
                cells.append("")
                continue
            cells.append(f"{one['value']:.3g}" + (f" ({one['busy']:.0%})" if one.get("busy") is not None else ""))
        print(f"| {key} | " + " | ".join(cells) + " |")
    if output:
        output.write_text(json.dumps({"cpu": cpu, "cores": os.cpu_count(), "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
