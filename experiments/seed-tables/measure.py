#!/usr/bin/env python3
"""The two comparison tables of SampleAttention (arXiv 2406.15486, second version) on the bundled model, in the paper's row order: accuracy
(LongBench and BABILong there, tasks made from a text here) and time to first token. Writes results.json and results.md beside this script."""
import argparse
import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Row, our method, published for ChatGLM2-6B: LongBench total, BABILong, seconds to the first token at 96K, speed-up over FlashAttention-2.
ROWS = [
    ("Full attention", "dense", 837.40, 30.20, 20.0, 1.00), ("SampleAttention (α 0.95)", "paper", 833.00, 31.04, 12.3, 1.62),
    ("BigBird", "big-bird", 765.94, 27.68, 17.6, 1.14), ("StreamingLLM", "streaming-llm", 519.27, 14.60, 15.8, 1.27),
    ("HyperAttention", "hyper-attention", 508.94, 17.00, 17.0, 1.18), ("Hash-Sparse", "hash-sparse", 364.49, 11.20, None, None)]
OURS = [("SampleAttention v3", "paper-v3"), ("SampleAttention, window-aware", "sample"), ("SampleAttention, tuned", "tuned")]
RETRIEVAL = ["needle-multi-key", "interleaved", "copy", "variable"]
STORIES = ["babi-qa1", "babi-qa2"]


def compare(options, kinds, length, count, *more):
    methods = ",".join([row[1] for row in ROWS] + [name for _, name in OURS])
    command = [options.program, "compare", "--precision", options.precision, "--methods", methods, "--length", str(length), "--count", str(count)]
    for kind in kinds:
        command += ["--kind", kind]
    if options.config:
        command += ["--config", options.config]
    return json.loads(subprocess.run([*command, *more, "--json"], check=True, stdout=subprocess.PIPE).stdout)


def share(rows, method, kinds):
    """Mean over kinds of the share of right answers, in percent."""
    shares = [row["score"] / row["asked"] for row in rows if row["method"] == method and row["task"] in kinds]
    return 100 * sum(shares) / len(shares)


def accuracy_table(rows, options):
    lines = [
        f"| system | LongBench, published | of full | retrieval tasks, {options.accuracy_length:,} tokens | of full | BABILong, published | of full "
        f"| stories, {options.story_length:,} tokens | of full |", "|---|---|---|---|---|---|---|---|---|"]
    full = {kinds[0]: share(rows, "dense", kinds) for kinds in (RETRIEVAL, STORIES)}
    for name, method, long_bench, babi_long, *_ in [*ROWS, *[(name, method, None, None) for name, method in OURS]]:
        cells = []
        for published, kinds, reference in ((long_bench, RETRIEVAL, 837.40), (babi_long, STORIES, 30.20)):
            own = share(rows, method, kinds)
            cells += ["–", "–"] if published is None else [f"{published:.2f}", f"{100 * published / reference:.1f} %"]
            cells += [f"{own:.1f} %", f"{100 * own / full[kinds[0]]:.1f} %"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def time_table(rows, options):
    lines = [
        f"| system | published, 96K tokens, A100 | speed-up | here, {options.time_length:,} tokens | speed-up | density |",
        "|---|---|---|---|---|---|"]
    for name, method, _, _, seconds, speed_up in [*ROWS, *[(name, method, None, None, None, None) for name, method in OURS]]:
        row = next(row for row in rows if row["method"] == method and row["length"] == options.time_length)
        published = ["–", "–"] if seconds is None else [f"{seconds:.1f} s", f"{speed_up:.2f}×"]
        lines.append(
            f"| {name} | " + " | ".join(published) + f" | {row['prefillSeconds']:.2f} s | {row['speedUp']:.2f}× | {100 * row['density']:.1f} % |")
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=str(ROOT / ".build/release/sample-attention"))
    arguments.add_argument("--config", help="a tuned config (default: the bundled model's own)")
    arguments.add_argument("--precision", default="bf16")
    arguments.add_argument("--accuracy-length", type=int, default=16384)
    arguments.add_argument("--story-length", type=int, default=4096)
    arguments.add_argument("--time-length", type=int, default=32768)
    options = arguments.parse_args()
    accuracy = compare(options, RETRIEVAL, options.accuracy_length, 4, "--depth", "0.1", "--depth", "0.5", "--depth", "0.9")
    stories = compare(options, STORIES, options.story_length, 24)
    times = compare(options, ["perplexity"], options.time_length, 3)
    rows = accuracy["rows"] + stories["rows"] + times["rows"]
    machine = times["provenance"]["machine"]
    (HERE / "results.json").write_text(json.dumps({"provenance": times["provenance"], "model": times["model"], "rows": rows}, indent=1) + "\n")
    (HERE / "results.md").write_text(
        f"{machine['cpu']}, {machine['instructionSet']}, {machine['threads']} threads, {machine['precision'].upper()}\n\n"
        f"## Accuracy\n\n{accuracy_table(rows, options)}\n\n## Time to first token\n\n{time_table(rows, options)}\n")
    print((HERE / "results.md").read_text())


if __name__ == "__main__":
    main()
