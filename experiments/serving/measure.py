#!/usr/bin/env python3
"""What does the server add to a prefill, what does it save in a conversation, and does it lose anything under load?

usage: measure.py PROGRAM [--only latency turns clients load] [--output results.json] [-- OPTIONS OF serve]

What --output holds already of other parts stays there.

parts: latency  time to the first token over HTTP less the prefill's own seconds, 8,192 tokens, as tokens and as text
       turns    time to the first token of the second turn of a conversation of 16,384 tokens, over that of the first
       clients  the openai package (where it is installed) and curl: answers, streams, errors
       load     32 clients at once, 200 requests: each answer held against `generate`, some cancelled, some malformed; memory after
"""
import argparse
import concurrent.futures
import http.client
import json
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOOK = (ROOT / "Sources/HaystackModel/text/moby-dick.txt").read_text()
QUESTION = "\nQuestion: What is the secret code of amber falcon?\nAnswer:"


class Server:
    """The program, serving on a free port."""

    def __init__(self, program, options):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [program, "serve", "--port", "0", *options], stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if "listening at" not in line:
            self.log.seek(0)
            sys.exit("the server did not start: " + self.log.read())
        self.port = int(line.rsplit(":", 1)[1])
        self.address = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        code = self.process.wait(60)
        if code:
            self.log.seek(0)
            sys.exit(f"the server ended with {code}: {self.log.read()[-2000:]}")

    def memory(self):
        """Resident MiB, now and at most."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return [int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024 for name in ("VmRSS", "VmHWM")]

    def post(self, path, body):
        """Status and object; the body may be bytes that are no JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("POST", path, body if isinstance(body, bytes) else json.dumps(body), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("GET", path)
        return connection.getresponse().read().decode()

    def stream(self, body, leave_after=None):
        """Seconds to the first event and the events; leaves after some of them."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        text = json.dumps(dict(body, stream=True))
        begin = time.perf_counter()
        connection.request("POST", "/v1/completions", text, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        if reply.status != 200:
            return None, [json.loads(reply.read())]
        first, events = None, []
        for line in reply:
            if not line.startswith(b"data: "):
                continue
            first = first or time.perf_counter() - begin
            if line.strip() == b"data: [DONE]":
                return first, events
            events.append(json.loads(line[6:]))
            if leave_after is not None and len(events) >= leave_after:
                connection.close()
                return first, events
        return first, events + [{"error": "the stream did not end"}]

    def tokens(self, count, start=0):
        """The first tokens of the book from some character on, with begin-of-text."""
        tokens = self.post("/tokenize", {"content": BOOK[start:start + 8 * count], "add_special": True})[1]["tokens"]
        assert len(tokens) >= count
        return tokens[:count]


def latency(program, options):
    found = {}
    with Server(program, options) as server:
        for kind in ("tokens", "text"):
            added, prefills, firsts = [], [], []
            for run in range(13):
                tokens = server.tokens(8192, start=500 * run)
                prompt = tokens if kind == "tokens" else server.post("/detokenize", {"tokens": tokens[1:]})[1]["content"]
                first, events = server.stream({"prompt": prompt, "max_tokens": 2, "temperature": 0, "cache_prompt": False})
                timings = events[-1]["timings"]
                assert timings["prompt_n"] in range(8100, 8300), timings
                prefill = timings["prompt_ms"]
                if run >= 2:
                    added.append(1000 * first - prefill)
                    prefills.append(prefill)
                    firsts.append(1000 * first)
            found[f"added to the prefill of 8192 tokens, {kind}"] = {
                "ms": statistics.median(added), "least": min(added), "most": max(added),
                "prefill ms": statistics.median(prefills), "first token ms": statistics.median(firsts)}
    return found


def turns(program, options):
    found = {}
    with Server(program, options) as server:
        for new in (16, 256):
            shares, seconds = [], []
            for run in range(7):
                prompt = server.tokens(16384, start=20000 * run + 700 * new)
                body = {"max_tokens": 32, "temperature": 0}
                first, events = server.stream({"prompt": prompt, **body})
                answer = "".join(event["choices"][0]["text"] for event in events)
                tokens = server.post("/tokenize", {"content": answer + "\n" + BOOK[300000 + 1000 * run:][:8 * new]})[1]["tokens"]
                second, events = server.stream({"prompt": prompt + tokens[:32 + new], **body})
                timings = events[-1]["timings"]
                assert timings["cache_n"] >= 16384, timings
                shares.append(second / first)
                seconds.append((first, second, timings["prompt_ms"] / 1000, timings["prompt_n"]))
            found[f"second turn of a conversation of 16384 tokens, {new} new ones"] = {
                "share": statistics.median(shares), "least": min(shares), "most": max(shares),
                "first s": statistics.median(s[0] for s in seconds), "second s": statistics.median(s[1] for s in seconds),
                "second's prefill s": statistics.median(s[2] for s in seconds), "computed tokens": seconds[-1][3]}
    return found


def clients(program, options):
    found = {}
    with Server(program, [*options, "--chat", "mistral"]) as server:
        curl = subprocess.run(
            ["curl", "-sS", "-N", server.address + "/v1/completions", "-H", "Content-Type: application/json", "-d",
             json.dumps({"prompt": "Call me", "max_tokens": 8, "temperature": 0, "stream": True})], capture_output=True, text=True)
        assert curl.stdout.endswith("data: [DONE]\n\n"), curl
        found["curl streams"] = True
        large = subprocess.run(
            ["curl", "-sS", "-w", "%{http_code}", server.address + "/tokenize", "--data-binary", "@-"], input="x" * (20 << 20),
            capture_output=True, text=True)
        assert large.stdout.endswith("413"), large
        found["curl gets 413 for 20 MiB"] = True
        try:
            import openai
        except ImportError:
            return dict(found, **{"openai package": "is not installed"})
        client = openai.OpenAI(base_url=server.address + "/v1", api_key="none", max_retries=0)
        name = client.models.list().data[0].id
        ask = dict(model=name, messages=[{"role": "user", "content": BOOK[:4000] + QUESTION}], max_tokens=16, temperature=0)
        whole = client.chat.completions.create(**ask, logprobs=True, top_logprobs=3)
        pieces = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        assert text == whole.choices[0].message.content, (text, whole)
        assert pieces[-1].usage.prompt_tokens_details.cached_tokens == pieces[-1].usage.prompt_tokens - 1
        assert len(whole.choices[0].logprobs.content) == whole.usage.completion_tokens
        found["openai: chats, streams, usage, logprobs"] = True
        completion = client.completions.create(model=name, prompt="Call me", max_tokens=8, temperature=0, logprobs=2)
        assert completion.choices[0].text and len(completion.choices[0].logprobs.tokens) == 8
        found["openai: completions"] = True
        for kind, call in [
            (openai.NotFoundError, lambda: client.completions.create(model="other", prompt="a")),
            (openai.BadRequestError, lambda: client.completions.create(model=name, prompt="a", n=2)),
            (openai.BadRequestError, lambda: client.completions.create(model=name, prompt="a", max_tokens=10**6)),
        ]:
            try:
                call()
                sys.exit("an error was expected")
            except kind as error:
                assert error.code and error.body["message"], error
        found["openai: errors are of its own classes"] = True
    return found


def load(program, options):
    """Prompts of several lengths, some of which begin alike; what `generate` makes of each is what every answer must be."""
    choice = random.Random(1)
    prompts = [BOOK[start:start + length] for start, length in
               [(0, 200), (0, 900), (0, 4000), (0, 12000), (50000, 300), (50000, 2500), (50000, 9000), (90000, 60), (120000, 6000), (150000, 1500)]]
    expected = {}
    for prompt in prompts:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(prompt)
            file.flush()
            result = subprocess.run(
                [program, "generate", "--prompt-file", file.name, "--max-tokens", "24", "--json", "--no-certificate", *options],
                capture_output=True, text=True, check=True)
            expected[prompt] = json.loads(result.stdout)["text"]
    with Server(program, [*options, "--prefix-cache-seconds", "1", "--queue", "200"]) as server:
        assert server.post("/v1/completions", {"prompt": prompts[3], "max_tokens": 4, "temperature": 0})[0] == 200
        time.sleep(4)
        before = server.memory()[0]

        def one(number):
            prompt = choice.choice(prompts)
            body = {"prompt": prompt, "max_tokens": 24, "temperature": 0}
            kind = number % 10
            if kind == 8:
                server.stream(body, leave_after=2)
                return "cancelled"
            if kind == 9:
                status, answer = server.post("/v1/completions", choice.choice([b"{", b'{"prompt": 5}', b'{"prompt": "a", "n": 3}', b"\xff"]))
                return "malformed" if status == 400 and answer["error"]["message"] else f"wrong: {answer}"
            if kind >= 4:
                _, events = server.stream(body)
                text = "".join(event["choices"][0]["text"] for event in events if event.get("choices"))
                errors = [event for event in events if "error" in event]
                if errors:
                    return f"lost: {errors}"
            else:
                status, answer = server.post("/v1/completions", body)
                if status != 200:
                    return f"lost: {answer}"
                text = answer["choices"][0]["text"]
            return "right" if text == expected[prompt] else f"wrong: {text!r} for {expected[prompt]!r}"

        begin = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            outcomes = list(pool.map(one, range(200)))
        seconds = time.perf_counter() - begin
        metrics = dict(line.rsplit(" ", 1) for line in server.get("/metrics").splitlines() if not line.startswith("#"))
        assert float(metrics["sample_attention_requests_running"]) + float(metrics["sample_attention_requests_waiting"]) <= 1, metrics
        time.sleep(5)
        after, most = server.memory()
        kept = float(dict(line.rsplit(" ", 1) for line in server.get("/metrics").splitlines() if not line.startswith("#"))[
            "sample_attention_prefix_cache_bytes"])
    counts = {name: outcomes.count(name) for name in ("right", "cancelled", "malformed")}
    counts["wrong"] = [outcome for outcome in outcomes if outcome.startswith("wrong")]
    counts["lost"] = [outcome for outcome in outcomes if outcome.startswith("lost")]
    return {"32 clients, 200 requests": {
        **counts, "seconds": seconds, "tokens of prompts": float(metrics["sample_attention_prompt_tokens_total"]),
        "of them cached": float(metrics["sample_attention_cached_tokens_total"]), "MiB before": before, "MiB most": most,
        "MiB after": after, "bytes kept after": kept}}


def main():
    parts = {"latency": latency, "turns": turns, "clients": clients, "load": load}
    arguments = sys.argv[1:]
    options = []
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, options = arguments[:cut], arguments[cut + 1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--output", type=pathlib.Path)
    chosen = parser.parse_args(arguments)
    results = json.loads(chosen.output.read_text()) if chosen.output and chosen.output.exists() else {}
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    for part in chosen.only:
        results[part] = {"options": options, "cpu": cpu, **parts[part](chosen.program, options)}
        print(json.dumps({part: results[part]}, indent=1, ensure_ascii=False))
        if chosen.output:
            chosen.output.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


main()
