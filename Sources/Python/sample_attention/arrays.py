"""Attention on NumPy arrays."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from .engine import Config, Engine, Report, Rows

_engine: Engine | None = None
_lock = threading.Lock()


def _standard_engine() -> Engine:
    global _engine
    with _lock:
        _engine = _engine or Engine(precision="fp32")
        return _engine


def _rows(array: np.ndarray, name: str) -> Rows:
    if not isinstance(array, np.ndarray) or array.dtype not in (np.float32, np.uint16):
        raise TypeError(f"{name}: must be an array of float32, or of uint16 that holds BF16")
    if array.ndim != 4:
        raise ValueError(f"{name}.shape: {array.shape}: must be [batch, heads, tokens, head dimension]")
    *outer, last = (stride // array.itemsize for stride in array.strides)
    if last != 1 and array.shape[3] > 1 or any(stride % array.itemsize for stride in array.strides):
        raise ValueError(f"{name}.strides: {array.strides}: the last axis must be contiguous")
    return Rows(array.ctypes.data, array.shape, tuple(outer), "fp32" if array.dtype == np.float32 else "bf16")


def attend(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    config: Config | None = None,
    *,
    engine: Engine | None = None,
    output: np.ndarray | None = None,
    sinks: np.ndarray | None = None,
    log_sum_exp: bool = False,
    certify: Mapping[str, float] | None = None,
    **settings: Any,
) -> tuple[np.ndarray, np.ndarray | None, Report]:
    """Prefill attention of one layer: the output, log-sum-exps where they are asked for, and a report.

    Shapes: query [batch, query heads, queries, d], key and value [batch, key-value heads, keys, d], with queries the last of the keys; the
    output as the query, ``log_sum_exp`` [batch, query heads, queries]; ``sinks`` [query heads]. float32, or uint16 whose bits are BF16; any
    strides that leave the last axis contiguous. ``config`` None is full attention, ``engine`` None one of FP32 with a thread a core;
    ``settings`` are those of ``Engine.attend``.
    """
    if output is None:
        output = np.empty(query.shape, query.dtype)
    elif not output.flags.writeable:
        raise ValueError("output: must be writeable")
    rows = [_rows(array, name) for array, name in ((query, "query"), (key, "key"), (value, "value"), (output, "output"))]
    sums = np.empty(query.shape[:3], np.float32) if log_sum_exp else None
    if sinks is not None:
        sinks = np.ascontiguousarray(sinks, np.float32)
        if sinks.shape != query.shape[1:2]:
            raise ValueError(f"sinks.shape: {sinks.shape}: must be {query.shape[1:2]}")
    report = (engine or _standard_engine()).attend(
        *rows,
        config=config,
        sinks=None if sinks is None else sinks.ctypes.data,
        log_sum_exp=None if sums is None else sums.ctypes.data,
        certify=certify,
        **settings,
    )
    return output, sums, report
