#!/usr/bin/env python3
"""What does tuning each head gain over fixed settings? Evaluates the bundled model under each setting on texts it was not tuned on:
interleaved questions (../reference-accuracy/interleaved.jsonl) and the loss on a bundled book (held out from tuning), at four lengths.
Writes results.json and results.md beside this script.

Settings: dense; the paper's (alpha .95, window 8 %, 5 % of the rows, columns by all their mass); the same with window-aware columns; one
window of 512 and 64 sinks for every head; the same with the two retrieval heads dense (a crude oracle); the tuned config."""
import argparse
import copy
import json
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TASKS = HERE.parent / "reference-accuracy" / "interleaved.jsonl"
BOOK = ROOT / "Sources/HaystackModel/text/treasure-island.txt"
WINDOW = ["--head-pattern", "window", "--window-tokens", "512", "--sinks", "64"]
RETRIEVAL_HEADS = [(7, 4), (7, 5)]
# Windows of the book, and tokens between their starts: spread over its 103,378 tokens.
WINDOWS = {4096: (6, 19000), 8192: (4, 30000), 16384: (4, 28000), 32768: (3, 35000)}


def run(program, *options):
    return json.loads(subprocess.run([program, *options, "--json"], check=True, stdout=subprocess.PIPE).stdout)


def oracle(config, path):
    """The config with the retrieval heads dense and all others a window of 512 and 64 sinks."""
    config = copy.deepcopy(config)
    window = {"pattern": "window", "alpha": 0.95, "windowTokens": 512, "sinks": 64, "denseLastRows": 64}
    for bucket in config["buckets"]:
        for layer, heads in enumerate(bucket["layers"]):
            for head, entry in enumerate(heads):
                entry["parameters"] = (
                    {**window, "pattern": "dense", "sampleRatio": 0.05, "sampling": "stride", "columnScoring": "window-aware"}
                    if (layer, head) in RETRIEVAL_HEADS else window)
    path.write_text(json.dumps(config))


def evaluate(options, length, attention):
    windows, stride = WINDOWS.get(length, (1, 1))
    result = run(
        options.program, "evaluate", "--precision", options.precision, "--tasks", str(TASKS), "--perplexity", str(BOOK), "--length",
        str(length), "--windows", str(windows), "--stride", str(stride), *attention)
    task, loss = result["tasks"][0], result["perplexity"][0]
    return {
        "length": length, "score": task["score"], "asked": task["asked"], "nll": loss["nll"], "density": task["density"],
        "prefillSeconds": task["prefillSeconds"]}


def table(rows):
    lines = ["| tokens | setting | density | interleaved answers | of dense | loss | above dense | prefill | speed-up |", "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        dense = next(other for other in rows if other["length"] == row["length"] and other["setting"] == "dense")
        lines.append(
            f"| {row['length']:,} | {row['setting']} | {100 * row['density']:.1f} % | {row['score']}/{row['asked']} "
            f"| {100 * row['score'] / dense['score']:.1f} % | {row['nll']:.4f} | {100 * (row['nll'] / dense['nll'] - 1):+.2f} % "
            f"| {row['prefillSeconds']:.2f} s | {dense['prefillSeconds'] / row['prefillSeconds']:.2f}× |")
    return "\n".join(lines) + "\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=str(ROOT / ".build/release/sample-attention"))
    arguments.add_argument("--config", help="a tuned config (default: one is made first, which takes some minutes)")
    arguments.add_argument("--precision", default="bf16")
    arguments.add_argument("--lengths", type=int, nargs="+", default=list(WINDOWS))
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        if not options.config:
            run(options.program, "tune", "--precision", options.precision, "--output", str(scratch / "tuned"))
            options.config = str(scratch / "tuned/config.json")
        config = json.loads(pathlib.Path(options.config).read_text())
        oracle(config, scratch / "oracle.json")
        settings = {
            "dense": [], "paper": ["--attention", "paper"], "window-aware": ["--attention", "sample"], "window 512 + 64 sinks": WINDOW,
            "the same, 2 heads dense": ["--config", str(scratch / "oracle.json")], "tuned": ["--config", options.config]}
        rows = []
        for length in options.lengths:
            for setting, attention in settings.items():
                rows.append({"setting": setting, **evaluate(options, length, attention)})
                print(table(rows).splitlines()[-1], flush=True)
    result = {"provenance": config["provenance"], "precision": options.precision, "rows": rows}
    (HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "results.md").write_text(table(rows))


if __name__ == "__main__":
    main()
