#!/usr/bin/env python3
"""A model of transformers with SDPA and with sample_attention, in turns on one prompt: seconds, what was kept, and the answers' loss.

    measure.py MODEL --config CONFIG          # MODEL: a folder, or a GGUF file
    measure.py --agree FOLDER …               # how far dense logits are from SDPA's
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import time

import torch
import transformers

import sample_attention
import sample_attention.transformers as bridge

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = ROOT / "Sources/HaystackModel/text/moby-dick.txt"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def load(path, dtype):
    path = pathlib.Path(path)
    where = {"pretrained_model_name_or_path": str(path)}
    if path.suffix == ".gguf":
        where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=dtype, attn_implementation="sdpa")
    return model.eval(), where


def cpu():
    lines = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout.splitlines()
    fields = dict(line.strip().split(":", 1) for line in lines if ":" in line)
    names = ("Model name", "CPU family", "Model", "CPU(s)")
    return ", ".join(f"{name} {fields[name].strip()}" for name in names if name in fields)


def use(model, attention, config):
    """Lets the model attend as a row of the table says."""
    if attention == "sdpa":
        model.set_attn_implementation("sdpa")
    else:
        bridge.set_config(model, config if attention == "tuned" else None)


def prefill(model, ids):
    start = time.perf_counter()
    model(ids, logits_to_keep=1)
    return time.perf_counter() - start


def loss(model, ids, count):
    """Of the last `count` tokens, in nats."""
    logits = model(ids, logits_to_keep=count + 1).logits[0, :-1].float()
    return torch.nn.functional.cross_entropy(logits, ids[0, -count:]).item()


def measure(arguments):
    config = sample_attention.Config(arguments.config) if arguments.config else None
    attentions = ["sdpa", "dense"] + (["tuned"] if config else [])
    results = []
    for precision in arguments.precision:
        model, where = load(arguments.model, DTYPES[precision])
        tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
        tokens = tokenizer(TEXT.read_text()[arguments.skip :], return_tensors="pt").input_ids
        for length in arguments.length:
            ids = tokens[:, :length]
            seconds = {attention: [] for attention in attentions}
            # What is not timed warms up.
            losses, reports = {}, {}
            for attention in attentions:
                use(model, attention, config)
                losses[attention] = loss(model, ids, arguments.answers)
            for _ in range(arguments.rounds):
                for attention in attentions:
                    use(model, attention, config)
                    seconds[attention].append(prefill(model, ids))
                    if attention != "sdpa":
                        reports[attention] = bridge.reports(model).values()
            for attention in attentions:
                row = {
                    "precision": precision,
                    "tokens": length,
                    "attention": attention,
                    "seconds": seconds[attention],
                    "ratios": [a / b for a, b in zip(seconds["sdpa"], seconds[attention])],
                    "loss": losses[attention],
                }
                if attention in reports:
                    layers = reports[attention]
                    row["density"] = sum(r.kept_pairs for r in layers) / sum(r.causal_pairs for r in layers)
                    row["attention seconds"] = sum(
                        r.kernel_seconds + r.selection_seconds + r.certificate_seconds + r.conversion_seconds for r in layers
                    )
                results.append(row)
                print(line(row), flush=True)
    return results


def line(row):
    median, ratio = statistics.median(row["seconds"]), statistics.median(row["ratios"])
    spread = f"{min(row['seconds']):.2f}–{max(row['seconds']):.2f}"
    kept = f"{row['density']:.1%}" if "density" in row else ""
    attention = f"{row['attention seconds']:.2f}" if "attention seconds" in row else ""
    return (
        f"| {row['precision']} | {row['tokens']:,} | {row['attention']} | {median:.2f} ({spread}) | {ratio:.2f}× | {kept} | {attention} "
        f"| {row['loss']:.4f} |"
    )


def agree(folders, tokens):
    """The largest difference of any logit, of a random prompt, FP32."""
    for folder in folders:
        model, _ = load(folder, torch.float32)
        ids = torch.randint(1, model.config.get_text_config().vocab_size, (2, tokens), generator=torch.Generator().manual_seed(1))
        expected = model(ids).logits
        for name, config in (("dense", None), ("alpha 1", sample_attention.Config(alpha=1.0))):
            bridge.set_config(model, config)
            found = model(ids).logits
            print(f"{pathlib.Path(folder).name}: {name}: {(found - expected).abs().max():.1e} of up to {expected.abs().max():.1f}")


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--config")
    parser.add_argument("--agree", nargs="+", default=[], metavar="FOLDER")
    parser.add_argument("--precision", action="append", choices=DTYPES)
    parser.add_argument("--length", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip", type=int, default=100_000, help="characters of the book before the prompt")
    parser.add_argument("--answers", type=int, default=1024, help="tokens at the prompt's end whose loss is taken")
    parser.add_argument("--output")
    arguments = parser.parse_args()
    arguments.precision = arguments.precision or list(DTYPES)
    arguments.length = arguments.length or [8192]
    torch.set_num_threads(arguments.threads)
    agree(arguments.agree, 200)
    if not arguments.model:
        return
    print(f"{cpu()}; {arguments.threads} threads; torch {torch.__version__}, transformers {transformers.__version__}, {platform.machine()}")
    print("| model | tokens | attention | seconds, median (least–most) | over SDPA | kept | attention alone, s | loss |\n|---|---|---|---|---|---|---|---|")
    results = measure(arguments)
    if arguments.output:
        pathlib.Path(arguments.output).write_text(json.dumps({"machine": cpu(), "results": results}, indent=1) + "\n")


main()
