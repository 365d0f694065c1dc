"""Peer: torch's FlexAttention, compiled."""
import torch
from torch.nn.attention.flex_attention import flex_attention

from attention_inputs import CHECKED_LENGTH, checked_error, configure, random_heads
from block_masks import block_mask, diagonal, kept_share, patterns, token_mask
from pipe import serve, timed


class TorchFlex:
    def __init__(self):
        self.work = {}
        self.compiled = torch.compile(flex_attention, dynamic=False)

    def versions(self):
        return {"torch": torch.__version__}

    def prepare(self, key, configuration):
        error = self._check(configuration)
        heads = random_heads(configuration)
        _, compilation = timed(lambda: self.compiled(*heads, block_mask=block_mask(diagonal(*heads[0].shape[1:3]))))
        keep = patterns(configuration["heads"], configuration["length"], configuration["density_requested"])
        self.work[key] = heads, block_mask(keep), kept_share(keep), configuration["warms_up"]
        return {"maxError": error, "compileSeconds": compilation / 1e3}

    def run(self, key):
        heads, mask, density, warms_up = self.work[key]
        return {"milliseconds": timed(lambda: self.compiled(*heads, block_mask=mask), warms_up)[1], "density": density}

    def release(self):
        self.work.clear()
        torch.compiler.reset()  # one graph a shape: the next shapes must not run into the limit of graphs

    def _check(self, configuration):
        keep = patterns(configuration["heads"], CHECKED_LENGTH, configuration["density_requested"])
        mask = block_mask(keep)
        return checked_error(
            lambda *heads: self.compiled(*heads, block_mask=mask), random_heads(configuration, CHECKED_LENGTH), token_mask(keep),
            configuration["precision"])


configure()
serve(TorchFlex())
