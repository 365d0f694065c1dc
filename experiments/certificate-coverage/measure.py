#!/usr/bin/env python3
"""Does a certificate's stated confidence hold on real heads? Certifies the bundled model's 48 heads on one prompt with many seeds,
compares each bound with the exact value (a certificate that reads every row), and prints Markdown tables."""
import argparse
import concurrent.futures
import json
import subprocess
import tempfile

# Name in the certificate, whether it stands under "unseen", and the exact value it must not exceed.
BOUNDS = {
    "mean, betting": ("meanLowerBound", True, "meanMass"),
    "mean, empirical Bernstein": ("meanBernsteinBound", True, "meanMass"),
    "share with r ≥ α, Clopper–Pearson": ("shareLowerBound", True, "share"),
    "mean of all rows of the head": ("meanLowerBound", False, "meanMass"),
}


def certify(options, prompt, seed, rows):
    command = [options.program, "generate", "--precision", "fp32", "--prompt-file", prompt, "--max-tokens", "1", "--threads", "1", "--json",
               "--attention", "sample", "--alpha", str(options.alpha), "--window-tokens", str(options.window),
               "--confidence", str(options.confidence), "--certificate-rows", str(rows), "--seed", str(seed),
               "--dense-last-rows", "0"]
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    return result["certificate"]["heads"]


def value(head, name, unseen):
    return (head["unseen"] if unseen else head)[name]


def statistics(draws, exact, bound):
    """Each head's share of draws whose bound is above the exact value, and the bound's mean distance below it."""
    name, unseen, truth = BOUNDS[bound]
    rows = []
    for index, head in enumerate(exact):
        true = value(head, truth, unseen)
        bounds = [value(heads[index], name, unseen) for heads in draws]
        rows.append({"layer": head["layer"], "head": head["head"], "true": true,
                     "misses": sum(b > true for b in bounds) / len(bounds),
                     "slack": sum(true - b for b in bounds) / len(bounds)})
    return rows


def report(options, draws, exact):
    heads = len(exact)
    print(f"{len(draws):,} draws of {options.rows} rows from each of {heads} heads, {exact[0]['rows']:,} tokens, "
          f"α {options.alpha}, window {options.window}, stated confidence {options.confidence}.\n")
    print("| bound | stated miss rate | mean miss rate | largest of any head | mean slack | largest slack |\n|---|---|---|---|---|---|")
    for bound in BOUNDS:
        rows = statistics(draws, exact, bound)
        misses, slacks = [r["misses"] for r in rows], [r["slack"] for r in rows]
        print(f"| {bound} | {1 - options.confidence:.2%} | {sum(misses) / heads:.2%} | {max(misses):.2%} | "
              f"{sum(slacks) / heads:.4f} | {max(slacks):.4f} |")
    errors = []
    for index, head in enumerate(exact):
        estimates = [heads[index]["unseen"]["meanMass"] for heads in draws]
        mean = sum(estimates) / len(estimates)
        spread = (sum((e - mean) ** 2 for e in estimates) / (len(estimates) - 1)) ** 0.5
        errors.append((mean - head["unseen"]["meanMass"], spread, spread / len(draws) ** 0.5))
    print(f"\nEstimated mean against the exact one: largest deviation of any head's average {max(abs(e[0]) for e in errors):.1e}, "
          f"{max(abs(e[0]) / e[2] for e in errors if e[2] > 0):.1f} standard errors of that average.\n")
    print("| head | exact mean | least r | bound: mean slack | misses | Bernstein: slack | misses | exact share r ≥ α | bound: slack | misses |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    tables = [statistics(draws, exact, bound) for bound in list(BOUNDS)[:3]]
    order = sorted(range(heads), key=lambda index: tables[0][index]["true"])
    for index in order[:: max(1, (heads - 1) // 7)]:
        mean, bernstein, share = (table[index] for table in tables)
        print(f"| {mean['layer']}.{mean['head']} | {mean['true']:.4f} | {exact[index]['unseen']['leastMass']:.3f} | {mean['slack']:.4f} | "
              f"{mean['misses']:.2%} | {bernstein['slack']:.4f} | {bernstein['misses']:.2%} | {share['true']:.3f} | "
              f"{share['slack']:.3f} | {share['misses']:.2%} |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=".build/release/sample-attention")
    arguments.add_argument("--draws", type=int, default=2000)
    arguments.add_argument("--rows", type=int, default=256)
    arguments.add_argument("--length", type=int, default=1024)
    arguments.add_argument("--alpha", type=float, default=0.9)
    arguments.add_argument("--window", type=int, default=64)
    arguments.add_argument("--confidence", type=float, default=0.95)
    arguments.add_argument("--jobs", type=int, default=2)
    options = arguments.parse_args()
    prompt = subprocess.run([options.program, "tasks", "--length", str(options.length), "--prompt-only"], check=True,
                            stdout=subprocess.PIPE).stdout
    with tempfile.NamedTemporaryFile() as file, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        file.write(prompt)
        file.flush()
        # More rows than there are: every unseen row is read, and nothing is left to chance.
        exact = certify(options, file.name, 1, 1 << 20)
        assert all(head["isExact"] for head in exact)
        draws = list(pool.map(lambda seed: certify(options, file.name, seed, options.rows), range(1, options.draws + 1)))
    report(options, draws, exact)


if __name__ == "__main__":
    main()
