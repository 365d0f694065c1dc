"""Measure the attention kernel and the prefill beside their peers, in turns, and write the results.

Each group of configurations runs in rounds, and in a round every system has one turn: what slows the machine for a while slows
all of them, and ratios are taken within a round."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time

import machine
import picture
import plan
import report
from systems import Peer, SampleAttentionProgram, Unavailable

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.join(HERE, "..", "..")
MODEL = os.path.realpath(os.path.join(REPOSITORY, "Sources", "HaystackModel", "haystack-13m"))


def parse_options():
    parser = argparse.ArgumentParser(
        prog="run.sh", description="The attention kernel and the prefill beside their peers, in turns.",
        epilog="run.sh also takes --venv DIR: a Python environment to use as it is, instead of installing the pinned one.")
    parser.add_argument("--lengths", type=int, nargs="+", help="tokens, multiples of 128 (default: 8192 32768)")
    parser.add_argument("--quick", action="store_true",
                        help="512 and 1,024 tokens, 2 rounds, into .cache/quick: does everything run?")
    parser.add_argument("--only", nargs="+", choices=plan.SECTIONS, default=plan.SECTIONS,
                        help="sections to measure (default: all)")
    parser.add_argument("--rounds", type=int, help="timed rounds (default: 3)")
    parser.add_argument("--threads", type=int, default=2, help="threads of every system (default: 2)")
    parser.add_argument("--program", default=os.path.join(REPOSITORY, ".build", "release", "sample-attention"),
                        help="default: .build/release/sample-attention")
    parser.add_argument("--transformers-longest", type=int, default=8192, help="longest prompt of transformers (default: 8192)")
    parser.add_argument("--config", help="a tuned config of the bundled model: its prefill is timed beside the dense ones")
    parser.add_argument("--output", help="folder of the results (default: this experiment's)")
    options = parser.parse_args()
    options.lengths = sorted(set(options.lengths or ([512, 1024] if options.quick else [8192, 32768])))
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.cache = os.path.join(HERE, ".cache")
    options.output = options.output or (os.path.join(options.cache, "quick") if options.quick else HERE)
    if any(length < 128 or length % 128 for length in options.lengths) or min(options.rounds, options.threads) < 1:
        parser.error("--lengths must be multiples of 128, --rounds and --threads at least 1")
    return options


def export(cache):
    """The bundled model for OpenVINO, exported once; a half-written export is never taken for a whole one."""
    folder = os.path.join(cache, "openvino-model")
    if not os.path.isdir(folder):
        partial = folder + ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        print("Exporting the bundled model to OpenVINO", flush=True)
        command = [os.path.join(os.path.dirname(sys.executable), "optimum-cli"), "export", "openvino", "--model", MODEL,
                   "--task", "text-generation-with-past", "--weight-format", "fp32", partial]
        with open(os.path.join(cache, "export.log"), "w") as log:
            if subprocess.run(command, stdout=log, stderr=log).returncode != 0:
                raise SystemExit(f"the export failed; see {log.name}")
        os.rename(partial, folder)
    return folder


def tuned_at(config):
    with open(config) as file:
        return json.load(file)["provenance"]["machine"]["precision"]


class Progress:
    """Lines with the time left: turns as the plan guesses, scaled by how its guesses have fared, and the mean time to prepare."""

    def __init__(self, groups, rounds):
        self.start = time.monotonic()
        self.guess_left = sum(task.guessed_seconds() for group in groups for task in group.tasks) * rounds
        self.guess_done = self.turns = self.preparations = 0.0
        self.groups_left, self.groups_prepared = len(groups), 0

    def line(self, text):
        print(f"[{minutes(time.monotonic() - self.start)}, about {minutes(self._left())} left] {text}", flush=True)

    def prepared(self, seconds):
        self.preparations += seconds
        self.groups_prepared += 1
        self.groups_left -= 1

    def took_turn(self, task, seconds):
        self.guess_left -= task.guessed_seconds()
        self.guess_done += task.guessed_seconds()
        self.turns += seconds

    def _left(self):
        fared = self.turns / self.guess_done if self.guess_done else 1.0
        preparation = self.preparations / self.groups_prepared if self.groups_prepared else 0.0
        return fared * self.guess_left + preparation * self.groups_left


def minutes(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Measurement:
    def __init__(self, options, groups):
        self.options = options
        self.groups = groups
        self.progress = Progress(groups, options.rounds)
        self.ours = SampleAttentionProgram(options.program, options.threads, options.config)
        self.systems = {plan.OURS: self.ours, plan.TUNED: self.ours}
        self.results = {
            "machine": machine.description(), "versions": {},
            "threads": options.threads, "rounds": options.rounds, "started": machine.now(), "peaks": [], "measurements": []}

    def run(self):
        try:
            self._start_systems()
            for group in self.groups:
                self._measure_peaks(group)
                self._measure(group)
                self._write()
        finally:
            for system in self.systems.values():
                system.close()

    def _start_systems(self):
        names = {task.system for group in self.groups for task in group.tasks} - {plan.OURS, plan.TUNED}
        for name in sorted(names):
            self.systems[name] = Peer(name, HERE, self.options.cache, self.options.threads, self._arguments(name))
        for name, system in self.systems.items():
            try:
                self.results["versions"] |= system.versions()
            except Unavailable as reason:
                self.progress.line(f"{name} does not start: {reason}")

    def _arguments(self, name):
        if name == plan.OPENVINO:
            return [MODEL, export(self.options.cache)]
        return [MODEL] if name == plan.TRANSFORMERS else []

    def _measure_peaks(self, group):
        try:
            peaks = self.ours.peaks()
        except Unavailable as reason:
            peaks = {}
            self.progress.line(str(reason))
        if peaks:
            self.results["peaks"].append(peaks)
        elif group is self.groups[0]:
            self.progress.line("no peak: this build of the program has no working `bench peak`; the roofline stays empty")

    def _measure(self, group):
        self.progress.line(group.title)
        measured = {task: task.fields() | {"milliseconds": []} for task in group.tasks}
        start = time.monotonic()
        for task in group.tasks:
            self._attempt(task, measured[task], self._prepare)
        self.progress.prepared(time.monotonic() - start)
        for number in range(1, self.options.rounds + 1):
            for task in group.tasks:
                start = time.monotonic()
                if "failure" not in measured[task]:
                    self._attempt(task, measured[task], self._turn)
                self.progress.took_turn(task, time.monotonic() - start)
            self.progress.line(f"  round {number} of {self.options.rounds}: {round_times(measured)}")
        for system in self.systems.values():
            self._release(system)
        self.results["measurements"] += measured.values()

    def _attempt(self, task, measurement, step):
        try:
            step(task, measurement)
        except Unavailable as reason:
            measurement["failure"] = str(reason)
            self.progress.line(f"  {task.name} left out: {reason}")

    def _prepare(self, task, measurement):
        measurement.update(self.systems[task.system].prepare(task))

    def _turn(self, task, measurement):
        answer = self.systems[task.system].run(task)
        measurement["milliseconds"].append(answer.pop("milliseconds"))
        measurement.update(answer)

    def _release(self, system):
        try:
            system.release()
        except Unavailable as reason:
            self.progress.line(str(reason))

    def _write(self):
        self.results["finished"] = machine.now()
        os.makedirs(self.options.output, exist_ok=True)
        partial = os.path.join(self.options.output, "results.json.partial")
        with open(partial, "w") as file:
            json.dump(self.results, file, indent=1)
        os.replace(partial, partial.removesuffix(".partial"))
        report.write(self.results, os.path.join(self.options.output, "results.md"))
        picture.draw(self.results, os.path.join(self.options.output, "results.png"))


def round_times(measured):
    return ", ".join(
        f"{task.name} {entry['milliseconds'][-1]:,.1f} ms" for task, entry in measured.items() if "failure" not in entry)


def main():
    options = parse_options()
    os.makedirs(options.cache, exist_ok=True)
    # Compiled kernels of an earlier run would make the time of compilation look like nothing.
    shutil.rmtree(os.path.join(options.cache, "inductor"), ignore_errors=True)
    tuned_precision = tuned_at(options.config) if options.config else None
    measurement = Measurement(options, plan.groups(options.only, options.lengths, options.transformers_longest, tuned_precision))
    try:
        measurement.run()
    except KeyboardInterrupt:
        sys.exit("interrupted; finished groups are in the results")
    print(f"Results: {os.path.join(options.output, 'results.md')}")


if __name__ == "__main__":
    main()
