"""The SHA-256 of every tensor of GGUF files as float32, rows as stored: python3 tensor-sums.py FILE...

With the package gguf (0.19.0) this gives golden-sha256.json from the files tiny-*.gguf beside it.
"""
import hashlib
import json
import os
import sys

import gguf
import numpy as np

sums = {}
for path in sys.argv[1:]:
    kind = os.path.basename(path).removesuffix(".gguf").removeprefix("tiny-")
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name == "rope_freqs.weight":
            continue
        values = np.ascontiguousarray(gguf.dequantize(tensor.data, tensor.tensor_type), "<f4")
        sums[f"{kind}/{tensor.name}"] = {"type": tensor.tensor_type.name, "sha256_f32_le": hashlib.sha256(values.tobytes()).hexdigest()}
print(json.dumps(sums, indent=0))
