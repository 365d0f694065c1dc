#!/usr/bin/env python3
"""Two builds of the program in turns on one machine: is the later one slower?

usage: measure.py BEFORE AFTER [--turns 6] attention|prefill|decode [arguments of the command]

attention   bench attention, its rows by pattern, length, head dimension and precision
prefill     bench prefill, seconds to the first token
decode      generate, milliseconds a new token, for weights in FP32 and BF16 and caches in FP32 and INT8 at --positions; the tokens
            of both builds must be equal

Each turn runs both builds; which of them goes first changes from turn to turn. Prints medians and least values of both, and their ratios. Other work on the machine
must be as little as possible; a row whose spread is larger than the difference says nothing.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile


def output(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def bench(program, command, arguments):
    """Time by row of a benchmark: milliseconds, or seconds where it has these."""
    rows = json.loads(output(program, "bench", command, *arguments, "--json"))["results"]
    names = ("pattern", "attention", "length", "headDimension", "precision")
    return {" ".join(str(row[name]) for name in names if name in row): row.get("milliseconds", row.get("seconds")) for row in rows}


def decode(program, prompts):
    """Milliseconds a token by weights, cache and positions, and the tokens."""
    times, tokens = {}, {}
    for positions, prompt in prompts.items():
        for precision in ("fp32", "bf16"):
            for cache in ("fp32", "int8"):
                result = json.loads(output(
                    program, "generate", "--prompt-file", prompt, "--max-tokens", 65, "--precision", precision, "--cache", cache,
                    "--attention", "streaming-llm", "--json"))
                key = f"weights {precision} cache {cache} {positions}"
                times[key] = 1e3 * result["decodeSeconds"] / max(1, len(result["tokens"]) - 1)
                tokens[key] = result["tokens"]
    return times, tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--positions", type=int, nargs="+", default=[1024, 16384])
    parser.add_argument("what", choices=("attention", "prefill", "decode"))
    options, arguments = parser.parse_known_args()
    programs = (options.before, options.after)
    found = ({}, {})
    with tempfile.TemporaryDirectory() as folder:
        prompts = {}
        if options.what == "decode":
            for positions in options.positions:
                prompts[positions] = pathlib.Path(folder, f"{positions}.txt")
                text = output(options.after, "tasks", "--kind", "needle-single", "--length", positions - 24, "--prompt-only")
                prompts[positions].write_text(text)
        for number in range(options.turns):
            tokens = [None, None]
            for index in (0, 1) if number % 2 == 0 else (1, 0):
                if options.what == "decode":
                    times, tokens[index] = decode(programs[index], prompts)
                else:
                    times = bench(programs[index], options.what, arguments)
                for row, time in times.items():
                    found[index].setdefault(row, []).append(time)
            if tokens[0] != tokens[1]:
                raise SystemExit("the two builds continue a prompt differently")
    width = max(map(len, found[0]))
    print(f"{'':{width}}  {'before':>18}  {'after':>18}  median   least")
    for row, before in found[0].items():
        after = found[1][row]
        cells = [f"{statistics.median(times):.4g} ({min(times):.4g})" for times in (before, after)]
        ratios = [f"{100 * (b / a - 1):+.1f} %" for a, b in
                  ((statistics.median(before), statistics.median(after)), (min(before), min(after)))]
        print(f"{row:{width}}  {cells[0]:>18}  {cells[1]:>18}  {ratios[0]:>7}  {ratios[1]:>7}")


main()
