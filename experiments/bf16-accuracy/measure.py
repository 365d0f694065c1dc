#!/usr/bin/env python3
"""What does rounding operands to BF16 do to answers and loss? Evaluates the bundled model in both precisions on the prompts of
../reference-accuracy and on a bundled book, and prints a Markdown table."""
import argparse
import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
PROMPTS = HERE.parent / "reference-accuracy"
BOOK = HERE.parents[1] / "Sources/HaystackModel/text/treasure-island.txt"


def evaluate(program, precision, *options):
    command = [program, "evaluate", "--precision", precision, "--json", *options]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=".build/release/sample-attention")
    options = arguments.parse_args()
    columns = {}
    for precision in ("fp32", "bf16"):
        cells = columns[precision] = {}
        for file in ("needle-variable.jsonl", "interleaved.jsonl"):
            result = evaluate(options.program, precision, "--tasks", str(PROMPTS / file), "--length", "4096", "--length", "8192")
            for row in result["tasks"]:
                cells[f"{row['task']}, {row['length']:,} tokens"] = f"{row['score']}/{row['asked']}"
        for length in ("4096", "16384"):
            result = evaluate(options.program, precision, "--perplexity", str(BOOK), "--length", length)
            cells[f"{BOOK.stem}, nats a token, {int(length):,} tokens"] = f"{result['perplexity'][0]['nll']:.4f}"
    print("| | FP32 | BF16 |\n|---|---|---|")
    for name, value in columns["fp32"].items():
        print(f"| {name} | {value} | {columns['bf16'][name]} |")


if __name__ == "__main__":
    main()
