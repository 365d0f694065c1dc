"""The peer's end of the pipe: a JSON request a line in, a JSON reply a line out, until the pipe closes."""
import json
import os
import sys
import time
import traceback

# Tokens that make a library load and compile what it needs, before anything is timed.
SHORT_PROMPT = 512


def serve(peer):
    """`peer` has `versions`, `prepare(key, configuration)`, `run(key)` and `release`, each returning a dictionary."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not end up among the replies
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(peer, request)), file=replies, flush=True)


def answer(peer, request):
    method = getattr(peer, request.pop("method"))
    try:
        return method(**request) or {}
    except Exception as error:
        traceback.print_exc()
        return {"failure": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


def timed(call, warms_up=False):
    """What the call returned, and its milliseconds; `warms_up` calls once before."""
    if warms_up:
        call()
    start = time.perf_counter()
    value = call()
    return value, (time.perf_counter() - start) * 1e3
