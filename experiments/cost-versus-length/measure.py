#!/usr/bin/env python3
"""How does the time of each part grow with the length? Prints a Markdown table; the exponent between two lengths is
log2(time ratio) / log2(length ratio): 1 is linear, 2 quadratic."""
import argparse
import json
import math
import subprocess

ATTENTION_LENGTHS = [2048, 4096, 8192, 16384, 32768, 65536, 131072]
PREFILL_LENGTHS = [2048, 4096, 8192, 16384, 32768]
HEADS = ["--query-heads", "2", "--key-value-heads", "1", "--head-dimension", "64"]


def bench(program, precision, part, lengths, *options):
    command = [program, "bench", part, "--precision", precision, "--json", *options]
    for length in lengths:
        command += ["--length", str(length)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["results"]


def parts(program, precision, rounds):
    """(name, [(length, seconds)]) of everything that a prefill consists of."""
    attention = bench(program, precision, "attention", ATTENTION_LENGTHS, *HEADS, "--rounds", rounds,
                      "--pattern", "dense", "--pattern", "window-columns", "--pattern", "columns-slashes", "--density", "0.05")
    for pattern in ("dense", "window-columns", "columns-slashes"):
        own = [row for row in attention if row["pattern"] == pattern]
        density = f", {own[0]['density']:.1%}–{own[-1]['density']:.1%}" if pattern != "dense" else ""
        yield f"attention, {pattern}{density}", [(row["length"], row["milliseconds"] / 1e3) for row in own]
    selection = bench(program, precision, "selection", ATTENTION_LENGTHS, *HEADS, "--rounds", rounds, "--sample-ratio", "0.05")
    for pattern in ("stripe-window", "column-slash"):
        own = [row for row in selection if row["pattern"] == pattern]
        yield f"selection, {pattern}, 5 % of the rows", [(row["length"], row["milliseconds"] / 1e3) for row in own]
    prefill = bench(program, precision, "prefill", PREFILL_LENGTHS, "--rounds", rounds)
    for name, key in (("matrix products", "productSeconds"), ("everything else", "otherSeconds")):
        yield f"prefill, {name}", [(row["length"], row[key]) for row in prefill]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=".build/release/sample-attention")
    arguments.add_argument("--precision", default="bf16")
    arguments.add_argument("--rounds", default="3")
    options = arguments.parse_args()
    print("| seconds at | " + " | ".join(f"{length:,}" for length in ATTENTION_LENGTHS) + " | growth, by doubling |")
    print("|---|" + "---|" * (len(ATTENTION_LENGTHS) + 1))
    for name, points in parts(options.program, options.precision, options.rounds):
        exponents = [math.log2(b[1] / a[1]) / math.log2(b[0] / a[0]) for a, b in zip(points, points[1:])]
        cells = [f"{seconds:.4g}" for _, seconds in points] + ["–"] * (len(ATTENTION_LENGTHS) - len(points))
        print(f"| {name} | " + " | ".join(cells) + " | " + " ".join(f"{e:.2f}" for e in exponents) + " |", flush=True)


if __name__ == "__main__":
    main()
