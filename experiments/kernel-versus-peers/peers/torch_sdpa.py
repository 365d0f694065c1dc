"""Peer: torch's scaled_dot_product_attention."""
import torch
import torch.nn.functional as F

from attention_inputs import CHECKED_LENGTH, causal_mask, checked_error, configure, random_heads
from pipe import serve, timed


def causal_attention(query, key, value):
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


class TorchSDPA:
    def __init__(self):
        self.work = {}

    def versions(self):
        return {"torch": torch.__version__, "torch instruction set": torch.backends.cpu.get_cpu_capability()}

    def prepare(self, key, configuration):
        small = random_heads(configuration, CHECKED_LENGTH)
        error = checked_error(causal_attention, small, causal_mask(CHECKED_LENGTH), configuration["precision"])
        self.work[key] = random_heads(configuration), configuration["warms_up"]
        return {"maxError": error}

    def run(self, key):
        heads, warms_up = self.work[key]
        return {"milliseconds": timed(lambda: causal_attention(*heads), warms_up)[1], "density": 1.0}

    def release(self):
        self.work.clear()


configure()
serve(TorchSDPA())
