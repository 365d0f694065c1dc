"""Gradients with respect to every layer's attention output, for each family folder.

    make_gradients.py [folder ...]

The attention output is what the output projection reads, [tokens][heads * d].  L is
the sum of log p(label | the tokens so far): `given` takes the labels (7 t + 3) mod
vocabulary at all positions of ids_b, `own` the next tokens of ids_a, so that its last
row is zero.  Everything runs in float64 and is rounded to float32 once, at the end.
Before a file is written, the float64 model is compared with the golden, its gradients
with finite differences, and the place that is hooked with the layer's own weights.
"""
import contextlib, itertools, json, os, re, sys
sys.path.insert(0, os.path.dirname(__file__))
import torch
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode
import references as R
from make_families import OUT, load

HUBCODE = {"internlm2": R.internlm2, "chatglm3": R.chatglm, "chatglm2-32k": lambda c, t, ids: R.chatglm(c, t, ids, True)}
PROJECTIONS = r"(o_proj|wo|dense)\."
causal_attention = R.causal_attention


class Wide(TorchFunctionMode):
    """float64 where a model asks for float32: in norms, softmax, angles and routers."""
    def __torch_function__(self, f, types, args=(), kwargs=None):
        wide = lambda x: torch.float64 if x is torch.float32 else x
        f = torch.Tensor.double if f is torch.Tensor.float else f
        return f(*map(wide, args), **{k: wide(v) for k, v in (kwargs or {}).items()})


@contextlib.contextmanager
def precision(dtype):
    torch.set_default_dtype(dtype)
    with Wide() if dtype == torch.float64 else contextlib.nullcontext():
        yield
    torch.set_default_dtype(torch.float32)


