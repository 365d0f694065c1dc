"""SampleAttention on CPUs: sparse prefill attention for long prompts.

``Engine`` and ``Config`` need nothing but the library; ``attend`` takes NumPy arrays. ``import sample_attention.transformers`` makes it an
attention of transformers, by the name of ``sample_attention``; its ``load_config`` and ``set_config``, and ``capture``, stand here too.
"""

from .engine import Config, Engine, Report, Rows, SampleAttentionError
from .library import LibraryNotFoundError, load, version

__all__ = [
    "Config",
    "Engine",
    "LibraryNotFoundError",
    "Report",
    "Rows",
    "SampleAttentionError",
    "attend",
    "capture",
    "load",
    "load_config",
    "set_config",
    "version",
]

# What needs packages beside the standard library is imported when it is used.
_elsewhere = {"attend": "arrays", "load_config": "transformers", "set_config": "transformers", "capture": "captured"}


def __getattr__(name: str) -> object:
    if name not in _elsewhere:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_elsewhere[name]}"), name)
