"""Tiny models of several families, made on the fly, beside their own SDPA or eager attention."""

import copy
import warnings

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", minversion="5")

import sample_attention  # noqa: E402
import sample_attention.transformers as bridge  # noqa: E402
from sample_attention import Config  # noqa: E402
from sample_attention.causal_mask import CausalMask, sample_attention_mask  # noqa: E402

common = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 99,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}
kinds = ["full_attention", "sliding_attention"] * 2
families = {
    "llama": ("LlamaConfig", {}),
    "qwen3": ("Qwen3Config", {}),
    "mistral": ("MistralConfig", {"sliding_window": 40}),
    "phi3": ("Phi3Config", {"sliding_window": 40}),
    "gemma2": ("Gemma2Config", {"sliding_window": 40, "layer_types": kinds, "query_pre_attn_scalar": 20, "attn_logit_softcapping": 5.0}),
    "gemma3": ("Gemma3TextConfig", {"sliding_window": 40, "layer_types": kinds, "query_pre_attn_scalar": 24}),
    "gpt-oss": (
        "GptOssConfig",
        {"sliding_window": 40, "layer_types": kinds, "num_local_experts": 4, "num_experts_per_tok": 2, "rope_scaling": None},
    ),
}


def made(family, own="sdpa", seed=1, dtype=torch.float32):
    """The model of a family, and a copy that runs in the library."""
    name, settings = families[family]
    config = getattr(transformers, name)(**{**common, **settings})
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=own)
    for parameter in model.parameters():
        # Larger than models are made with, so that attention is not the mean of all values.
        torch.nn.init.normal_(parameter, std=0.2)
    model = model.to(dtype).eval()
    ours = copy.deepcopy(model)
    ours.set_attn_implementation("sample_attention")
    return model, ours


def prompt(tokens=150, batch=1):
    return torch.randint(1, 99, (batch, tokens), generator=torch.Generator().manual_seed(tokens))


@pytest.fixture(autouse=True)
def nothing_said():
    bridge._said.clear()


def loss_of(family):
    # Neither caps nor sinks exist in SDPA.
    return made(family, "eager" if family in ("gemma2", "gpt-oss") else "sdpa")


@pytest.mark.parametrize("family", families)
@torch.no_grad()
def test_dense_prefills_agree(family):
    model, ours = loss_of(family)
    ids = prompt(batch=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        torch.testing.assert_close(ours(ids).logits, model(ids).logits, atol=2e-4, rtol=1e-4)
    reports = bridge.reports(ours)
    assert sorted(reports) == [0, 1, 2, 3]
    windows = {"mistral": 4, "phi3": 4, "gemma2": 2, "gemma3": 2, "gpt-oss": 2}.get(family, 0)
    assert sum(report.density < 1 for report in reports.values()) == windows


@pytest.mark.parametrize("family", families)
@torch.no_grad()
def test_padding_chunks_and_decoding_agree(family):
    model, ours = loss_of(family)
    ids = prompt(90, batch=2)
    padding = torch.ones_like(ids)
    padding[0, :7] = 0
    with pytest.warns(UserWarning, match="padding"):
        padded = ours(ids, attention_mask=padding).logits
    torch.testing.assert_close(padded[:, 7:], model(ids, attention_mask=padding).logits[:, 7:], atol=2e-4, rtol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found, expected = (steps(own, ids) for own in (ours, model))
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


def steps(model, ids):
    """Three chunks, and two tokens alone."""
    cache, logits = None, []
    for part in torch.split(ids, [50, 25, 13, 1, 1], dim=1):
        out = model(part, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        logits.append(out.logits)
    return torch.cat(logits, 1)


@torch.no_grad()
def test_halves_agree():
    model, ours = made("llama", dtype=torch.bfloat16)
    ids = prompt()
    exact = made("llama")[0](ids).logits
    errors = [(own(ids).logits.float() - exact).norm() / exact.norm() for own in (ours, model)]
    assert errors[0] < 1.5 * errors[1]


@torch.no_grad()
def test_each_model_has_its_config():
    model, first = made("qwen3")
    second = made("qwen3")[1]
    sample_attention.set_config(first, Config(alpha=0.3))
    ids = prompt(400)
    sparse = first(ids).logits
    assert max(report.density for report in bridge.reports(first).values()) < 0.9
    torch.testing.assert_close(second(ids).logits, model(ids).logits, atol=2e-4, rtol=1e-4)
    assert (sparse - model(ids).logits).abs().max() > 1e-3
    third = copy.deepcopy(first)
    torch.testing.assert_close(third(ids).logits, sparse)
    sample_attention.set_config(first, None)
    torch.testing.assert_close(first(ids).logits, model(ids).logits, atol=2e-4, rtol=1e-4)
    # All columns are dense attention.
    sample_attention.set_config(first, Config(alpha=1.0))
    torch.testing.assert_close(first(ids).logits, model(ids).logits, atol=2e-4, rtol=1e-4)


def tuned(**model):
    """A config that keeps a window of 5 positions everywhere, from 100 tokens on."""
    window = {"pattern": "window", "alpha": 1, "windowTokens": 5, "sinks": 0, "denseLastRows": 0}
    shape = {"layers": 4, "queryHeads": 4, "keyValueHeads": 2, "headDimension": 16, "family": "llama"}
    return {
        "schemaVersion": 1,
        "model": {**shape, "weightsSHA256": "unknown", "tokenizerSHA256": "unknown", **model},
        "provenance": {
            "tool": {"version": "0", "commit": "0"},
            "machine": {"cpu": "?", "instructionSet": "scalar", "threads": 1, "precision": "fp32"},
            "seed": 1,
            "texts": [],
            "lengths": [],
            "date": "2026-01-01T00:00:00Z",
        },
        "denseBelow": 100,
        "defaults": window,
        "buckets": [],
    }


@torch.no_grad()
def test_configs_are_of_files(tmp_path):
    import json

    model, ours = made("llama")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tuned()))
    # A model that runs otherwise is set to run here.
    config = sample_attention.load_config(model, path)
    assert config.layers == 4 and config.family == "llama" and model.config._attn_implementation == "sample_attention"
    model(prompt(99))
    assert all(report.density == 1 for report in bridge.reports(model).values())
    model(prompt(100))
    assert all(report.kept_pairs == 4 * (10 + 96 * 5) for report in bridge.reports(model).values())
    path.write_text(json.dumps(tuned(headDimension=8)))
    with pytest.raises(ValueError, match="^head_dimension: 16: the config is for a model of 8"):
        sample_attention.load_config(ours, path)


@torch.no_grad()
def test_chunks_may_say_how_long_their_prompt_is():
    _, ours = made("llama")
    tenth = {"pattern": "window", "alpha": 1, "windowRatio": 0.1, "sinks": 0, "denseLastRows": 0}
    sample_attention.set_config(ours, Config(parameters=tenth))
    for settings, window in [({}, 10), ({"prompt_length": 300}, 30)]:
        ours(prompt(100), **settings)
        pairs = sum(min(position + 1, window) for position in range(100))
        assert all(report.kept_pairs == 4 * pairs for report in bridge.reports(ours).values())


@torch.no_grad()
def test_models_are_loaded_by_name(tmp_path):
    model, _ = made("llama")
    model.save_pretrained(tmp_path)
    ours = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="sample_attention")
    sample_attention.set_config(ours, Config(alpha=1.0))
    torch.testing.assert_close(ours(prompt()).logits, model(prompt()).logits, atol=2e-4, rtol=1e-4)
    ours.save_pretrained(tmp_path / "again")
    found, expected = (own.generate(prompt(60), max_new_tokens=5, do_sample=False) for own in (ours, model))
    assert found.tolist() == expected.tolist()


