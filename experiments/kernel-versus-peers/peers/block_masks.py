"""Window + column patterns in blocks of 128 tokens, as FlexAttention takes them."""
import torch
from torch.nn.attention.flex_attention import BlockMask

BLOCK = 128


def causal(batch, head, query, key):
    return query >= key


def kept_blocks(blocks, density, generator):
    """[blocks, blocks]: about half of the kept pairs just before each query, the rest in whole columns at random places.

    Columns are added while they bring the share of kept pairs nearer to `density`."""
    row, column = torch.arange(blocks)[:, None], torch.arange(blocks)[None]
    lower = column <= row
    if density == 1:
        return lower
    keep = lower & (row - column < max(1, round(density * blocks / 4)))
    for candidate in torch.randperm(blocks, generator=generator):
        wider = keep | (lower & (column == candidate))
        if abs(kept_share(wider[None]) - density) < abs(kept_share(keep[None]) - density):
            keep = wider
    return keep


def patterns(heads, length, density):
    """[heads, blocks, blocks]; each head has columns of its own."""
    if length % BLOCK:
        raise ValueError(f"length {length} must be a multiple of {BLOCK}")
    generator = torch.Generator().manual_seed(1)
    return torch.stack([kept_blocks(length // BLOCK, density, generator) for _ in range(heads)])


def diagonal(heads, length):
    """The fewest blocks a causal mask can have: for a first call that compiles and hardly computes."""
    return torch.eye(length // BLOCK, dtype=torch.bool).expand(heads, -1, -1)


def block_mask(keep):
    """Blocks on the diagonal are cut by the causal mask, those below are full."""
    on_diagonal = torch.eye(keep.shape[-1], dtype=torch.bool)
    return BlockMask.from_kv_blocks(
        *block_lists(keep & on_diagonal), *block_lists(keep & ~on_diagonal), BLOCK_SIZE=(BLOCK, BLOCK), mask_mod=causal)


def block_lists(keep):
    """For each row its number of kept blocks, and their indices before those of the others; batch of 1."""
    indices = torch.argsort(keep, dim=-1, descending=True, stable=True)
    return keep.sum(-1, dtype=torch.int32)[None], indices.to(torch.int32)[None].contiguous()


def token_mask(keep):
    """[1, heads, length, length]: the same pattern, a truth value a pair."""
    tokens = keep.repeat_interleave(BLOCK, -2).repeat_interleave(BLOCK, -1)
    return tokens.tril()[None]


def kept_share(keep):
    """Kept pairs over causal pairs."""
    heads, blocks = keep.shape[0], keep.shape[-1]
    length = blocks * BLOCK
    cut = heads * blocks * (BLOCK * (BLOCK - 1) // 2)  # what the causal mask takes from the diagonal blocks
    return (keep.sum().item() * BLOCK**2 - cut) / (heads * length * (length + 1) / 2)
