"""The library's handles as Python objects, and attention on addresses."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from . import library


class SampleAttentionError(Exception):
    """What the library refuses: one line of field, value and rule, and a status of sysexits.h."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def _call(name: str, *arguments: Any) -> None:
    message = ctypes.create_string_buffer(512)
    status = getattr(library.load(), f"sample_attention_{name}")(*arguments, message, len(message))
    if status != 0:
        raise SampleAttentionError(message.value.decode(errors="replace"), status)


def _sized(struct: type[ctypes.Structure], **fields: Any) -> Any:
    return struct(size=ctypes.sizeof(struct), **fields)


class _Handle:
    """Owns an object of the library until it is collected."""

    _kind: str

    def __init__(self, create: Callable[[Any], None]):
        self._handle = ctypes.c_void_p()
        create(ctypes.byref(self._handle))

    def __del__(self) -> None:
        # An interpreter that ends may have taken the module away.
        if getattr(self, "_handle", None) and library is not None:
            getattr(library.load(), f"sample_attention_{self._kind}_destroy")(self._handle)
            self._handle = ctypes.c_void_p()


class Config(_Handle):
    """What each head keeps: of a file, or one setting for every head. ``Config()`` is full attention."""

    _kind = "config"

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        alpha: float | None = None,
        parameters: Mapping[str, Any] | None = None,
    ):
        """At most one of

        - ``path``: a config that ``sample-attention tune`` or ``search`` wrote,
        - ``alpha``: the share in (0, 1] of the sampled mass that columns reach, with the paper's window and sampling,
        - ``parameters``: one head's parameters as they stand in a config file.

        Raises ``SampleAttentionError`` naming file, field, value and rule.
        """
        if sum(source is not None for source in (path, alpha, parameters)) > 1:
            raise TypeError("a config is of a path, an alpha, or parameters")
        self._source = {"path": path, "alpha": alpha, "parameters": parameters}
        if path is not None:
            super().__init__(lambda place: _call("config_load", os.fsencode(path), place))
        elif alpha is not None:
            super().__init__(lambda place: _call("config_alpha", alpha, place))
        elif parameters is not None:
            super().__init__(lambda place: _call("config_parameters", json.dumps(dict(parameters)).encode(), place))
        else:
            super().__init__(lambda place: _call("config_dense", place))
        info = _sized(library.ConfigInfo)
        _call("config_describe", self._handle, ctypes.byref(info))
        #: Of the model that it was tuned for; all 0 where it is for any.
        self.layers: int = info.layers
        self.query_heads: int = info.query_heads
        self.key_value_heads: int = info.key_value_heads
        self.head_dimension: int = info.head_dimension
        #: Prompts shorter than this are dense.
        self.dense_below: int = info.dense_below
        #: How many prompt lengths it was tuned at.
        self.lengths: int = info.lengths
        self.family: str = info.family.decode(errors="replace")
        self.weights_sha256: str = info.weights_sha256.decode(errors="replace")

    # Copies of models share what they were given; a pickled one is made again where it is read.
    def __deepcopy__(self, memo: dict[int, Any]) -> Config:
        return self

    def __copy__(self) -> Config:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _config_of, (self._source,)


