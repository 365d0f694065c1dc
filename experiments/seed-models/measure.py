#!/usr/bin/env python3
"""ChatGLM2-6B and InternLM2-7B at full size, with made-up BF16 weights: load time, peak memory, time to the first token.

    measure.py FOLDER [--program PATH] [--models chatglm2-6b internlm2-7b] [--lengths 4096 16384] [--precision bf16]

Writes each model to FOLDER in shards (12.5 and 15.5 GB), measures it, and removes it. Needs NumPy, as much disk, and 20 GiB of memory with
--precision bf16, twice that with fp32. Time and memory do not depend on what the weights are; what a sparse prefill keeps does, so it is run at the density that the
options give.
"""
import argparse
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESOURCES = ROOT / "Sources/HaystackModel"
SHARD_BYTES = 2 << 30


def chatglm2():
    hidden, layers, width, vocabulary, d, heads, groups = 4096, 28, 13696, 65024, 128, 32, 2
    config = {
        "model_type": "chatglm", "_name_or_path": "THUDM/chatglm2-6b", "add_bias_linear": False, "add_qkv_bias": True,
        "apply_residual_connection_post_layernorm": False, "ffn_hidden_size": width, "hidden_size": hidden, "kv_channels": d,
        "layernorm_epsilon": 1e-5, "multi_query_attention": True, "multi_query_group_num": groups, "num_attention_heads": heads,
        "num_layers": layers, "original_rope": True, "padded_vocab_size": vocabulary, "post_layer_norm": True, "rmsnorm": True,
        "seq_length": 32768, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "eos_token_id": 2,
    }
    fused = (heads + 2 * groups) * d
    tensors = {"transformer.embedding.word_embeddings.weight": [vocabulary, hidden]}
    for layer in range(layers):
        p = f"transformer.encoder.layers.{layer}."
        tensors |= {
            p + "input_layernorm.weight": [hidden], p + "self_attention.query_key_value.weight": [fused, hidden],
            p + "self_attention.query_key_value.bias": [fused], p + "self_attention.dense.weight": [hidden, heads * d],
            p + "post_attention_layernorm.weight": [hidden], p + "mlp.dense_h_to_4h.weight": [2 * width, hidden],
            p + "mlp.dense_4h_to_h.weight": [hidden, width],
        }
    return config, tensors | {"transformer.encoder.final_layernorm.weight": [hidden], "transformer.output_layer.weight": [vocabulary, hidden]}


def internlm2():
    hidden, layers, width, vocabulary, d, heads, groups = 4096, 32, 14336, 92544, 128, 32, 8
    config = {
        "model_type": "internlm2", "bias": False, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": hidden, "intermediate_size": width,
        "max_position_embeddings": 32768, "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": groups,
        "rms_norm_eps": 1e-5, "rope_scaling": {"type": "dynamic", "factor": 2.0}, "rope_theta": 1000000, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", "vocab_size": vocabulary,
    }
    tensors = {"model.tok_embeddings.weight": [vocabulary, hidden]}
    for layer in range(layers):
        p = f"model.layers.{layer}."
        tensors |= {
            p + "attention_norm.weight": [hidden], p + "attention.wqkv.weight": [(heads + 2 * groups) * d, hidden],
            p + "attention.wo.weight": [hidden, heads * d], p + "ffn_norm.weight": [hidden], p + "feed_forward.w1.weight": [width, hidden],
            p + "feed_forward.w3.weight": [width, hidden], p + "feed_forward.w2.weight": [hidden, width],
        }
    return config, tensors | {"model.norm.weight": [hidden], "output.weight": [vocabulary, hidden]}


MODELS = {"chatglm2-6b": chatglm2, "internlm2-7b": internlm2}


