"""`sample_attention` as an attention of transformers: importing this registers it.

    import sample_attention.transformers
    model = AutoModelForCausalLM.from_pretrained(path, attn_implementation="sample_attention")
    sample_attention.load_config(model, "config.json")

Prefills of any decoder on the CPU run in the library; decoding, and what the library does not do, as in SDPA, which is said once for each reason.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from .causal_mask import CausalMask, sample_attention_mask
from .engine import Config, Engine, Report, Rows

NAME = "sample_attention"
_CONFIG = "_sample_attention_config"
_REPORT = "_sample_attention_report"
_elements = {torch.float32: "fp32", torch.bfloat16: "bf16"}

_engines: dict[tuple[str, int, int], Engine] = {}
_said: set[str] = set()
_lock = threading.Lock()

#: Set while layers are captured: called with each layer that attends.
observing = threading.local()


def load_config(model: torch.nn.Module, path: str | os.PathLike[str]) -> Config:
    """Lets a model attend as a config file says, and returns the config. Each model has its own.

    Held against the model are the counts of layers and heads and the head dimension: that the config was tuned for these very weights,
    nobody checks. Raises ``ValueError`` where one differs, ``SampleAttentionError`` for a file that is no config.
    """
    config = Config(path)
    set_config(model, config)
    return config


def set_config(model: torch.nn.Module, config: Config | None) -> None:
    """The same with a config that is there already, such as ``Config(alpha=0.95)``; None is full attention."""
    if config is not None and config.layers > 0:
        _check(config, model)
    if getattr(model.config, "_attn_implementation", None) != NAME:
        model.set_attn_implementation(NAME)
    for module in _attentions(model):
        # A plain attribute, which is no part of the model's state.
        module.__dict__[_CONFIG] = config


def reports(model: torch.nn.Module) -> dict[int, Report]:
    """What the last prefill of each layer kept and took, for the layers that ran in the library."""
    return {module.layer_idx: module.__dict__[_REPORT] for module in _attentions(model) if _REPORT in module.__dict__}


def shape(model: torch.nn.Module) -> dict[str, int]:
    """A decoder's layers, query heads, key-value heads and head dimension, as its config says them."""
    config = model.config.get_text_config(decoder=True)
    heads = config.num_attention_heads
    return {
        "layers": config.num_hidden_layers,
        "query_heads": heads,
        "key_value_heads": getattr(config, "num_key_value_heads", None) or heads,
        "head_dimension": getattr(config, "head_dim", None) or config.hidden_size // heads,
    }


def _attentions(model: torch.nn.Module) -> list[torch.nn.Module]:
    return [module for module in model.modules() if isinstance(getattr(module, "layer_idx", None), int)]


def _check(config: Config, model: torch.nn.Module) -> None:
    for name, own in shape(model).items():
        if (tuned := getattr(config, name)) != own:
            raise ValueError(f"{name}: {own}: the config is for a model of {tuned}")


