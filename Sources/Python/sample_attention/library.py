"""Where libsampleattention.so is, and what its functions take: the declarations of sample_attention.h."""

from __future__ import annotations

import ctypes
import os
import pathlib
from ctypes import POINTER, c_char, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from functools import lru_cache

ENVIRONMENT = "SAMPLE_ATTENTION_LIBRARY"
NAME = "libsampleattention.so"
ABI_VERSION = 1

PRECISIONS = {"auto": 0, "fp32": 1, "bf16": 2}
ELEMENTS = {"fp32": 1, "bf16": 2}


class LibraryNotFoundError(ImportError):
    """The library is nowhere, or is not one that this package can use."""


class EngineOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("threads", c_int32), ("precision", c_int32), ("instruction_set", c_char_p)]


class EngineInfo(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("threads", c_int32), ("precision", c_int32), ("instruction_set", c_char * 32)]


class ConfigInfo(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("layers", c_int64),
        ("query_heads", c_int64),
        ("key_value_heads", c_int64),
        ("head_dimension", c_int64),
        ("dense_below", c_int64),
        ("lengths", c_int64),
        ("family", c_char * 64),
        ("weights_sha256", c_char * 72),
    ]


class Tensor(ctypes.Structure):
    """Rows that are read or written: both structs of the header have the same fields."""

    _fields_ = [
        ("data", c_void_p),
        ("batch_stride", c_int64),
        ("head_stride", c_int64),
        ("token_stride", c_int64),
        ("elements", c_int32),
        ("reserved", c_int32),
    ]


class Certification(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("rows", c_int64), ("confidence", c_double), ("minimum_mass", c_double), ("seed", c_uint64)]


class Certificate(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("is_exact", c_int32),
        ("is_dense", c_int32),
        ("escalation", c_int32),
        ("reserved", c_int32),
        ("mean_mass", c_double),
        ("mean_lower_bound", c_double),
        ("confidence", c_double),
        ("alpha", c_double),
        ("share_lower_bound", c_double),
        ("mean_error_bound", c_double),
        ("row_error_bound", c_double),
    ]


class Call(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("layer", c_int64),
        ("batch", c_int64),
        ("query_heads", c_int64),
        ("key_value_heads", c_int64),
        ("query_count", c_int64),
        ("key_count", c_int64),
        ("head_dimension", c_int64),
        ("prompt_length", c_int64),
        ("query", Tensor),
        ("key", Tensor),
        ("value", Tensor),
        ("output", Tensor),
        ("score_scale", c_double),
        ("soft_cap", c_double),
        ("sinks", c_void_p),
        ("window", c_int64),
        ("log_sum_exp", c_void_p),
        ("certification", POINTER(Certification)),
        ("certificates", c_void_p),
        ("certificate_size", c_size_t),
    ]


class CallReport(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("kept_pairs", c_int64),
        ("causal_pairs", c_int64),
        ("selection_seconds", c_double),
        ("certificate_seconds", c_double),
        ("kernel_seconds", c_double),
        ("conversion_seconds", c_double),
    ]


_message = [c_char_p, c_size_t]
_functions: dict[str, tuple[object, list[object]]] = {
    "version": (c_char_p, []),
    "abi_version": (c_int32, []),
    "engine_create": (c_int32, [POINTER(EngineOptions), POINTER(c_void_p), *_message]),
    "engine_describe": (c_int32, [c_void_p, POINTER(EngineInfo), *_message]),
    "engine_destroy": (None, [c_void_p]),
    "config_load": (c_int32, [c_char_p, POINTER(c_void_p), *_message]),
    "config_dense": (c_int32, [POINTER(c_void_p), *_message]),
    "config_alpha": (c_int32, [c_double, POINTER(c_void_p), *_message]),
    "config_parameters": (c_int32, [c_char_p, POINTER(c_void_p), *_message]),
    "config_describe": (c_int32, [c_void_p, POINTER(ConfigInfo), *_message]),
    "config_destroy": (None, [c_void_p]),
    "attend": (c_int32, [c_void_p, c_void_p, POINTER(Call), POINTER(CallReport), *_message]),
}


def _candidates() -> list[str]:
    """Where the library may be: only where the environment says, if it does; else beside this package, else where the loader looks."""
    if named := os.environ.get(ENVIRONMENT):
        return [named]
    beside = pathlib.Path(__file__).with_name(NAME)
    return [str(beside)] if beside.exists() else [NAME]


@lru_cache(maxsize=None)
def load() -> ctypes.CDLL:
    """The library, with its functions declared.

    Raises ``LibraryNotFoundError`` where it is not found, cannot be loaded, or is older than this package.
    """
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            raise LibraryNotFoundError(
                f"{path}: {error}. `make library` builds {NAME}; {ENVIRONMENT} says where it is, or it stands beside this package "
                "or where the loader looks (LD_LIBRARY_PATH)"
            ) from None
    for name, (result, arguments) in _functions.items():
        try:
            function = getattr(library, f"sample_attention_{name}")
        except AttributeError:
            raise LibraryNotFoundError(f"{path}: has no function sample_attention_{name}") from None
        function.restype = result
        function.argtypes = arguments
    found = library.sample_attention_abi_version()
    if found < ABI_VERSION:
        raise LibraryNotFoundError(f"{path}: is of ABI version {found}, and this package needs {ABI_VERSION}")
    return library


def version() -> str:
    """The library's version."""
    return load().sample_attention_version().decode()
