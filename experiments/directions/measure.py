#!/usr/bin/env python3
"""Five directions that SampleAttention's authors name, each measured: importance that costs nothing, selections that are shared, patterns
chosen head by head, keys and values in INT8, and eviction before decoding. Writes results.json and results.md beside this script."""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SELECTIONS = ["sample", "paper", "paper-v3", "key-norms", "low-rank", "pooled-queries", "shared-group", "shared-layers"]


def run(options, *command):
    return json.loads(
        subprocess.run([options.program, *command, "--precision", options.precision, "--json"], check=True, stdout=subprocess.PIPE).stdout)


def selections(options, *more):
    """Every way to select, at its own settings or at one density, on text read along."""
    methods = ["dense", *SELECTIONS] + ([] if more else ["tuned"])
    lengths = [word for length in options.lengths for word in ("--length", str(length))]
    return run(
        options, "compare", "--methods", ",".join(methods), "--kind", "interleaved", "--kind", "perplexity", "--count", str(options.count),
        *lengths, *more)["rows"]


def selection_table(rows, lengths):
    lines = [
        "| tokens | selection | density | answers | of dense | loss above dense | mean mass | selection, ms | attention, ms |",
        "|---|---|---|---|---|---|---|---|---|"]
    for length in lengths:
        for method in dict.fromkeys(row["method"] for row in rows):
            answers, text = (
                next(row for row in rows if (row["method"], row["length"], row["task"]) == (method, length, task))
                for task in ("interleaved", "perplexity"))
            lines.append(
                f"| {length:,} | {method} | {100 * text['density']:.1f} % | {answers['score']:.0f}/{answers['asked']} | {100 * answers['scoreOverDense']:.0f} % "
                f"| {100 * text['lossAboveDense']:+.2f} % | {text['meanMass']:.3f} | {1000 * text['selectionSeconds']:.0f} "
                f"| {1000 * text['attentionSeconds']:.0f} |")
    return "\n".join(lines)


def caches(options):
    """Needles that are decoded over what the cache holds, and the cost of a token."""
    settings = [[], ["--cache", "int8"]]
    for rule in ("last-queries", "heavy-hitters", "streaming"):
        settings += [["--evict", rule, "--cache-tokens", str(budget)] for budget in (512, 2048, 8192)]
    settings.append(["--cache", "int8", "--evict", "last-queries", "--cache-tokens", "2048"])
    length = max(options.lengths)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        prompt = pathlib.Path(scratch) / "prompt.txt"
        prompt.write_text(
            subprocess.run(
                [options.program, "tasks", "--kind", "needle-single", "--length", str(length - 64), "--prompt-only"], check=True,
                stdout=subprocess.PIPE).stdout.decode())
        for setting in settings:
            needles = run(
                options, "compare", "--generate", "--methods", "tuned", "--kind", "needle-single", "--kind", "needle-multi-key", "--length",
                str(length), "--count", str(options.count), *setting)["rows"]
            loss = None
            if "--evict" not in setting:
                loss = run(
                    options, "compare", "--methods", "dense", "--kind", "perplexity", "--length", str(length), "--count", "2", *setting
                )["rows"][0]["nll"]
            rows.append({
                "setting": " ".join(setting) or "everything, FP32", "length": length, "score": sum(row["score"] for row in needles),
                "asked": sum(row["asked"] for row in needles), "nll": loss})
        # In turns, so that noise of the machine hits all alike.
        times = [[] for _ in settings]
        for _ in range(5):
            for row, setting, own in zip(rows, settings, times):
                text = run(
                    options, "generate", "--attention", "tuned", "--prompt-file", str(prompt), "--max-tokens", "64", "--no-certificate", *setting)
                own.append(1000 * text["decodeSeconds"] / max(1, len(text["tokens"]) - 1))
                row.update(cachedPositions=text["cachedPositions"], cacheBytes=text["cacheBytes"])
        for row, own in zip(rows, times):
            row["millisecondsPerToken"] = statistics.median(own)
    return rows


def cache_table(rows):
    lines = ["| cache | positions | memory | needles | a token | dense loss, nats |", "|---|---|---|---|---|---|"]
    for row in rows:
        loss = "–" if row["nll"] is None else f"{row['nll']:.4f}"
        lines.append(
            f"| {row['setting']} | {row['cachedPositions']:,} | {row['cacheBytes'] / 2**20:.1f} MiB | {row['score']:.0f}/{row['asked']} "
            f"| {row['millisecondsPerToken']:.1f} ms | {loss} |")
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=str(ROOT / ".build/release/sample-attention"))
    arguments.add_argument("--precision", default="bf16")
    arguments.add_argument("--lengths", type=int, nargs="+", default=[4096, 16384])
    arguments.add_argument("--count", type=int, default=3)
    arguments.add_argument("--density", type=float, default=0.1)
    arguments.add_argument("--part", choices=["selections", "caches"], help="measure this part only; the other stays as results.json has it")
    options = arguments.parse_args()
    known = json.loads((HERE / "results.json").read_text()) if options.part else {}
    own = known["own"] if options.part == "caches" else selections(options)
    forced = known["forced"] if options.part == "caches" else selections(options, "--density", str(options.density))
    cached = known["caches"] if options.part == "selections" else caches(options)
    (HERE / "results.json").write_text(json.dumps({"own": own, "forced": forced, "caches": cached}, indent=1) + "\n")
    (HERE / "results.md").write_text(
        f"## At their own settings\n\n{selection_table(own, options.lengths)}\n\n"
        f"## Every head at {100 * options.density:.0f} % of the pairs\n\n{selection_table(forced, options.lengths)}\n\n"
        f"## Keys and values, {max(options.lengths):,} tokens\n\n{cache_table(cached)}\n")
    print((HERE / "results.md").read_text())


if __name__ == "__main__":
    main()
