"""Writes a Llama folder of a 7 B model's shape with few layers and random weights in BF16: python made_model.py FOLDER [LAYERS]

Hidden size 4,096, feed-forward 11,008, 32 heads of 128, 32,000 tokens with tied embeddings; the tokenizer is the bundled model's.
"""
import json
import pathlib
import shutil
import struct
import sys

import numpy as np

HIDDEN, WIDTH, VOCABULARY, HEADS = 4096, 11008, 32000, 32
SOURCE = pathlib.Path(__file__).resolve().parents[2] / "Sources/HaystackModel/haystack-13m"


def tensors(layers):
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN), 0.02
    yield "model.norm.weight", (HIDDEN,), None
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        for name in "qkvo":
            yield f"{prefix}self_attn.{name}_proj.weight", (HIDDEN, HIDDEN), HIDDEN**-0.5
        for name in ("gate", "up"):
            yield f"{prefix}mlp.{name}_proj.weight", (WIDTH, HIDDEN), HIDDEN**-0.5
        yield f"{prefix}mlp.down_proj.weight", (HIDDEN, WIDTH), WIDTH**-0.5
        for name in ("input", "post_attention"):
            yield f"{prefix}{name}_layernorm.weight", (HIDDEN,), None


def main():
    folder, layers = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SOURCE / name, folder)
    config = json.loads((SOURCE / "config.json").read_text())
    config.update(
        hidden_size=HIDDEN, intermediate_size=WIDTH, vocab_size=VOCABULARY, num_hidden_layers=layers, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, head_dim=HIDDEN // HEADS, tie_word_embeddings=True)
    (folder / "config.json").write_text(json.dumps(config))
    header, end = {}, 0
    for name, shape, _ in tensors(layers):
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = np.random.default_rng(1)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, scale in tensors(layers):
            values = np.ones(shape, np.float32) if scale is None else generator.standard_normal(shape, np.float32) * np.float32(scale)
            file.write((values.view(np.uint32) >> 16).astype("<u2").tobytes())


if __name__ == "__main__":
    main()
