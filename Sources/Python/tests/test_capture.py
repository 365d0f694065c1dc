"""Files of captured layers, read as safetensors."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers", minversion="5")
safetensors = pytest.importorskip("safetensors")

import sample_attention  # noqa: E402
from test_transformers import loss_of, made, prompt  # noqa: E402


def attention(tensors, layer, metadata):
    """softmax(Q Kᵀ / √d) V in double precision, with caps and sinks: [tokens][heads][d]."""
    query, key, value = (tensors[f"layers.{layer}.{name}"].double().transpose(0, 1) for name in ("query", "key", "value"))
    key, value = (rows.repeat_interleave(query.shape[0] // key.shape[0], 0) for rows in (key, value))
    scores = query @ key.transpose(1, 2) / query.shape[2] ** 0.5
    if cap := float(metadata.get("softCap", 0)):
        scores = cap * torch.tanh(scores / cap)
    scores = scores.masked_fill(torch.ones(scores.shape[1:], dtype=bool).triu(1), -torch.inf)
    if (sinks := tensors.get(f"layers.{layer}.sinks")) is not None:
        scores = torch.cat([scores, sinks.double()[:, None, None].expand(-1, scores.shape[1], 1)], 2)
        value = torch.cat([value, torch.zeros_like(value[:, :1])], 1)
    return (scores.softmax(2) @ value).transpose(0, 1)


@pytest.mark.parametrize("family, layers", [("llama", [0, 1, 2, 3]), ("gemma2", [0, 2]), ("gemma3", [0, 2]), ("gpt-oss", [0, 2])])
@torch.no_grad()
def test_captured_layers_are_what_the_model_attends_to(family, layers, tmp_path):
    model, ours = loss_of(family)
    before = model.config._attn_implementation
    seen = {}
    for layer in layers:
        module = model.model.layers[layer].self_attn
        module.o_proj.register_forward_pre_hook(lambda _, inputs, layer=layer: seen.__setitem__(layer, inputs[0].clone()))
    assert sample_attention.capture(model, prompt(), tmp_path / "layers.safetensors") == layers
    assert model.config._attn_implementation == before
    with safetensors.safe_open(tmp_path / "layers.safetensors", "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    assert len(tensors) == len(layers) * (4 if family == "gpt-oss" else 3)
    for layer in layers:
        assert tensors[f"layers.{layer}.query"].shape == (150, 4, 16) and tensors[f"layers.{layer}.key"].shape == (150, 2, 16)
        torch.testing.assert_close(attention(tensors, layer, metadata).flatten(1).float(), seen[layer][0], atol=1e-4, rtol=1e-4)
    model = json.loads(metadata["model"])
    assert (model["layers"], model["queryHeads"], model["keyValueHeads"], model["headDimension"]) == (4, 4, 2, 16)
    assert metadata["tokens"] == "150" and [path.name for path in tmp_path.iterdir()] == ["layers.safetensors"]


def test_chosen_layers_alone(tmp_path):
    model, _ = made("llama")
    assert sample_attention.capture(model, prompt()[0], tmp_path / "some", layers=[3, 1]) == [1, 3]
    with safetensors.safe_open(tmp_path / "some", "pt") as file:
        assert {name.split(".")[1] for name in file.keys()} == {"1", "3"}


def test_what_cannot_be_captured_is_said_and_leaves_nothing(tmp_path):
    gemma, _ = made("gemma3")
    for layers, ids, message in [
        ([1], prompt(), "^layers: 1: has a window of its own"),
        ([4], prompt(), r"^layers: 4: must be in 0 \.\.\. 3"),
        (None, prompt(batch=2), r"^input_ids.shape: \(2, 150\)"),
        (None, prompt(1), r"^input_ids.shape: \(1, 1\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            sample_attention.capture(gemma, ids, tmp_path / "none", layers=layers)
    with pytest.raises(ValueError, match="^layers: all: no such layer"):
        sample_attention.capture(made("mistral")[0], prompt(), tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
