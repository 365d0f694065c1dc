#!/usr/bin/env python3
"""The program and torch in turns on a machine with AMX, both in BF16: dense causal attention and products with weights.

usage: turns.py PROGRAM [--threads 2 16] [--rounds 5] [--output results.json]

Needs torch. In a round each system has one turn at each size; ratios are taken within a round and their medians reported, because such
machines are shared: a neighbour on the other half of a core halves the speed of both systems. The program measures the peak of the tiles
before each of its turns. Torch's idle threads sleep while the program runs.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import torch  # noqa: E402

LENGTH, HEADS = 8192, 8
SHAPES = ((8192, 384, 896), (8192, 576, 1536), (8192, 1024, 1024), (2048, 4096, 4096))


def median_time(run, times=3):
    run()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def own(program, threads, *arguments):
    command = [program, "bench", *map(str, arguments), "--isa", "amx", "--precision", "bf16", "--threads", str(threads), "--rounds", "3", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    rows, tool = [], {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        attention = {d: [torch.randn(1, HEADS, LENGTH, d, dtype=torch.bfloat16) for _ in range(3)] for d in (64, 128)}
        products = {s: (torch.randn(s[0], s[1], dtype=torch.bfloat16), torch.randn(s[2], s[1], dtype=torch.bfloat16)) for s in SHAPES}
        found = {}
        for _ in range(options.rounds):
            with torch.no_grad():
                peers = {("attention", d): median_time(lambda: torch.nn.functional.scaled_dot_product_attention(*qkv, is_causal=True))
                         for d, qkv in attention.items()}
                peers |= {("product", s): median_time(lambda: torch.nn.functional.linear(*xw)) for s, xw in products.items()}
            answer = own(options.program, threads, "attention", "--length", LENGTH, "--query-heads", HEADS, "--key-value-heads", HEADS,
                         "--pattern", "dense")
            tool = answer["provenance"]["tool"]
            ours = {("attention", r["headDimension"]): r for r in answer["results"]}
            shapes = [argument for s in SHAPES for argument in ("--shape", "x".join(map(str, s)))]
            ours |= {("product", (r["rows"], r["inputs"], r["outputs"])): r for r in own(options.program, threads, "gemm", *shapes)["results"]}
            for key, peer in peers.items():
                mine = ours[key]
                found.setdefault(key, []).append(
                    {"own": mine["milliseconds"], "torch": 1e3 * peer, "ofPeak": mine["shareOfPeak"]})
        for (what, size), turns in found.items():
            operations = 2 * HEADS * LENGTH**2 * size if what == "attention" else 2 * size[0] * size[1] * size[2]
            middle = {name: statistics.median(turn[name] for turn in turns) for name in ("own", "torch", "ofPeak")}
            ratio = statistics.median(turn["torch"] / turn["own"] for turn in turns)
            rows.append({"threads": threads, "what": what, "size": size, "turns": turns, "timesTorch": ratio, **middle})
            label = f"d {size}" if what == "attention" else "x".join(map(str, size))
            print(f"{threads:2} threads, {what} {label}: own {middle['own']:.1f} ms, {operations / middle['own'] / 1e6:.0f} GFLOP/s, "
                  f"{100 * middle['ofPeak']:.0f} % of the peak of its turn; torch {middle['torch']:.1f} ms, "
                  f"{operations / middle['torch'] / 1e6:.0f} GFLOP/s; {ratio:.2f} times torch "
                  f"({', '.join('%.2f' % (turn['torch'] / turn['own']) for turn in turns)})", flush=True)
    if options.output:
        cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
        options.output.write_text(json.dumps({"cpu": cpu, "tool": tool, "torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
