"""Peer: OpenVINO GenAI, dense prefill. usage: openvino_prefill.py MODEL EXPORTED_MODEL"""
import os
import sys

import numpy
import openvino
import openvino_genai

from pipe import SHORT_PROMPT, serve
from prompt import token_ids

BLOCK = 32  # tokens a cache block on CPUs
CHUNK = 1024
HINTS = {"fp32": "f32", "bf16": "bf16"}


class Prefill:
    def __init__(self, model, exported):
        self.model = model
        self.exported = exported
        self.work = {}

    def versions(self):
        return {"openvino": openvino.__version__.split("-")[0], "openvino-genai": openvino_genai.__version__.split("-")[0]}

    def prepare(self, key, configuration):
        pipeline = self._pipeline(configuration["precision"], configuration["length"])
        ids = token_ids(self.model, configuration["length"])
        self._first_token(pipeline, ids[:SHORT_PROMPT])
        self.work[key] = pipeline, ids, configuration["warms_up"]

    def run(self, key):
        pipeline, ids, warms_up = self.work[key]
        if warms_up:
            self._first_token(pipeline, ids)
        return self._first_token(pipeline, ids)

    def release(self):
        self.work.clear()

    def _pipeline(self, precision, length):
        # Unpinned: no other system pins its threads.
        properties = {"INFERENCE_PRECISION_HINT": HINTS[precision], "INFERENCE_NUM_THREADS": int(os.environ["OMP_NUM_THREADS"]),
                      "ENABLE_CPU_PINNING": False}
        return openvino_genai.ContinuousBatchingPipeline(self.exported, scheduler(length), "CPU", properties=properties)

    @staticmethod
    def _first_token(pipeline, ids):
        settings = openvino_genai.GenerationConfig(max_new_tokens=1, do_sample=False, ignore_eos=True)
        answer = pipeline.generate([openvino.Tensor(numpy.array([ids], dtype=numpy.int64))], [settings])[0]
        return {"milliseconds": answer.perf_metrics.get_ttft().mean, "token": int(answer.m_generation_ids[0][0])}


def scheduler(length):
    """Chunks of 1,024 tokens; a cache that holds the prompt, one chunk more and nothing from the call before."""
    settings = openvino_genai.SchedulerConfig()
    settings.cache_size = 0
    settings.num_kv_blocks = (length + CHUNK) // BLOCK + 1
    settings.max_num_batched_tokens = CHUNK
    settings.max_num_seqs = 1
    settings.dynamic_split_fuse = True
    settings.enable_prefix_caching = False
    return settings


serve(Prefill(*sys.argv[1:]))
