"""Compute a profile with NumPy from the definitions and compare it with `sample-attention profile --json`.

usage: check.py PROGRAM TEXT [LENGTH] [--own-forward] [--model DIR]     (pip install numpy tokenizers)

It forms every probability row in double precision, sorts it for SD, ranks columns and slashes, and selects stripes by the
definitions. Queries and keys are those of `sample-attention capture`, so that what is compared is the measuring; with
--own-forward they come from a Llama forward pass of its own (FP32 NumPy, Hugging Face's tokenizers, nothing of the program),
and the two models' rounding adds to the differences.
"""
import argparse, json, os, struct, subprocess, sys, tempfile
import numpy as np
from tokenizers import Tokenizer

here = os.path.dirname(os.path.abspath(__file__))
parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("text")
parser.add_argument("length", type=int, nargs="?", default=2048)
parser.add_argument("--own-forward", action="store_true")
parser.add_argument("--model", default=os.path.join(here, "../../Sources/HaystackModel/haystack-13m"))
arguments = parser.parse_args()
program, text, length, model = arguments.program, arguments.text, arguments.length, arguments.model
ALPHAS = (0.9, 0.95, 0.99)
WINDOWS = [64 << i for i in range(8)]
ALPHA, WINDOW_RATIO, SAMPLE_RATIO, DENSE_LAST = 0.95, 0.08, 0.05, 64
config = json.load(open(model + "/config.json"))
d, heads, groups = config["head_dim"], config["num_attention_heads"], config["num_key_value_heads"]