def test_reasons_are_said_once():
    model, ours = made("llama")
    ids = prompt(40)

    def same(reason, **inputs):
        with pytest.warns(UserWarning, match=reason):
            torch.testing.assert_close(ours(ids, **inputs).logits, model(ids, **inputs).logits, atol=2e-4, rtol=1e-4)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            ours(ids, **inputs)

    same("gradients")
    with torch.no_grad():
        same("packed sequences", position_ids=torch.arange(20).repeat(2)[None], use_cache=False)
        same("a mask of the caller's own", attention_mask=torch.ones(1, 1, 40, 40, dtype=torch.bool).tril())
        ours, model = ours.double(), model.double()
        same("tensors of torch.float64")
    ours.train(), model.train()
    loss = ours(ids, labels=ids).loss
    loss.backward()
    assert ours.model.layers[0].self_attn.q_proj.weight.grad.abs().sum() > 0


@torch.no_grad()
def test_masks_are_what_they_stand_for():
    from transformers.masking_utils import chunked_causal_mask_function, sliding_window_causal_mask_function

    for queries, keys, offset, window in [(30, 30, 0, None), (10, 30, 0, None), (30, 30, 0, 7), (10, 26, 4, 7), (30, 30, 0, 64)]:
        function = {} if window is None else {"mask_function": sliding_window_causal_mask_function(window), "local_size": window}
        extents = {"q_length": queries, "kv_length": keys, "q_offset": keys + offset - queries, "kv_offset": offset, **function}
        mask = sample_attention_mask(2, **extents)
        assert isinstance(mask, CausalMask) and mask.window == window and mask.shape == (2, 1, queries, keys)
        expected = transformers.masking_utils.sdpa_mask(2, **extents, allow_is_causal_skip=False)
        for part in (mask.materialized(), mask[:, :, :, :], mask.clone(), mask.to("cpu"), mask & True):
            assert type(part) is torch.Tensor and torch.equal(part, expected)
    # What is no window is not taken for one.
    for length in (8, 9, 15, 16, 30):
        chunks = chunked_causal_mask_function(8, torch.zeros(1, dtype=int))
        mask = sample_attention_mask(1, length, length, mask_function=chunks, local_size=8)
        assert isinstance(mask, CausalMask) == (length <= 8)
