"""Compute a profile with NumPy from the definitions and compare it with `sample-attention profile --json`.

usage: check.py PROGRAM TEXT [LENGTH] [MODEL_DIR]     (pip install numpy tokenizers)

Independent of the program: it reads the safetensors itself, tokenises with Hugging Face's tokenizers, runs its own Llama
forward pass, forms every probability row, sorts it for SD, and selects stripes by the definition. Arithmetic is FP32 up to the
scores and double from there.
"""
import json, os, struct, subprocess, sys
import numpy as np
from tokenizers import Tokenizer

here = os.path.dirname(os.path.abspath(__file__))
program, text = sys.argv[1], sys.argv[2]
length = int(sys.argv[3]) if len(sys.argv) > 3 else 4096
model = sys.argv[4] if len(sys.argv) > 4 else os.path.join(here, "../../Sources/HaystackModel/haystack-13m")
ALPHAS = (0.9, 0.95, 0.99)
ALPHA, WINDOW_RATIO, SAMPLE_RATIO, DENSE_LAST = 0.95, 0.08, 0.05, 64
config = json.load(open(model + "/config.json"))
d, heads, groups = config["head_dim"], config["num_attention_heads"], config["num_key_value_heads"]


def load():
    tensors = {}
    for name in sorted(os.listdir(model)):
        if not name.endswith(".safetensors"):
            continue
        raw = open(f"{model}/{name}", "rb").read()
        size = struct.unpack("<Q", raw[:8])[0]
        for key, entry in json.loads(raw[8 : 8 + size]).items():
            if key == "__metadata__":
                continue
            begin, end = (8 + size + x for x in entry["data_offsets"])
            assert entry["dtype"] == "BF16"
            wide = np.frombuffer(raw[begin:end], np.uint16).astype(np.uint32) << 16
            tensors[key] = wide.view(np.float32).reshape(entry["shape"])
    return tensors


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


def main():
    tokens = Tokenizer.from_file(model + "/tokenizer.json").encode(open(text, encoding="utf-8").read()).ids
    ids = np.array([config["bos_token_id"]] + tokens[: length - 1])
    assert len(ids) == length, f"{text} has {len(tokens)} tokens"
    command = [program, "profile", "--model", model, "--text", text, "--length", str(length), "--json"]
    profile = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    measured = {(h["layer"], h["head"]): h for h in profile["profiles"][0]["heads"]}
    assert profile["sparsityAlphas"] == list(ALPHAS)
    worst = dict.fromkeys(["sparsityDegrees", "mean", "p1", "p5", "min", "density"], 0.0)
    for layer, head, p in layers(ids, load()):
        mask = kept_mask(p)
        r = np.where(mask, p, 0).sum(-1)
        expected = dict(mean=r.mean(), p1=np.quantile(r, 0.01), p5=np.quantile(r, 0.05), min=r.min())
        entry = measured[layer, head]
        for name, value in expected.items():
            worst[name] = max(worst[name], abs(entry["retained"][name] - value))
        worst["density"] = max(worst["density"], abs(entry["density"] - mask.sum() / (length * (length + 1) / 2)))
        for a, b in zip(entry["sparsityDegrees"], sparsity_degrees(p)):
            worst["sparsityDegrees"] = max(worst["sparsityDegrees"], abs(a - b))
    print(json.dumps({"text": os.path.basename(text), "length": length, "heads": len(measured), "largestDifference": worst}))
    sys.exit(int(max(worst.values()) >= 1e-4))


main()