def tensors_of(path):
    """Name -> array of a safetensors file of BF16 or F32."""
    raw = open(path, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    result = {}
    for key, entry in json.loads(raw[8 : 8 + size]).items():
        if key == "__metadata__":
            continue
        begin, end = (8 + size + x for x in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(raw[begin:end], np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw[begin:end], np.float32)
        result[key] = values.reshape(entry["shape"])
    return result


def own_heads():
    """Yields layer, head and the probabilities [query][key] of a forward pass written here."""
    tokens = Tokenizer.from_file(model + "/tokenizer.json").encode(open(text, encoding="utf-8").read()).ids
    ids = np.array([config["bos_token_id"]] + tokens[: length - 1])
    assert len(ids) == length, f"{text} has {len(tokens)} tokens"
    weights = {}
    for name in sorted(os.listdir(model)):
        if name.endswith(".safetensors"):
            weights.update(tensors_of(f"{model}/{name}"))
    yield from layers(ids, weights)


def captured_heads():
    """The same from the queries and keys that the program captured."""
    with tempfile.TemporaryDirectory() as folder:
        file = folder + "/heads.safetensors"
        subprocess.run(
            [program, "capture", "--precision", "fp32", "--model", model, "--text", text, "--length", str(length), "--output", file], check=True, capture_output=True)
        tensors = tensors_of(file)
    for layer in range(config["num_hidden_layers"]):
        q, k = (tensors[f"layers.{layer}.{name}"].astype(np.float64) for name in ("query", "key"))
        for head in range(heads):
            yield layer, head, probabilities(q[:, head], k[:, head * groups // heads])


def norm(x, weight):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(config["rms_norm_eps"])) * weight


def rotate(x):
    frequency = (config["rope_theta"] ** (-np.arange(0, d, 2) / d)).astype(np.float32)
    angle = np.arange(len(x), dtype=np.float32)[:, None] * frequency
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    a, b = x[..., : d // 2], x[..., d // 2 :]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def layers(ids, w):
    """Yields q [S, heads, d] and k [S, groups, d] of each layer."""
    x = w["model.embed_tokens.weight"][ids]
    n = len(ids)
    for i in range(config["num_hidden_layers"]):
        t = lambda name: w[f"model.layers.{i}.{name}.weight"].T
        h = norm(x, t("input_layernorm"))
        q = rotate((h @ t("self_attn.q_proj")).reshape(n, heads, d))
        k = rotate((h @ t("self_attn.k_proj")).reshape(n, groups, d))
        v = (h @ t("self_attn.v_proj")).reshape(n, groups, d)
        out = np.empty_like(q)
        for head in range(heads):
            p = probabilities(q[:, head], k[:, head * groups // heads])
            yield i, head, p
            out[:, head] = p.astype(np.float32) @ v[:, head * groups // heads]
        x = x + out.reshape(n, heads * d) @ t("self_attn.o_proj")
        h = norm(x, t("post_attention_layernorm"))
        gate = h @ t("mlp.gate_proj")
        x = x + (gate / (1 + np.exp(-gate)) * (h @ t("mlp.up_proj"))) @ t("mlp.down_proj")


def probabilities(q, k):
    s = (q @ k.T).astype(np.float64) / np.sqrt(d)
    s[np.triu_indices(len(s), 1)] = -np.inf
    p = np.exp(s - s.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def sparsity_degrees(p):
    cumulative = np.cumsum(-np.sort(-p, axis=-1), -1)
    causal = len(p) * (len(p) + 1) / 2
    keys = [np.minimum((cumulative < alpha).sum(-1) + 1, np.arange(len(p)) + 1).sum() for alpha in ALPHAS]
    return [1 - count / causal for count in keys]


def kept_mask(p):
    """Window, and the fewest columns by the mass outside it that lift the sampled rows' mean to alpha."""
    n = len(p)
    window = int(np.ceil(WINDOW_RATIO * n - 1e-9))
    count = int(np.ceil(SAMPLE_RATIO * n - 1e-9))
    rows = (2 * np.arange(count) + 1) * n // (2 * count)
    position, key = np.arange(n)[:, None], np.arange(n)[None]
    outside = key <= position - window
    mass = np.where(outside[rows], p[rows], 0).sum(0)
    order = np.argsort(-mass, kind="stable")
    needed = ALPHA * count - (count - mass.sum())
    size = 0 if needed <= 0 else int(np.searchsorted(np.cumsum(mass[order]), needed) + 1)
    columns = np.zeros(n, bool)
    columns[order[:size]] = True
    return (key <= position) & (~outside | columns[None] | (position >= n - DENSE_LAST))


def line_counts(everything):
    """0, 1, 2, 3, ... four to an octave, up to all."""
    counts, step = [0], 0
    while True:
        value = max(counts[-1] + 1, int(np.floor(2 ** (step / 4) + 0.5)))
        if value >= everything:
            return counts + [everything]
        counts.append(value)
        step += 1


def stripe_curves(p):
    """Per window: columns ranked by the mass outside it; density, mean and least retained mass at each count."""
    n = len(p)
    position, key = np.arange(n)[:, None], np.arange(n)[None]
    counts = line_counts(n)
    for window in (w for w in WINDOWS if w < n):
        outside = np.where(key <= position - window, p, 0)
        inside = np.where((key > position - window) & (key <= position), p, 0).sum(1)
        order = np.argsort(-outside.sum(0), kind="stable")
        kept = inside[:, None] + np.concatenate([np.zeros((n, 1)), np.cumsum(outside[:, order], 1)], 1)
        pairs = np.minimum(window, np.arange(n) + 1).sum() + np.concatenate([[0], np.cumsum(np.maximum(0, n - window - order))])
        yield window, counts, (pairs / (n * (n + 1) / 2))[counts], kept.mean(0)[counts], kept.min(0)[counts]


def line_curve(p):
    """Columns and slashes of 128-token blocks, ranked together by mass a pair, slash 0 first."""
    n = len(p)
    blocks = -(-n // 128)
    block = np.arange(n) // 128
    rows = np.zeros((n, blocks))
    for k in range(blocks):
        rows[:, k] = p[:, k * 128 : (k + 1) * 128].sum(1)
    causal = np.tril(np.ones((n, n)))
    pairs = np.add.reduceat(np.add.reduceat(causal, range(0, n, 128), 0), range(0, n, 128), 1)
    mass = np.add.reduceat(rows, range(0, n, 128), 0)
    slash = [sum(np.diagonal(x, -s).sum() for x in [mass]) for s in range(blocks)]
    slash_pairs = [np.diagonal(pairs, -s).sum() for s in range(blocks)]
    weight = np.concatenate([mass.sum(0) / pairs.sum(0), np.array(slash) / np.array(slash_pairs)])
    weight[blocks] = np.inf
    rank = np.empty(2 * blocks, int)
    rank[np.argsort(-weight, kind="stable")] = np.arange(2 * blocks)
    q, k = np.arange(blocks)[:, None], np.arange(blocks)[None]
    joins = np.where(k <= q, np.minimum(rank[k], rank[blocks + np.maximum(q - k, 0)]), 4 * blocks)
    counts = line_counts(2 * blocks)[1:]
    kept = np.stack([(rows * (joins[block] < c)).sum(1) for c in counts], 1)
    density = [(pairs * (joins < c)).sum() / (n * (n + 1) / 2) for c in counts]
    return counts, np.array(density), kept.mean(0), kept.min(0)


def key_block_curve(p):
    """Equally many blocks of 32 keys for each 64 rows: those the rows stand in, block 0, then the others by the rows' mass."""
    n = len(p)
    blocks = -(-n // 32)
    counts = [c for c in line_counts(blocks) if c >= min(3, blocks)]
    rows = np.add.reduceat(p, range(0, n, 32), 1)
    pairs = np.add.reduceat(np.tril(np.ones((n, n))), range(0, n, 32), 1)
    joins = np.empty((n, blocks), int)
    for first in range(0, n, 64):
        mass = rows[first : first + 64].sum(0)
        mass[0] = max(mass[0], 1e6)
        mass[first // 32 : first // 32 + 2] = 2e6
        joins[first : first + 64, np.argsort(-mass, kind="stable")] = np.arange(blocks)
    kept = np.stack([np.where(joins < c, rows, 0).sum(1) for c in counts], 1)
    density = [np.where(joins < c, pairs, 0).sum() / (n * (n + 1) / 2) for c in counts]
    return counts, np.array(density), kept.mean(0), kept.min(0)


def structured(p, blocks):
    """1 - density of the sparsest pattern of each family whose least (or mean) retained mass reaches alpha."""
    stripes, lines = list(stripe_curves(p)), line_curve(p)
    result = {}
    for name, index in (("structured", -1), ("structuredMean", -2)):
        for alpha in ALPHAS:
            best = max([0.0] + [1 - c[2][c[index] >= alpha].min() for c in stripes if (c[index] >= alpha).any()])
            families = [best]
            for curve in (lines, blocks):
                ok = curve[index] >= alpha
                families.append(1 - curve[1][ok].min() if ok.any() else 0.0)
            result.setdefault(name, []).append(families)
    return result


def masses(p):
    n = len(p)
    position, key = np.arange(n)[:, None], np.arange(n)[None]
    columns = np.sort(p.sum(0))[::-1]
    block = np.arange(n) // 128
    slashes = np.bincount((block[:, None] - block[None])[key <= position], p[key <= position])
    return dict(
        sinks=[p[:, :c].sum() / n for c in (1, 4, 16, 64)],
        windows=[np.where(key > position - w, p, 0).sum() / n for w in WINDOWS],
        columns=[columns[:c].sum() / n for c in (16, 64, 256, 1024)],
        slashes=[np.sort(slashes)[::-1][:c].sum() / n for c in (1, 4, 16, 64)])


def main():
    command = [program, "profile", "--precision", "fp32", "--model", model, "--text", text, "--length", str(length), "--json"]
    profile = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    measured = {(h["layer"], h["head"]): h for h in profile["profiles"][0]["heads"]}
    assert profile["sparsityAlphas"] == list(ALPHAS) and profile["scale"]["windows"] == WINDOWS
    worst = {}

    def compare(name, got, expected, where):
        difference = float(np.abs(np.array(got) - np.array(expected)).max())
        if difference > worst.get(name, (-1,))[0]:
            worst[name] = (difference, where)

    for layer, head, p in own_heads() if arguments.own_forward else captured_heads():
        mask = kept_mask(p)
        r = np.where(mask, p, 0).sum(-1)
        entry, where = measured[layer, head], f"layer {layer} head {head}"
        retained = dict(mean=r.mean(), p1=np.quantile(r, 0.01), p5=np.quantile(r, 0.05), min=r.min())
        for name, value in retained.items():
            compare(name, entry["retained"][name], value, where)
        compare("density", entry["density"], mask.sum() / (length * (length + 1) / 2), where)
        compare("sparsityDegrees", entry["sparsityDegrees"], sparsity_degrees(p), where)
        blocks = key_block_curve(p)
        for name, degrees in structured(p, blocks).items():
            got = [[c[family]["degree"] for family in ("windowColumns", "columnsSlashes", "keyBlocks")] for c in entry[name]]
            compare(name, got, degrees, where)
        for name, values in zip(("lines", "densities", "meanMasses", "leastMasses"), blocks):
            compare("key block curve " + name, entry["keyBlockCurve"][name], values, where)
        for name, values in masses(p).items():
            compare("mass on " + name, entry["masses"][name], values, where)
        window = entry["curve"].get("window")
        for curve in stripe_curves(p):
            if curve[0] == window:
                for name, values in zip(("lines", "densities", "meanMasses", "leastMasses"), curve[1:]):
                    compare("curve " + name, entry["curve"][name], values, where)
    print(json.dumps({"text": os.path.basename(text), "length": length, "heads": len(measured), "largestDifference": worst}, indent=1))
    limit = 1e-5 if arguments.own_forward else 1e-6
    sys.exit(int(max(difference for difference, _ in worst.values()) > limit))


main()
