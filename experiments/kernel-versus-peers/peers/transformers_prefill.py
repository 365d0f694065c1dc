"""Peer: Hugging Face transformers, prefill with SDPA. usage: transformers_prefill.py MODEL"""
import sys

import torch
import transformers

from attention_inputs import TYPES, configure
from pipe import SHORT_PROMPT, serve, timed
from prompt import token_ids


class Prefill:
    def __init__(self, folder):
        self.folder = folder
        self.models = {}
        self.work = {}

    def versions(self):
        return {"transformers": transformers.__version__}

    def prepare(self, key, configuration):
        ids = torch.tensor([token_ids(self.folder, configuration["length"])])
        model = self._model(configuration["precision"])
        self._first_token(model, ids[:, :SHORT_PROMPT])
        self.work[key] = model, ids, configuration["warms_up"]

    def run(self, key):
        model, ids, warms_up = self.work[key]
        token, milliseconds = timed(lambda: self._first_token(model, ids), warms_up)
        return {"milliseconds": milliseconds, "token": token}

    def release(self):
        self.work.clear()

    def _model(self, precision):
        if precision not in self.models:
            self.models[precision] = transformers.AutoModelForCausalLM.from_pretrained(
                self.folder, dtype=TYPES[precision], attn_implementation="sdpa").eval()
        return self.models[precision]

    @staticmethod
    def _first_token(model, ids):
        return model(ids, logits_to_keep=1, use_cache=True).logits[0, -1].argmax().item()


configure()
serve(Prefill(sys.argv[1]))
