#!/usr/bin/env python3
"""How much of the structure gap is the structure's, and how much the ranking's? NumPy, on captured queries and keys.

For every head: SD(0.95); the best window + columns when columns are ranked by their mass outside the window (what
SampleAttention can choose from, and what `profile` reports), by their largest probability, and by a greedy covering that
looks at every query's deficit again after each choice. All with CRA >= 0.95: every query keeps 95 %.
Prints a Markdown table: means over heads, and the heads where the greedy covering gains most."""
import argparse
import json
import pathlib
import struct
import subprocess
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
WINDOWS = [64 << i for i in range(8)]


def capture(program, text, length):
    """Layer -> (q [heads][query][d], k [heads][key][d])."""
    with tempfile.TemporaryDirectory() as folder:
        file = folder + "/heads.safetensors"
        subprocess.run([program, "capture", "--precision", "fp32", "--text", text, "--length", str(length), "--output", file], check=True, capture_output=True)
        raw = open(file, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + size + x for x in entry["data_offsets"])
        tensors[name] = np.frombuffer(raw[begin:end], np.float32).reshape(entry["shape"]).astype(np.float64).transpose(1, 0, 2)
    for layer in range(len(tensors) // 3):
        yield layer, tensors[f"layers.{layer}.query"], tensors[f"layers.{layer}.key"]


def probabilities(q, k):
    s = q @ k.T / np.sqrt(q.shape[1])
    s[np.triu_indices(len(s), 1)] = -np.inf
    p = np.exp(s - s.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def sparsity_degree(p, alpha):
    n = len(p)
    kept = np.minimum((np.cumsum(-np.sort(-p, 1), 1) < alpha).sum(1) + 1, np.arange(n) + 1).sum()
    return 1 - kept / (n * (n + 1) / 2)


def degree(n, window, columns):
    pairs = np.minimum(window, np.arange(n) + 1).sum() + np.maximum(0, n - window - columns).sum()
    return 1 - pairs / (n * (n + 1) / 2)


def ranked(outside, inside, order, window, alpha):
    """The fewest columns, in the given order, with which every query keeps alpha."""
    n = len(outside)
    least = (inside[:, None] + np.cumsum(outside[:, order], 1)).min(0)
    if (inside >= alpha).all():
        return degree(n, window, order[:0])
    enough = least >= alpha
    return degree(n, window, order[: int(np.argmax(enough)) + 1]) if enough.any() else 0.0


def covering(outside, inside, window, alpha):
    """Greedy: a few columns at a time, by how much of the queries' deficits they fill for their pairs."""
    n = len(outside)
    deficit = np.maximum(0, alpha - inside)
    cost = np.maximum(1.0, n - window - np.arange(n))
    chosen = np.zeros(n, bool)
    while (deficit > 1e-12).any():
        open_rows = deficit > 1e-12
        gain = np.minimum(outside[open_rows], deficit[open_rows][:, None]).sum(0) / cost
        gain[chosen] = -1
        best = np.argsort(-gain)[: max(1, chosen.sum() // 16)]
        chosen[best] = True
        deficit = np.maximum(0, deficit - outside[:, best].sum(1))
    return degree(n, window, np.flatnonzero(chosen))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=str(ROOT / ".build/release/sample-attention"))
    arguments.add_argument("--text", default=str(ROOT / "Sources/HaystackModel/text/moby-dick.txt"))
    arguments.add_argument("--length", type=int, default=2048)
    arguments.add_argument("--alpha", type=float, default=0.95)
    options = arguments.parse_args()
    n, alpha = options.length, options.alpha
    position, key = np.arange(n)[:, None], np.arange(n)[None]
    rows = []
    for layer, queries, keys in capture(options.program, options.text, n):
        for head in range(len(queries)):
            p = probabilities(queries[head], keys[head * len(keys) // len(queries)])
            best = dict(mass=0.0, largest=0.0, covering=0.0)
            for window in (w for w in WINDOWS if w < n):
                outside = np.where(key <= position - window, p, 0)
                inside = 1 - outside.sum(1)
                for name, value in (
                    ("mass", ranked(outside, inside, np.argsort(-outside.sum(0), kind="stable"), window, alpha)),
                    ("largest", ranked(outside, inside, np.argsort(-outside.max(0), kind="stable"), window, alpha)),
                    ("covering", covering(outside, inside, window, alpha)),
                ):
                    best[name] = max(best[name], value)
            rows.append((layer, head, sparsity_degree(p, alpha), best["mass"], best["largest"], best["covering"]))
    table = np.array([row[2:] for row in rows])
    print(f"| {n:,} tokens, every query keeps {alpha} | SD | by mass | by largest probability | greedy covering |\n|---|---|---|---|---|")
    for name, values in (("mean of 48 heads", table.mean(0)), ("median", np.median(table, 0)), ("least", table.min(0)), ("most", table.max(0))):
        print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in values) + " |")
    for layer, head, *values in sorted(rows, key=lambda row: row[3] - row[5])[:3]:
        print(f"| layer {layer} head {head} | " + " | ".join(f"{v:.3f}" for v in values) + " |")


if __name__ == "__main__":
    main()
