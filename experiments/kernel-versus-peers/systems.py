"""The systems under measurement, each behind `prepare`, `run` and `release`."""
import json
import os
import subprocess
import sys

from plan import FLEX, OPENVINO, OURS, SDPA, TRANSFORMERS, TUNED

PEER_SCRIPTS = {SDPA: "torch_sdpa.py", FLEX: "torch_flex.py",
                TRANSFORMERS: "transformers_prefill.py", OPENVINO: "openvino_prefill.py"}


class Unavailable(Exception):
    """A configuration that a system cannot run; the message says why."""


class SampleAttentionProgram:
    """Our command line: one process a turn, which warms up and checks its answer before it measures.

    `config`: the tuned config of the tuned prefill, if there is one."""

    def __init__(self, program, threads, config=None):
        if not os.access(program, os.X_OK):
            raise SystemExit(f"{program} is not there: build it with `make build`, or name it with --program")
        self.program = program
        self.threads = str(threads)
        self.config = config
        self.has_precision = "--precision" in self._help("bench", "attention")
        self.benches = {line.split()[0] for line in self._help("bench").splitlines() if line.startswith("  ") and line.split()}

    def versions(self):
        answer = subprocess.run([self.program, "--version"], capture_output=True, text=True)
        return {OURS: answer.stdout.strip().removeprefix("sample-attention ")}

    def prepare(self, task):
        if task.section == "ttft" and "prefill" not in self.benches:
            raise Unavailable("this build of the program has no `bench prefill`")
        if task.precision != "fp32" and task.section != "ttft" and not self.has_precision:
            raise Unavailable("this build of the program has no `bench attention --precision`")
        return {}

    def run(self, task):
        if task.section == "ttft":
            attention = ["--config", self.config] if task.system == TUNED else ["--attention", "dense"]
            row = self._bench("prefill", "--precision", task.precision, "--length", task.length, "--rounds", 1, *attention)[0]
            return {"milliseconds": row["seconds"] * 1e3} | kept(row, "attentionSeconds", "token")
        row = self._bench("attention", *self._attention_options(task))[0]
        return kept(row, "milliseconds", "density", "isa", "maxError")

    def release(self):
        pass

    def peaks(self):
        """G/s of each of the machine's limits; empty if this build cannot measure them."""
        if "peak" not in self.benches:
            return {}
        return {row["name"]: row["gigaPerSecond"] for row in self._bench("peak")}

    def close(self):
        pass

    def _attention_options(self, task):
        options = ["--length", task.length, "--query-heads", task.heads, "--key-value-heads", task.heads,
                   "--head-dimension", task.head_dimension, "--rounds", 1]
        options += ["--pattern", "dense"] if task.density == 1 else ["--pattern", "window-columns", "--density", task.density]
        return options + (["--precision", task.precision] if self.has_precision else [])

    def _bench(self, what, *options):
        command = [self.program, "bench", what, "--threads", self.threads, "--json", *map(str, options)]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode != 0:
            raise Unavailable(f"`{' '.join(command[1:])}` failed: {error_message(answer)}")
        return json.loads(answer.stdout)["results"]

    def _help(self, *command):
        return subprocess.run([self.program, *command, "--help"], capture_output=True, text=True).stdout


def kept(row, *names):
    return {name: row[name] for name in names if name in row}


def error_message(answer):
    try:
        return json.loads(answer.stdout or answer.stderr)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return (answer.stderr or answer.stdout).strip() or f"exit status {answer.returncode}"


class Peer:
    """A peer in a process of its own, which sleeps on its pipe while others measure."""

    def __init__(self, name, folder, cache, threads, arguments=()):
        self.name = name
        self.command = [sys.executable, os.path.join(folder, "peers", PEER_SCRIPTS[name]), *map(str, arguments)]
        self.environment = os.environ | passive_threads(threads) | {"TORCHINDUCTOR_CACHE_DIR": os.path.join(cache, "inductor")}
        self.log_path = os.path.join(cache, f"{name}.log")
        self.details = f"details in {os.path.relpath(self.log_path, folder)}"
        self.process = None

    def versions(self):
        return self._ask("versions")

    def prepare(self, task):
        return self._ask("prepare", key=task.key, configuration=task.fields())

    def run(self, task):
        return self._ask("run", key=task.key)

    def release(self):
        if self.process is not None:
            self._ask("release")

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None

    def _start(self):
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment)

    def _ask(self, method, **arguments):
        if self.process is None:
            self._start()
        line = self._exchange(json.dumps({"method": method, **arguments}))
        if not line:
            status = self.process.wait()
            self.process = None
            raise Unavailable(f"{self.name} ended with status {status} ({self.details})")
        reply = json.loads(line)
        if "failure" in reply:
            raise Unavailable(f"{reply['failure']} ({self.details})")
        return reply

    def _exchange(self, request):
        try:
            print(request, file=self.process.stdin, flush=True)
            return self.process.stdout.readline()
        except BrokenPipeError:
            return ""


def passive_threads(threads):
    """Idle OpenMP threads must sleep, not spin, while another system is timed."""
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "KMP_BLOCKTIME": "0", "OMP_WAIT_POLICY": "PASSIVE",
            "GOMP_SPINCOUNT": "0", "TORCHINDUCTOR_COMPILE_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