def _config_of(source: dict[str, Any]) -> Config:
    return Config(**source)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows [batch][head][token][head dimension] in memory: an address and strides in elements; the last axis is contiguous."""

    address: int
    shape: tuple[int, int, int, int]
    strides: tuple[int, int, int]
    elements: str = "fp32"

    def _tensor(self) -> library.Tensor:
        return library.Tensor(self.address, *self.strides, library.ELEMENTS[self.elements], 0)


@dataclasses.dataclass(frozen=True)
class Report:
    """What a call kept and what that took, all batches and heads together."""

    kept_pairs: int
    causal_pairs: int
    selection_seconds: float
    certificate_seconds: float
    kernel_seconds: float
    conversion_seconds: float
    #: One of each head, batch after batch, where they were asked for: field by field as in ``sample_attention_certificate``.
    certificates: list[dict[str, float]] | None = None

    @property
    def density(self) -> float:
        """Kept over causal pairs."""
        return self.kept_pairs / self.causal_pairs


class Engine(_Handle):
    """Threads, an instruction set and a precision. Several threads may use one at once; a forked process needs one of its own."""

    _kind = "engine"

    def __init__(self, threads: int = 0, precision: str = "auto", instruction_set: str | None = None):
        """``threads`` 0: one for each core that the process may run on. ``precision``: of products, ``fp32``, ``bf16`` or ``auto``, which
        takes the one that this machine multiplies faster (50 ms to find out). ``instruction_set`` None: the fastest.

        Raises ``SampleAttentionError`` for what this machine lacks.
        """
        if precision not in library.PRECISIONS:
            raise ValueError(f"precision: {precision}: must be one of {', '.join(library.PRECISIONS)}")
        options = _sized(
            library.EngineOptions,
            threads=threads,
            precision=library.PRECISIONS[precision],
            instruction_set=instruction_set.encode() if instruction_set else None,
        )
        super().__init__(lambda place: _call("engine_create", ctypes.byref(options), place))
        info = _sized(library.EngineInfo)
        _call("engine_describe", self._handle, ctypes.byref(info))
        self.threads: int = info.threads
        self.precision: str = {number: name for name, number in library.PRECISIONS.items()}[info.precision]
        self.instruction_set: str = info.instruction_set.decode()

    def attend(
        self,
        query: Rows,
        key: Rows,
        value: Rows,
        output: Rows,
        *,
        config: Config | None = None,
        layer: int = 0,
        prompt_length: int | None = None,
        scale: float | None = None,
        soft_cap: float | None = None,
        sinks: int | None = None,
        window: int | None = None,
        log_sum_exp: int | None = None,
        certify: Mapping[str, float] | None = None,
    ) -> Report:
        """Prefill attention of one layer into ``output``: query i of n sees the keys up to its own, keys - n + i.

        - ``prompt_length``: of the whole prompt, where this is a chunk of it.
        - ``scale``: of q · k; 1/√d where it is None. ``soft_cap``: c of c · tanh(score / c). ``window``: the model's own, in positions.
        - ``sinks``: address of a float for each query head. ``log_sum_exp``: address of floats [batch][query head][query].
        - ``certify``: asks for certificates: ``rows``, ``confidence``, ``minimum_mass``, ``seed``, each of them optional.

        The memory must stay where it is until the call returns; other threads run meanwhile. Raises ``SampleAttentionError``.
        """
        batch, heads, queries, dimension = query.shape
        for name, rows, expected in (
            ("key", key, (batch, key.shape[1], key.shape[2], dimension)),
            ("value", value, key.shape),
            ("output", output, query.shape),
        ):
            if rows.shape != expected:
                raise ValueError(f"{name}.shape: {rows.shape}: must be {expected}")
        call = _sized(
            library.Call,
            layer=layer,
            batch=batch,
            query_heads=heads,
            key_value_heads=key.shape[1],
            query_count=queries,
            key_count=key.shape[2],
            head_dimension=dimension,
            prompt_length=prompt_length or 0,
            query=query._tensor(),
            key=key._tensor(),
            value=value._tensor(),
            output=output._tensor(),
            score_scale=scale or 0,
            soft_cap=soft_cap or 0,
            sinks=sinks,
            window=window or 0,
            log_sum_exp=log_sum_exp,
            certificate_size=ctypes.sizeof(library.Certificate),
        )
        certificates = None
        if certify is not None:
            call.certification = ctypes.pointer(_sized(library.Certification, **certify))
            certificates = (library.Certificate * (batch * heads))()
            call.certificates = ctypes.addressof(certificates)
        report = _sized(library.CallReport)
        _call("attend", self._handle, config._handle if config else None, ctypes.byref(call), ctypes.byref(report))
        fields = {field.name: getattr(report, field.name) for field in dataclasses.fields(Report) if field.name != "certificates"}
        return Report(**fields, certificates=certificates and [_fields(certificate) for certificate in certificates])


def _fields(struct: ctypes.Structure) -> dict[str, float]:
    return {name: getattr(struct, name) for name, _ in struct._fields_ if name not in ("size", "reserved")}