def sample_attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What `AttentionInterface` asks for: [batch, heads, tokens, d] in, [batch, tokens, heads, d] out."""
    reason = _obstacle(query, key, value, attention_mask, dropout, is_causal, kwargs)
    if reason is None:
        return _attend(module, query, key, value, attention_mask, scaling, softcap, s_aux, kwargs.get("prompt_length")), None
    # One query at a time is decoding, which is SDPA's on purpose.
    if query.shape[2] > 1:
        _say(reason)
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if softcap is None and s_aux is None:
        if isinstance(attention_mask, CausalMask):
            whole = attention_mask.window is None and query.shape[2] == key.shape[2]
            attention_mask = None if whole else attention_mask.materialized()
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **kwargs
        )
    # SDPA knows neither caps nor sinks; the model's own attention does.
    mask = _added(attention_mask, query, key, causal)
    return _eager(module)(
        module, query, key, value, mask, dropout=dropout, scaling=scaling, is_causal=is_causal, softcap=softcap, s_aux=s_aux, **kwargs
    )


def _obstacle(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    is_causal: bool | None,
    kwargs: dict[str, Any],
) -> str | None:
    """Why the library does not do it; None where it does."""
    if not isinstance(mask, CausalMask):
        return getattr(mask, "sample_attention_reason", "attention that is not causal, or a mask of the caller's own")
    if is_causal is False:
        return "attention that is not causal"
    if tuple(mask.shape[-2:]) != (query.shape[2], key.shape[2]):
        return "a mask of other extents than the keys"
    if any(tensor.device.type != "cpu" for tensor in (query, key, value)):
        return "tensors that are not on the CPU"
    if any(tensor.dtype not in _elements for tensor in (query, key, value)):
        return f"tensors of {query.dtype}"
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (query, key, value)):
        return "gradients: run prefills under torch.no_grad() or torch.inference_mode()"
    if dropout > 0:
        return "dropout"
    if value.shape != key.shape or query.shape[-1] != key.shape[-1]:
        return "values of another dimension than the keys"
    if kwargs.get("position_bias") is not None:
        return "a position bias"
    return None


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: CausalMask,
    scaling: float | None,
    softcap: float | None,
    sinks: torch.Tensor | None,
    prompt_length: int | None,
) -> torch.Tensor:
    batch, heads, queries, dimension = query.shape
    output = torch.empty(batch, queries, heads, dimension, dtype=query.dtype)
    if sinks is not None:
        sinks = sinks.detach().float().contiguous()
    # Contiguous copies must live as long as the call.
    inputs = [tensor.detach() if tensor.stride(-1) == 1 else tensor.detach().contiguous() for tensor in (query, key, value)]
    settings: dict[str, Any] = {
        "scale": scaling,
        "soft_cap": softcap,
        "sinks": None if sinks is None else sinks.data_ptr(),
        "window": mask.window,
    }
    observe: Callable[..., None] | None = getattr(observing, "layer", None)
    if observe is not None:
        observe(module, *inputs, scaling=scaling, soft_cap=softcap, sinks=sinks, window=mask.window)
    config = module.__dict__.get(_CONFIG) if observe is None else None
    module.__dict__[_REPORT] = _engine(query.dtype).attend(
        *(_rows(tensor) for tensor in inputs),
        _rows(output.transpose(1, 2)),
        config=config,
        layer=getattr(module, "layer_idx", None) or 0,
        prompt_length=prompt_length,
        **settings,
    )
    return output


def _rows(tensor: torch.Tensor) -> Rows:
    return Rows(tensor.data_ptr(), tuple(tensor.shape), tensor.stride()[:3], _elements[tensor.dtype])


def _engine(dtype: torch.dtype) -> Engine:
    """As many threads as torch has. Models in FP32 keep their accuracy; those in BF16 are multiplied in what is faster."""
    key = ("fp32" if dtype == torch.float32 else "auto", torch.get_num_threads(), os.getpid())
    with _lock:
        if key not in _engines:
            _engines[key] = Engine(threads=key[1], precision=key[0])
        return _engines[key]


def _say(reason: str) -> None:
    with _lock:
        if reason in _said:
            return
        _said.add(reason)
    warnings.warn(f"sample_attention leaves a prefill to SDPA or the model's own attention: {reason}", stacklevel=3)


def _added(mask: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor, causal: bool) -> torch.Tensor | None:
    """A mask to be added to scores."""
    if mask is None and causal and query.shape[2] > 1:
        mask = CausalMask(query.shape[0], query.shape[2], key.shape[2], None)
    if isinstance(mask, CausalMask):
        mask = mask.materialized().to(query.device)
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros((), dtype=query.dtype, device=query.device).where(mask, torch.finfo(query.dtype).min)


def _eager(module: torch.nn.Module) -> Callable[..., tuple[torch.Tensor, torch.Tensor | None]]:
    eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    if eager is None:
        raise NotImplementedError(f"{type(module).__name__}: has capped scores or sinks, and no attention of its own to leave them to")
    return eager


AttentionInterface.register(NAME, sample_attention_forward)
AttentionMaskInterface.register(NAME, sample_attention_mask)
