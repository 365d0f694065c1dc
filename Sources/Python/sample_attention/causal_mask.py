"""Masks of transformers for which attention needs no memory: causal ones, and sliding windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_map
from transformers.masking_utils import causal_mask_function, sdpa_mask


class CausalMask(torch.Tensor):
    """Says that each query sees the keys up to its own, and of these the last ``window`` where it is not None; queries are the last of the
    keys.

    Shape [batch, 1, queries, keys], of no memory. Whatever asks more of it than its shape, as code does that slices or adds masks, gets
    the mask of booleans that it stands for.
    """

    window: int | None

    @staticmethod
    def __new__(cls, batch: int, queries: int, keys: int, window: int | None) -> CausalMask:
        mask = torch.zeros((), dtype=torch.bool).expand(batch, 1, queries, keys).as_subclass(cls)
        mask.window = window
        return mask

    def materialized(self) -> torch.Tensor:
        """The mask as booleans, true where a query sees a key: O(queries · keys)."""
        batch, _, queries, keys = self.shape
        return _sees(torch.arange(keys - queries, keys)[:, None], torch.arange(keys), self.window).expand(batch, 1, queries, keys)

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in _questions:
            return super().__torch_function__(function, types, args, kwargs)
        args, kwargs = tree_map(lambda part: part.materialized() if isinstance(part, CausalMask) else part, (args, kwargs or {}))
        return function(*args, **kwargs)


# What a tensor may be asked without its numbers.
_questions = {
    torch.Tensor.size,
    torch.Tensor.dim,
    *(getattr(torch.Tensor, name).__get__ for name in ("shape", "ndim", "dtype", "device", "layout", "requires_grad", "is_cuda")),
}


def _sees(query: torch.Tensor, key: torch.Tensor, window: int | None) -> torch.Tensor:
    causal = key <= query
    return causal if window is None else causal & (key > query - window)


def sample_attention_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | torch.Tensor = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., Any] = causal_mask_function,
    attention_mask: torch.Tensor | None = None,
    local_size: int | None = None,
    allow_is_causal_skip: bool = True,
    device: torch.device | str = "cpu",
    **kwargs: Any,
) -> torch.Tensor | None:
    """What `AttentionMaskInterface` asks for: a ``CausalMask`` where that says it all, else SDPA's mask of booleans.

    The latter's ``sample_attention_reason`` says why. SDPA itself could do without some of them; layers with caps or sinks cannot.
    """
    reason = _why_not_causal(
        q_length, kv_length, q_offset, kv_offset, mask_function, attention_mask, local_size, allow_is_causal_skip, device
    )
    if reason is None:
        return CausalMask(batch_size, q_length, kv_length, local_size)
    mask = sdpa_mask(
        batch_size=batch_size,
        q_length=q_length,
        kv_length=kv_length,
        q_offset=q_offset,
        kv_offset=kv_offset,
        mask_function=mask_function,
        attention_mask=attention_mask,
        local_size=local_size,
        allow_is_causal_skip=allow_is_causal_skip and q_length == 1,
        device=device,
        **kwargs,
    )
    if mask is not None and not torch.compiler.is_compiling():
        mask.sample_attention_reason = reason
    return mask


def _why_not_causal(
    q_length: int,
    kv_length: int,
    q_offset: int | torch.Tensor,
    kv_offset: int,
    mask_function: Callable[..., Any],
    attention_mask: torch.Tensor | None,
    local_size: int | None,
    allow_is_causal_skip: bool,
    device: torch.device | str,
) -> str | None:
    if q_length == 1:
        return "decoding"
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return "a compiled or traced model"
    if torch.device(device).type != "cpu":
        return "tensors that are not on the CPU"
    # transformers forbids to skip masks of packed sequences, and those that a model has changed.
    if not allow_is_causal_skip:
        return "packed sequences, or a mask function of the model's own"
    if int(q_offset) + q_length != kv_offset + kv_length:
        return "a cache with room beyond the last query"
    if attention_mask is not None:
        seen = attention_mask[:, kv_offset : kv_offset + kv_length]
        if seen.shape[1] < kv_length or not bool(seen.all()):
            return "padding"
    if not _is_causal(q_length, kv_length, int(q_offset), kv_offset, mask_function, local_size):
        return "a mask that is neither causal nor a sliding window"
    return None


def _is_causal(q_length: int, kv_length: int, q_offset: int, kv_offset: int, mask_function: Callable[..., Any], window: int | None) -> bool:
    """Whether a few rows of the mask are as they must be. Chunks of keys differ from a window in the last row or in the one before."""
    last = q_offset + q_length - 1
    query = torch.tensor(sorted({q_offset, q_offset + q_length // 2, last - 1, last}))[None, None, :, None]
    key = torch.arange(kv_offset, kv_offset + kv_length)[None, None, None, :]
    zero = torch.zeros(1, 1, 1, 1, dtype=torch.long)
    expected = _sees(query, key, window)
    return bool((torch.as_tensor(mask_function(zero, zero, query, key)) == expected).all())