def write(folder, config, tensors):
    """The model in shards; returns the bytes of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (RESOURCES / "haystack-13m" / name).exists():
            shutil.copy(RESOURCES / "haystack-13m" / name, folder)
    # One block of numbers, begun elsewhere for each tensor: making billions of them would take longer than all the rest.
    random = np.random.default_rng(1)
    block = (random.standard_normal(1 << 24).astype(np.float32) * 0.02).view(np.uint32)
    block = ((block + 0x8000) >> 16).astype(np.uint16)
    ones = np.full(1 << 16, 0x3F80, dtype=np.uint16)
    shards, size = [[]], 0
    for name, shape in tensors.items():
        count = int(np.prod(shape))
        if size + 2 * count > SHARD_BYTES and shards[-1]:
            shards.append([])
            size = 0
        shards[-1].append((name, shape, count))
        size += 2 * count
    index = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        header, offset = {}, 0
        for name, shape, count in shard:
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + 2 * count]}
            offset += 2 * count
            index[name] = file
        text = json.dumps(header).encode()
        with open(folder / file, "wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            for name, shape, count in shard:
                source = ones if "norm" in name else np.roll(block, int(random.integers(1 << 24)))
                for start in range(0, count, len(source)):
                    source[:min(len(source), count - start)].tofile(out)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return sum(2 * int(np.prod(shape)) for shape in tensors.values())


def drop_caches():
    """True where this program may."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
        return True
    except OSError:
        return False


def read_once(folder):
    start = time.monotonic()
    buffer = bytearray(1 << 24)
    for path in sorted(folder.glob("*.safetensors")):
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.monotonic() - start


def run(program, *arguments):
    """The JSON result, and the largest memory of the process in bytes."""
    process = subprocess.Popen([program, *map(str, arguments), "--json"], stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, (arguments, status)
    return json.loads(output), 1024 * usage.ru_maxrss


def prompt(program, tokens, folder):
    """A file that the bundled tokenizer, which the models are given too, turns into exactly so many tokens."""
    text = (RESOURCES / "text/moby-dick.txt").read_text(encoding="utf-8")
    path = folder / f"prompt-{tokens}.txt"
    low, high = tokens, min(len(text), 6 * tokens)
    while low < high:
        middle = (low + high) // 2
        path.write_text(text[:middle], encoding="utf-8")
        # Quick: each head sees one key.
        count = run(program, "generate", "--prompt-file", path, "--max-tokens", 1, "--head-pattern", "window", "--window-tokens", 1)[0]
        count = count["promptTokens"]
        if count == tokens:
            return path
        low, high = (middle + 1, high) if count < tokens else (low, middle)
    raise SystemExit(f"no prefix of the text has {tokens} tokens")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--program", default=str(ROOT / ".build/release/sample-attention"))
    arguments.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    arguments.add_argument("--lengths", nargs="*", type=int, default=[4096, 16384])
    arguments.add_argument("--precision", default="bf16")
    arguments.add_argument("--density", type=float, default=0.1)
    arguments.add_argument("--output", type=Path, default=HERE / "results.json")
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    prompts = {length: prompt(options.program, length, options.folder) for length in options.lengths}
    rows = []
    for name in options.models:
        folder = options.folder / name
        try:
            bytes_ = write(folder, *MODELS[name]())
            isCold = drop_caches()
            cold = read_once(folder)
            warm = read_once(folder)
            if isCold:
                drop_caches()
            for length in options.lengths:
                estimate = run(options.program, "estimate", "--model", folder, "--length", length)[0]
                for attention in (["--attention", "dense"], ["--attention", "sample", "--density", options.density]):
                    result, memory = run(options.program, "generate", "--model", folder, "--prompt-file", prompts[length], "--max-tokens", 1,
                                         "--precision", options.precision, *attention)
                    rows.append({
                        "model": name, "weightBytes": bytes_, "readSeconds": {"cold" if isCold else "first": cold, "again": warm},
                        "loadSeconds": result["loadSeconds"], "isFirstLoad": isCold and len([r for r in rows if r["model"] == name]) == 0,
                        "peakBytes": memory, "length": length, "attention": result["attention"], "density": result["density"],
                        "prefillSeconds": result["prefillSeconds"], "attentionSeconds": result["attentionSeconds"],
                        "estimate": estimate["complete"],
                        "machine": result["provenance"]["machine"]})
                    print(json.dumps(rows[-1]), flush=True)
                    options.output.write_text(json.dumps(rows, indent=1) + "\n")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


main()
