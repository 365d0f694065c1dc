"""The library through NumPy, against attention by definition."""

import copy
import json
import pickle
import threading

import numpy as np
import pytest

import sample_attention
from sample_attention import Config, Engine, Rows, SampleAttentionError, attend


def heads(seed, batch=1, count=2, tokens=150, dimension=16):
    return np.random.default_rng(seed).standard_normal((batch, count, tokens, dimension), np.float32)


def reference(query, key, value, scale=None, soft_cap=None, sinks=None, window=None):
    """In double precision; the output and the log-sum-exp of the keys."""
    query, key, value = (array.astype(np.float64) for array in (query, key, value))
    group = query.shape[1] // key.shape[1]
    key, value = (array.repeat(group, axis=1) for array in (key, value))
    scores = query @ key.swapaxes(2, 3) * (scale or query.shape[3] ** -0.5)
    if soft_cap:
        scores = soft_cap * np.tanh(scores / soft_cap)
    position = np.arange(key.shape[2] - query.shape[2], key.shape[2])[:, None]
    seen = np.arange(key.shape[2]) <= position
    if window:
        seen &= np.arange(key.shape[2]) > position - window
    scores = np.where(seen, scores, -np.inf)
    powers = np.exp(scores)
    total = powers.sum(-1, keepdims=True)
    sink = 0 if sinks is None else np.exp(sinks)[:, None, None]
    return powers @ value / (total + sink), np.log(total[..., 0])


def test_dense_attention_of_batches_groups_and_chunks():
    query, key, value = heads(1, 2, 4, 60), heads(2, 2, 2, 100), heads(3, 2, 2, 100)
    output, sums, report = attend(query, key, value, log_sum_exp=True)
    expected, expected_sums = reference(query, key, value)
    np.testing.assert_allclose(output, expected, atol=2e-6)
    np.testing.assert_allclose(sums, expected_sums, atol=1e-5)
    assert report.density == 1 and report.kept_pairs == 2 * 4 * sum(range(41, 101)) and report.certificates is None


def test_caps_sinks_scales_and_windows():
    query, key, value = heads(1, count=4), heads(2), heads(3)
    sinks = np.array([0.5, -1, 2, 0], np.float32)
    settings = {"scale": 0.4, "soft_cap": 3.0, "window": 20}
    output, _, report = attend(query, key, value, sinks=sinks, **settings)
    np.testing.assert_allclose(output, reference(query, key, value, sinks=sinks, **settings)[0], atol=2e-6)
    assert report.kept_pairs == 4 * (sum(range(1, 21)) + 130 * 20)


def test_any_strides_and_outputs_of_ones_own():
    query, key, value = (heads(seed, 1, 100, 2).transpose(0, 2, 1, 3) for seed in (1, 2, 3))
    key = np.repeat(key[:, :1], 2, axis=1)
    shared = np.broadcast_to(key[:, :1], key.shape)
    room = np.full((1, 2, 100, 40), 7, np.float32)
    output, _, _ = attend(query, shared, value, output=room[..., 3:19])
    np.testing.assert_array_equal(output, attend(query.copy(), key, value.copy())[0])
    assert (room[..., :3] == 7).all() and (room[..., 19:] == 7).all()


def test_halves():
    numbers = [heads(seed).view(np.uint32) >> 16 for seed in (1, 2, 3)]
    halves = [array.astype(np.uint16) for array in numbers]
    floats = [(array << 16).view(np.float32) for array in numbers]
    output = (attend(*halves)[0].astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_allclose(output, attend(*floats)[0], rtol=2**-8)


def test_configs_keep_less():
    query, key, value = heads(1, tokens=600) + 1, heads(2, tokens=600), heads(3, tokens=600)
    key[:, :, ::50] += 1
    dense, _, _ = attend(query, key, value)
    output, _, report = attend(query, key, value, Config(alpha=0.6), certify={"rows": 30, "seed": 3})
    assert 0.05 < report.density < 0.8 and len(report.certificates) == 2
    assert all(0 < certificate["mean_lower_bound"] <= certificate["mean_mass"] <= 1 for certificate in report.certificates)
    # The last rows see everything, in other blocks.
    np.testing.assert_allclose(output[:, :, -64:], dense[:, :, -64:], atol=1e-5)
    window = {"pattern": "window", "alpha": 1, "windowTokens": 9, "sinks": 0, "denseLastRows": 0}
    output, _, _ = attend(query, key, value, Config(parameters=window))
    np.testing.assert_allclose(output, reference(query, key, value, window=9)[0], atol=2e-6)


def test_configs_survive_copies():
    config = Config(alpha=0.5)
    assert copy.deepcopy({"a": config})["a"] is config
    assert isinstance(pickle.loads(pickle.dumps(config)), Config)


def test_threads_share_an_engine():
    engine, config = Engine(threads=2, precision="fp32"), Config(alpha=0.7)
    inputs = [tuple(heads(3 * seed + part, tokens=200 + seed) for part in range(3)) for seed in range(6)]
    alone = [attend(*tensors, config, engine=engine)[0] for tensors in inputs]
    found = [None] * len(inputs)

    def work(index):
        found[index] = attend(*inputs[index], config, engine=engine)[0]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own, expected in zip(found, alone):
        np.testing.assert_array_equal(own, expected)


def test_what_is_wrong_is_said(tmp_path):
    query, key, value = heads(1), heads(2), heads(3)
    with pytest.raises(TypeError, match="^key: must be an array of float32"):
        attend(query, key.astype(np.float64), value)
    with pytest.raises(ValueError, match="^value.strides: .*contiguous"):
        attend(query, key, heads(3, dimension=32)[..., ::2])
    with pytest.raises(ValueError, match=r"^query.shape: \(2, 150, 16\): must be"):
        attend(query[0], key, value)
    with pytest.raises(ValueError, match="^value.shape"):
        attend(query, key, value[:, :, 1:])
    with pytest.raises(ValueError, match=r"^sinks.shape: \(3,\)"):
        attend(query, key, value, sinks=np.zeros(3))
    with pytest.raises(ValueError, match="^precision: fp8: must be one of"):
        Engine(precision="fp8")
    with pytest.raises(SampleAttentionError, match="^call.query_count: 150: must not be more than the 149 keys") as caught:
        attend(query, key[:, :, 1:], value[:, :, 1:])
    assert caught.value.status == 64
    with pytest.raises(SampleAttentionError, match="^alpha: 2.0: must be in"):
        Config(alpha=2)
    with pytest.raises(SampleAttentionError, match="/none.json: the config file must exist") as caught:
        Config(tmp_path / "none.json")
    assert caught.value.status == 66
    (tmp_path / "bad.json").write_text(json.dumps({"schemaVersion": 99}))
    with pytest.raises(SampleAttentionError, match="schemaVersion: 99"):
        Config(tmp_path / "bad.json")
    with pytest.raises(TypeError):
        Config("a.json", alpha=0.5)
    with pytest.raises(ValueError, match="^output.shape"):
        row = Rows(query.ctypes.data, query.shape, (0, 0, 16))
        Engine(1, "fp32").attend(row, row, row, Rows(query.ctypes.data, (1, 1, 1, 16), (0, 0, 16)))


def test_engines_say_what_they_are():
    engine = Engine(threads=3, precision="bf16", instruction_set="scalar")
    assert (engine.threads, engine.precision, engine.instruction_set) == (3, "bf16", "scalar")
    assert Engine(precision="auto").precision in ("fp32", "bf16") and Engine().threads >= 1
    assert sample_attention.version().count(".") == 2
