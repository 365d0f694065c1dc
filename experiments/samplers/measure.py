#!/usr/bin/env python3
"""Does a sampler that learns find better fronts of predicted time and output error than evenly spread points, at equal numbers of trials?
Runs the search of `tune` on the bundled model with each sampler and seed, reads the trials from its journal, and compares the fronts head by
head. Writes results.json and results.md beside this script."""
import argparse
import json
import pathlib
import signal
import subprocess
import tempfile
import time

import report

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def tune(options, folder, *more):
    return [
        options.program, "tune", "--precision", "fp32", "--length", str(options.length), "--latency-model",
        str(options.scratch / "latency.json"), "--output", str(folder), *more]


def calibrate(options):
    """One latency model for all studies, so that equal trials cost the same in each. Returns its mean error on held-out layers."""
    file = options.scratch / "latency.json"
    if not file.exists():
        if options.latency_model:
            file.write_bytes(options.latency_model.read_bytes())
        else:
            subprocess.run(
                [options.program, "calibrate", "--precision", "fp32", "--output", str(file)], check=True, stdout=subprocess.DEVNULL)
    return json.loads(file.read_text())["meanAbsolutePercentageError"]


def dense_milliseconds(options):
    """A study without time finds nothing: its config leaves every head dense, and says what that is predicted to take."""
    kept = options.scratch / "dense.json"
    if not kept.exists():
        study = tune(options, options.scratch / "dense", "--minutes", "0.00001", "--force", "--json")
        kept.write_bytes(subprocess.run(study, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    head = json.loads(kept.read_text())["config"]["buckets"][0]["layers"][0][0]
    assert head["parameters"]["pattern"] == "dense"
    return head["measured"]["milliseconds"]


def search(options, sampler, seed):
    """The trials of a study that is stopped when its first probe is in the journal: by then the search of every head is over."""
    folder = options.scratch / f"{sampler}-{seed}"
    journal = folder / "journal.jsonl"

    def is_over():
        return journal.exists() and '{"probe"' in journal.read_text()

    if not is_over():
        study = subprocess.Popen(
            tune(options, folder, "--trials", str(max(options.trials)), "--sampler", sampler, "--seed", str(seed), "--resume"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while study.poll() is None and not is_over():
            time.sleep(0.5)
        study.send_signal(signal.SIGINT)
        study.wait()
    assert is_over(), f"{sampler}, seed {seed}: ended before its search was over"
    records = map(json.loads, journal.read_text().splitlines()[1:])
    return by_head([record["trial"] for record in records if "trial" in record])


def by_head(trials):
    """Each head's (number, predicted milliseconds, output error), by number."""
    heads = {}
    for trial in sorted(trials, key=lambda trial: trial["number"]):
        measured = trial["measured"]
        heads.setdefault((trial["layer"], trial["head"]), []).append((trial["number"], measured["milliseconds"], measured["outputError"]))
    return [heads[key] for key in sorted(heads)]


def machine():
    lines = subprocess.run(["lscpu"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    facts = {key.strip(): value.strip() for key, value in (line.split(":", 1) for line in lines if ":" in line)}
    return f"{facts['Model name']} (family {facts['CPU family']}, model {facts['Model']}), {facts['CPU(s)']} CPUs"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=str(ROOT / ".build/release/sample-attention"))
    arguments.add_argument("--latency-model", type=pathlib.Path, help="from `calibrate --output` on an idle machine (default: made first)")
    arguments.add_argument("--length", type=int, default=4096)
    arguments.add_argument("--trials", type=int, nargs="+", default=[20, 32, 50, 100], help="the most are run, fewer are the first of them")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments.add_argument("--samplers", nargs="+", default=["quasi-random", "tpe"])
    arguments.add_argument("--scratch", type=pathlib.Path, help="a folder for journals, which are used again when they are there")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        options.scratch = options.scratch or pathlib.Path(temporary)
        options.scratch.mkdir(parents=True, exist_ok=True)
        latency_error = calibrate(options)
        dense = dense_milliseconds(options)
        runs = {sampler: [] for sampler in options.samplers}
        for seed in options.seeds:
            for sampler in options.samplers:
                start = time.monotonic()
                runs[sampler].append(search(options, sampler, seed))
                print(f"{sampler}, seed {seed}: {time.monotonic() - start:.0f} s", flush=True)
    found = {
        "machine": machine(), "length": options.length, "seeds": options.seeds, "heads": len(runs[options.samplers[0]][0]),
        "denseMilliseconds": dense, "latencyError": latency_error,
        "comparisons": report.comparisons(runs, dense, options.length, options.trials)}
    (HERE / "results.json").write_text(json.dumps(found) + "\n")
    (HERE / "results.md").write_text(report.text(found))
    print(report.text(found))


if __name__ == "__main__":
    main()
