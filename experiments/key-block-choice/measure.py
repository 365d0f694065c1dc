"""What choices of key blocks, and stand-ins for what they drop, cost a head's output.

python measure.py LAYERS.safetensors [--heads 7.4 7.5] [--window 128] [--block 32] [--count 8]

LAYERS is what `sample-attention capture` writes. Each head keeps 16 sinks, a window, and for each block of 64 query rows the key blocks with the
largest single score. Printed is the output error: the squared change of the head's output over its squared output, over rows
of every fourth query block of the second half.
"""
import argparse
import json
import struct

import numpy as np

ROWS, SINKS = 64, 16


class Layers:
    def __init__(self, path):
        self.file = open(path, "rb")
        size = struct.unpack("<Q", self.file.read(8))[0]
        self.header = json.loads(self.file.read(size))
        self.start = 8 + size

    def tensor(self, name):
        entry = self.header[name]
        begin, end = entry["data_offsets"]
        self.file.seek(self.start + begin)
        return np.frombuffer(self.file.read(end - begin), np.float32).reshape(entry["shape"])

    def all(self):
        return sorted({int(name.split(".")[1]) for name in self.header if name.startswith("layers.")})

    def queries(self, layer):
        return self.tensor(f"layers.{layer}.query")

    def head(self, layer, head):
        queries, keys, values = (self.tensor(f"layers.{layer}.{part}") for part in ("query", "key", "value"))
        group = queries.shape[1] // keys.shape[1]
        return queries[:, head], keys[:, head // group], values[:, head // group]


def projection(queries, keys, count):
    """The two maps to `count` dimensions whose products are nearest to q . k in the mean square, from 2,048 rows each."""
    rows = np.random.default_rng(0).permutation(len(queries))[:2048]

    def root(x):
        weights, vectors = np.linalg.eigh(x.T @ x / len(x))
        weights = np.sqrt(np.maximum(weights, 1e-6 * weights.max()))
        return (vectors * weights) @ vectors.T, (vectors / weights) @ vectors.T

    (q_root, q_inverse), (k_root, k_inverse) = root(queries[rows]), root(keys[rows])
    left, sizes, right = np.linalg.svd(q_root @ k_root)
    scale = np.sqrt(sizes[:count])
    return q_inverse @ left[:, :count] * scale, k_inverse @ right[:count].T * scale


def coordinates(queries, keys, count):
    """The coordinates with the largest E[q^2] E[k^2]."""
    energy = (queries**2).mean(0) * (keys**2).mean(0)
    return np.sort(np.argsort(-energy, kind="stable")[:count])


def eight_bits(x, unit):
    """Rounded to 127 steps of the largest magnitude of `unit` rows together."""
    padded = np.pad(x, ((0, -len(x) % unit), (0, 0))).reshape(-1, unit * x.shape[1])
    scale = np.maximum(np.abs(padded).max(1, keepdims=True), 1e-30) / 127
    return (np.round(padded / scale) * scale).reshape(-1, x.shape[1])[: len(x)]


def attend(queries, keys, values, first, keep, stand_ins=None):
    """Rows from position `first` on over the keys that `keep` [rows][keys] says; `stand_ins` has scores' offsets, keys and values."""
    scale = queries.shape[1] ** -0.5
    scores = np.where(keep, queries @ keys.T * scale, -np.inf)
    if stand_ins:
        offsets, own_keys, own_values = stand_ins
        scores = np.concatenate([scores, queries @ own_keys.T * scale + offsets], 1)
        values = np.concatenate([values, own_values])
    weights = np.exp(scores - scores.max(1, keepdims=True))
    return weights @ values / weights.sum(1, keepdims=True)


def with_blocks(kept, block, causal, near):
    """Which keys rows see that keep some blocks ([blocks] of bool) beside what is near."""
    far = np.zeros(causal.shape[1], bool)
    keys = np.repeat(kept, block)[: len(far)]
    far[: len(keys)] = keys
    return causal & (near | far[None])


def measure(layers, layer, head, window, block, count):
    queries, keys, values = layers.head(layer, head)
    total = len(queries)
    group = layers.queries(layer).shape[1] // layers.tensor(f"layers.{layer}.key").shape[1]
    siblings = [layers.head(layer, other)[0] for other in range(head // group * group, head // group * group + group)]
    dimension = queries.shape[1]
    scored = {"largest score": (queries, keys)}
    scored["INT8, a scale a key"] = (eight_bits(queries, 1), eight_bits(keys, 1))
    scored["INT8, a scale for 16 keys"] = (eight_bits(queries, 1), eight_bits(keys, 16))
    for share in (2, 4):
        left, right = projection(queries, keys, dimension // share)
        scored[f"projected to d/{share}"] = (queries @ left, keys @ right)
        if share == 2:
            scored["projected to d/2, INT8, a scale for 16 keys"] = (eight_bits(queries @ left, 1), eight_bits(keys @ right, 16))
        chosen = coordinates(queries, keys, dimension // share)
        scored[f"d/{share} of the coordinates"] = (queries[:, chosen], keys[:, chosen])
    errors, energy = {}, 0.0
    # Strengths of all blocks, by two measures, with what attending takes: for thresholds that all query blocks share.
    judged = []

    def note(name, output, dense):
        errors[name] = errors.get(name, 0.0) + float(((output - dense) ** 2).sum())

    for first in range(total // 2 // ROWS * ROWS, total - 2 * ROWS + 1, 4 * ROWS):
        rows, positions = queries[first : first + ROWS], np.arange(first, first + ROWS)
        seen = np.arange(first + ROWS)
        causal = seen[None] <= positions[:, None]
        k, v = keys[: first + ROWS], values[: first + ROWS]
        dense = attend(rows, k, v, first, causal)
        energy += float((dense**2).sum())
        near = (seen[None] > positions[:, None] - window) | (seen[None] < SINKS)
        note("window alone", attend(rows, k, v, first, causal & near), dense)
        end = first + ROWS - window
        blocks = (end + block - 1) // block

        def best(own_queries, own_keys, start=first, length=ROWS):
            scores = own_queries[start : start + length] @ own_keys[:end].T
            scores = np.pad(scores, ((0, 0), (0, blocks * block - end)), constant_values=-np.inf)
            return scores.reshape(length, blocks, block).max(2).max(0)

        def chosen(strengths, count=count):
            kept = np.zeros(blocks, bool)
            kept[np.argsort(-strengths)[:count]] = True
            return with_blocks(kept, block, causal, near)

        for name, (own_queries, own_keys) in scored.items():
            note(name, attend(rows, k, v, first, chosen(best(own_queries, own_keys))), dense)
        pair = first // (2 * ROWS) * 2 * ROWS
        note("chosen for 128 rows", attend(rows, k, v, first, chosen(best(queries, keys, pair, 2 * ROWS))), dense)
        note("chosen for the group", attend(rows, k, v, first, chosen(np.max([best(own, keys) for own in siblings], 0))), dense)
        exact = chosen(best(queries, keys))
        scores = np.where(causal, rows @ k.T * dimension**-0.5, -np.inf)
        inside = np.where(near, scores, -np.inf)
        highest = inside.max(1, keepdims=True)
        window_sums = highest + np.log(np.exp(inside - highest).sum(1, keepdims=True))
        above = np.where(near, -np.inf, scores - window_sums)[:, :end]
        above = np.pad(above, ((0, 0), (0, blocks * block - end)), constant_values=-np.inf).reshape(ROWS, blocks, block).max(2).max(0)
        note("largest score above its row's window", attend(rows, k, v, first, chosen(above)), dense)
        judged.append((best(queries, keys), above, (rows, k, v, first), causal, near, dense))
        # Whole blocks before the window of the block's first row, which no row of it reaches otherwise.
        whole = max(0, first - window + 1) // block
        if whole > 1:
            means = [x[: whole * block].reshape(whole, block, -1).mean(1) for x in (k, v)]

            def stand_ins(kept):
                dropped = ~kept[0, : whole * block].reshape(whole, block).any(1)
                dropped[0] = False
                return np.log(block), means[0][dropped], means[1][dropped]

            note("window, means for the rest", attend(rows, k, v, first, causal & near, stand_ins(causal & near)), dense)
            note("largest score, means for the rest", attend(rows, k, v, first, exact, stand_ins(exact)), dense)
        # What the means' pairs would buy as a longer window, and as more blocks.
        note("largest score, more blocks by the means' pairs",
             attend(rows, k, v, first, chosen(best(queries, keys), count + first // block // block)), dense)
        longer = (seen[None] > positions[:, None] - window - first // block) | (seen[None] < SINKS)
        note("window longer by the means' pairs", attend(rows, k, v, first, causal & longer), dense)
    # The thresholds that keep as many blocks in all as `count` in each does.
    for name, part in (("a threshold on the largest score", 0), ("a threshold above the row's window", 1)):
        threshold = np.sort(np.concatenate([one[part] for one in judged]))[-count * len(judged)]
        for one in judged:
            note(name, attend(*one[2], with_blocks(one[part] >= threshold, block, one[3], one[4])), one[5])
    return {name: error / energy for name, error in errors.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--heads", nargs="*", help="layer.head; all without it")
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--block", type=int, default=32)
    parser.add_argument("--count", type=int, default=8)
    arguments = parser.parse_args()
    layers = Layers(arguments.file)
    heads = arguments.heads or [f"{layer}.{head}" for layer in layers.all() for head in range(layers.queries(layer).shape[1])]
    found = {}
    for name in heads:
        layer, head = map(int, name.split("."))
        found[name] = measure(layers, layer, head, arguments.window, arguments.block, arguments.count)
    shown = heads[:6]
    print("| |", " | ".join(shown), "| geometric mean | lowest | highest of", len(heads), "heads, over the largest score's |")
    print("|---" * (len(shown) + 4) + "|")
    for row in found[heads[0]]:
        own = np.array([max(found[name].get(row, np.nan), 1e-12) for name in heads])
        ratio = own / np.array([max(found[name]["largest score"], 1e-12) for name in heads])
        print(f"| {row} |", " | ".join(f"{found[name][row]:.2g}" for name in shown),
              f"| {np.exp(np.nanmean(np.log(ratio))):.2f} | {np.nanmin(ratio):.2f} | {np.nanmax(ratio):.2f} |")


if __name__ == "__main__":
    main()
