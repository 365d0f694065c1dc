"""Queries, keys and values of a prompt as a file that `sample-attention profile --captured` and `search --captured` read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import torch

from . import transformers as bridge


def capture(
    model: torch.nn.Module, input_ids: torch.Tensor, path: str | os.PathLike[str], layers: Sequence[int] | None = None
) -> list[int]:
    """Runs one dense forward pass of a prompt and writes its layers; returns which.

    ``input_ids`` [1, tokens] or [tokens]; ``layers`` None: all that attend to everything. One layer is in memory at a time, beside the
    model: 4 · tokens · (query heads + 2 · key-value heads) · d bytes, which are written as F32: rotated, and scaled so that attention is
    softmax(Q Kᵀ / √d) V. The file appears when it is whole.

    Raises ``ValueError`` for layers that are not there, have a window of their own, or differ in shape.
    """
    tokens = input_ids.reshape(1, -1)
    if input_ids.dim() > 2 or input_ids.dim() == 2 and input_ids.shape[0] != 1 or tokens.shape[1] < 2:
        raise ValueError(f"input_ids.shape: {tuple(input_ids.shape)}: must be one prompt of at least two tokens")
    count = bridge.shape(model)["layers"]
    for layer in layers or ():
        if not 0 <= layer < count:
            raise ValueError(f"layers: {layer}: must be in 0 ... {count - 1}")
    with _temporary(path) as file, _implementation(model):
        writer = _Writer(file, model, tokens, None if layers is None else set(layers))
        bridge.observing.layer = writer.observe
        try:
            with torch.no_grad():
                # The cache and all scores but the last would be memory for nothing.
                model(input_ids=tokens.to(model.device), use_cache=False, logits_to_keep=1)
        finally:
            bridge.observing.layer = None
        return writer.finish()


class _Writer:
    """A safetensors file whose header is written last, into room that is left for it."""

    def __init__(self, file: BinaryIO, model: torch.nn.Module, tokens: torch.Tensor, wanted: set[int] | None):
        self.file, self.model, self.tokens, self.wanted = file, model, tokens, wanted
        self.tensors: dict[str, dict[str, Any]] = {}
        self.written: list[int] = []
        self.extents: list[tuple[int, ...]] | None = None
        self.soft_cap: float | None = None
        self.offset = 0
        # A tensor's entry takes some 110 bytes, and there are four of a layer.
        self.room = 4096 + 640 * bridge.shape(model)["layers"]
        file.write(bytes(8 + self.room))

    def observe(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        scaling: float | None,
        soft_cap: float | None,
        sinks: torch.Tensor | None,
        window: int | None,
    ) -> None:
        layer = module.layer_idx
        if self.wanted is not None and layer not in self.wanted or self.wanted is None and window is not None:
            return
        if window is not None:
            raise ValueError(f"layers: {layer}: has a window of its own, and nothing to choose")
        extents = [tuple(tensor.shape[1:]) for tensor in (query, key, value)]
        self.extents = self.extents or extents
        if extents != self.extents:
            raise ValueError(f"layers: {layer}: is of {extents}, and layers before it of {self.extents}: a file's layers are of one shape")
        factor = 1.0 if scaling is None else scaling * query.shape[-1] ** 0.5
        query = query.float() if abs(factor - 1) < 1e-9 else query.float() * factor
        for name, tensor in (("query", query), ("key", key), ("value", value)):
            self._write(f"layers.{layer}.{name}", tensor[0].transpose(0, 1))
        if sinks is not None:
            self._write(f"layers.{layer}.sinks", sinks)
        self.soft_cap = soft_cap
        self.written.append(layer)

    def _write(self, name: str, tensor: torch.Tensor) -> None:
        numbers = tensor.float().contiguous().numpy()
        self.file.write(numbers.data)
        self.tensors[name] = {
            "dtype": "F32",
            "shape": list(numbers.shape),
            "data_offsets": [self.offset, self.offset + numbers.nbytes],
        }
        self.offset += numbers.nbytes

    def finish(self) -> list[int]:
        missing = sorted((self.wanted or set()) - set(self.written))
        if missing or not self.written:
            raise ValueError(f"layers: {missing or 'all'}: no such layer attends through sample_attention to everything")
        header = json.dumps({"__metadata__": self._metadata(), **self.tensors}, separators=(",", ":")).encode()
        if len(header) > self.room:
            raise ValueError(f"layers: {len(self.written)}: take more names than a file of {self.room} bytes of header has")
        self.file.seek(0)
        self.file.write(self.room.to_bytes(8, "little") + header.ljust(self.room))
        return self.written

    def _metadata(self) -> dict[str, str]:
        own = bridge.shape(self.model)
        metadata = {
            "text": "input_ids",
            "textSHA256": hashlib.sha256(self.tokens.to("cpu", torch.int64).numpy().tobytes()).hexdigest(),
            "tokens": str(self.tokens.shape[1]),
            "tool": "sample_attention for Python",
        }
        assert self.extents is not None
        (queries, _, dimension), (keys, _, _), _ = self.extents
        # The layers' own heads count, where a config tells of others.
        metadata["model"] = json.dumps(
            {
                "family": str(getattr(self.model.config, "model_type", "unknown")),
                "layers": own["layers"],
                "queryHeads": queries,
                "keyValueHeads": keys,
                "headDimension": dimension,
                "weightsSHA256": "unknown",
                "tokenizerSHA256": "unknown",
            }
        )
        if self.soft_cap is not None:
            metadata["softCap"] = repr(float(self.soft_cap))
        return metadata


@contextlib.contextmanager
def _temporary(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file that takes its name when it is whole, and leaves nothing behind when it is not."""
    name = f"{os.fspath(path)}.{os.getpid()}.tmp"
    file = open(name, "wb")
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def _implementation(model: torch.nn.Module) -> Iterator[None]:
    before = model.config._attn_implementation
    if before != bridge.NAME:
        model.set_attn_implementation(bridge.NAME)
    try:
        yield
    finally:
        if before != bridge.NAME:
            model.set_attn_implementation(before)
