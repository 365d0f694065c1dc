"""Random heads, and the check that every torch answer passes before it is timed."""
import os

import torch
import torch.nn.functional as F

CHECKED_LENGTH = 2048  # 16 × 16 blocks of a sparse pattern
# Relative to the largest output. FP32: sums of two thousand terms of order 1, in another order. BF16: queries and keys are exact,
# but probabilities and outputs are rounded to 8 bits, and the sum may be as well.
LARGEST_ERROR = {"fp32": 1e-4, "bf16": 2**-6}
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def configure():
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_grad_enabled(False)


def random_heads(configuration, length=None):
    """Q, K, V of shape [1, heads, length, d], uniform in ±2 as in the program's own bench."""
    generator = torch.Generator().manual_seed(1)
    shape = (1, configuration["heads"], length or configuration["length"], configuration["head_dimension"])
    kind = TYPES[configuration["precision"]]
    return tuple((torch.rand(shape, generator=generator) * 4 - 2).to(kind) for _ in range(3))


def checked_error(attention, heads, mask, precision):
    """The error of `attention(*heads)` against a masked SDPA in double precision; `mask` is true where a pair is kept."""
    expected = F.scaled_dot_product_attention(*(x.double() for x in heads), attn_mask=mask)
    error = ((attention(*heads).double() - expected).abs().max() / expected.abs().max()).item()
    if not error < LARGEST_ERROR[precision]:
        raise ArithmeticError(f"wrong answer: error {error:.2g}, limit {LARGEST_ERROR[precision]:.2g}")
    return error


def causal_mask(length):
    return torch.ones(length, length, dtype=torch.bool).tril()