class Family:
    """forward(ids, change) gives the logits after change(layer, attention output) took the place of that output."""
    def __init__(self, name, dtype):
        folder = f"{OUT}/{name}"
        self.name, self.dtype, self.chosen = name, dtype, []
        self.config = json.load(open(f"{folder}/config.json"))
        c = self.config
        self.layers = c.get("num_hidden_layers") or c["num_layers"]
        self.width = c["num_attention_heads"] * (c.get("head_dim") or c.get("kv_channels") or c["hidden_size"] // c["num_attention_heads"])
        if name in HUBCODE:
            self.weights = {k: v.to(dtype).requires_grad_() for k, v in load_file(f"{folder}/model.safetensors").items()}
            return
        with precision(dtype):
            self.model = load(folder, dtype=dtype)
        self.weights = dict(self.model.named_parameters())
        for m in self.model.modules():
            if hasattr(m, "top_k"):
                m.register_forward_hook(lambda m, a, o: self.chosen.append(o[-1].sort(-1).values))

    def forward(self, ids, change=lambda layer, x: x):
        self.chosen.clear()
        with precision(self.dtype):
            if self.name in HUBCODE:
                layer = itertools.count()
                R.causal_attention = lambda q, k, v: change(next(layer), causal_attention(q, k, v))
                return HUBCODE[self.name](self.config, self.weights, ids)[0]
            hooks = [l.self_attn.o_proj.register_forward_pre_hook(lambda m, a, i=i: change(i, a[0][0])[None])
                     for i, l in enumerate(self.model.model.layers)]
            logits = self.model(input_ids=ids[None].long(), use_cache=False).logits[0]
            for h in hooks:
                h.remove()
            return logits

    def scores(self, ids, labels, added):
        """log p of each label, with added[layer] on top of that layer's attention output"""
        logits = self.forward(ids, lambda layer, x: x + added[layer])
        return logits[: len(labels)].log_softmax(-1).gather(-1, labels[:, None])[:, 0]

    def gradient(self, ids, labels):
        added = torch.zeros(self.layers, len(ids), self.width, dtype=self.dtype, requires_grad=True)
        return torch.autograd.grad(self.scores(ids, labels, added).sum(), added)[0]


@torch.no_grad()
def finite_differences(family, ids, labels, gradient, gen, count=4, step=1e-3):
    """largest relative error over random elements of every layer: central differences of steps s and 2 s, extrapolated"""
    worst = 0.0
    for layer in range(family.layers):
        for _ in range(count):
            t, i = (torch.randint(n, (), generator=gen).item() for n in (len(labels), family.width))
            def rise(s):
                added = torch.zeros_like(gradient)
                added[layer, t, i] = s
                high = family.scores(ids, labels, added)
                added[layer, t, i] = -s
                return ((high - family.scores(ids, labels, added)).sum() / (2 * s)).item()
            found, g = (4 * rise(step) - rise(2 * step)) / 3, gradient[layer, t, i].item()
            worst = max(worst, abs(found - g) / abs(g))
    return worst


def check_place(family, ids, labels, gradient):
    """The tensor hooked has the projection's width, and is all that a layer's attention gives: once it is detached, L
    no longer depends on the layer's query, key and value weights, norms of heads and sinks, but on those of other
    layers still (through the residual stream), and the attention below gets another gradient."""
    attention = lambda i: [w for k, w in family.weights.items()
                           if re.search(rf"layers\.{i}\.\w*attention\.|layers\.{i}\.self_attn\.", k) and not re.search(PROJECTIONS, k)]
    added = torch.zeros_like(gradient, requires_grad=True)
    def slopes(cut):
        def change(layer, x):
            assert x.shape == (len(ids), family.width), x.shape
            return (x.detach() if layer == cut else x) + added[layer]
        L = family.forward(ids, change)[: len(labels)].log_softmax(-1).gather(-1, labels[:, None]).sum()
        depends = [[g is not None and bool(g.any()) for g in torch.autograd.grad(L, attention(i), retain_graph=True, allow_unused=True)]
                   for i in range(family.layers)]
        return depends, torch.autograd.grad(L, added)[0]
    whole, same = slopes(None)
    assert torch.equal(same, gradient) and all(map(all, whole)), whole
    for cut in range(family.layers):
        depends, g = slopes(cut)
        assert not any(depends[cut]) and all(all(d) for i, d in enumerate(depends) if i != cut), (cut, depends)
        assert torch.equal(g[cut:], gradient[cut:]) and not any(torch.equal(g[i], gradient[i]) for i in range(cut)), cut
    return len(attention(0))


def main(names):
    for seed, name in enumerate(names or sorted(n for n in os.listdir(OUT) if os.path.exists(f"{OUT}/{n}/golden.safetensors"))):
        golden = load_file(f"{OUT}/{name}/golden.safetensors")
        a, b = golden["ids_a"].long(), golden["ids_b"].long()
        narrow, family = Family(name, torch.float32), Family(name, torch.float64)
        far, routers = 0.0, []
        with torch.no_grad():
            for ids, kept in ((a, golden["logits_a"]), (b, golden["logits_b_last4"])):
                far = max(far, (family.forward(ids)[-len(kept):] - kept).abs().max().item())
                narrow.forward(ids)
                assert len(narrow.chosen) == len(family.chosen) and all(map(torch.equal, narrow.chosen, family.chosen)), name
                routers = family.chosen
        assert far < 1e-4, (name, far)
        labels = {"own": (a, a[1:]), "given": (b, (7 * torch.arange(len(b)) + 3) % golden["logits_a"].shape[1])}
        gradients = {k: family.gradient(*v) for k, v in labels.items()}
        gen = torch.Generator().manual_seed(seed)
        errors = [finite_differences(family, *v, gradients[k], gen) for k, v in labels.items()]
        assert max(errors) < 1e-6, (name, errors)
        cut = [check_place(family, *v, gradients[k]) for k, v in labels.items()][0]
        single = max((narrow.gradient(*v) - gradients[k]).abs().max().item() for k, v in labels.items())
        path = f"{OUT}/{name}/gradients.safetensors"
        save_file({k: g.float().contiguous() for k, g in gradients.items()}, path,
                  metadata={"reference": f"torch {torch.__version__}, float64, rounded to float32; own: ids_a, given: ids_b"})
        print("%-13s %3d KB  golden %.1e  differences own %.1e given %.1e  float32 %.1e  %d weights cut, %d routers  layer 0 own %.3f given %.3f" % (
            name, os.path.getsize(path) // 1000, far, *errors, single, cut, len(routers), *(gradients[k][0].abs().max() for k in labels)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
