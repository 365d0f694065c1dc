"""The tables of results.md. usage: report.py RESULTS_JSON RESULTS_MD"""
import json
import sys

import summary

PEAK_UNITS = {"fp32": "FP32 GFLOP/s", "bf16": "BF16 GFLOP/s", "exp": "exponentials, G/s", "read": "memory read, GB/s"}


def write(results, path):
    rows = summary.rows(results)
    peaks = summary.peaks(results)
    sections = [heading(results), peak_table(peaks)]
    sections += [dense_table([row for row in rows if row.section == "attention"], peaks)]
    sections += [sparse_table([row for row in rows if row.section == "sparse"])]
    sections += [ttft_table([row for row in rows if row.section == "ttft"])]
    sections += [checks(rows), failures(results), "![GFLOP/s, roofline and time to first token](results.png)"]
    with open(path, "w") as file:
        file.write("\n\n".join(section for section in sections if section) + "\n")


def heading(results):
    machine, versions = results["machine"], results["versions"]
    return f"""# Results

{machine['cpu']}, {machine['cores']} cores, {machine['memoryGiB']} GiB, {machine['system']}; {results['threads']} threads,
{results['rounds']} rounds; {results['started']} to {results['finished']}; load average {machine['loadAverageAtStart']} at the start.

{', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}, Python {machine['python']}.

Cells are the median of the rounds and (least–most). "ours / peer" is the ratio of speeds within a round, at the same
precision: above 1 we are faster. "tuned / system" is the same of our tuned prefill."""


def peak_table(peaks):
    if not peaks:
        return "No peak was measured: the program had no working `bench peak`."
    body = [[PEAK_UNITS.get(name, name), cell(peak)] for name, peak in peaks.items()]
    return "## The machine's limits, measured before each group\n\n" + table(["limit", "measured"], body)


def dense_table(rows, peaks):
    header = ["tokens", "heads × d", "precision", "system", "ms", "GFLOP/s", "of the peak", "ours / peer"]
    body = [[f"{row.length:,}", f"{row.heads} × {row.head_dimension}", row.precision, row.system, cell(row.milliseconds),
             cell(row.gigaflops), share_of_peak(row, peaks), cell(row.speedup, 2)] for row in rows]
    return section("Dense causal attention", header, body)


def share_of_peak(row, peaks):
    peak = peaks.get(row.precision)
    return f"{row.gigaflops.median / peak.median:.0%}" if peak else "–"


def sparse_table(rows):
    header = ["tokens", "precision", "system", "kept", "ms", "GFLOP/s of kept work", "time / (kept × own dense time)", "ours / peer"]
    body = [[f"{row.length:,}", row.precision, row.system, f"{row.density:.1%}", cell(row.milliseconds),
             cell(row.gigaflops), cell(row.overhead, 2), cell(row.speedup, 2)] for row in rows]
    return section("Window and columns", header, body)


def ttft_table(rows):
    header = ["tokens", "precision", "system", "seconds", "ours / peer", "tuned / system"]
    body = [[f"{row.length:,}", row.precision, row.system, cell(seconds(row), 2), cell(row.speedup, 2), cell(row.tuned_speedup, 2)]
            for row in rows]
    return section("Time to first token, the bundled model, dense but for the tuned prefill", header, body)


def seconds(row):
    return summary.Spread.of(time / 1e3 for time in row.times)


def checks(rows):
    errors = [f"{system} {max(values):.1e}" for system, values in grouped(rows, "maxError").items()]
    compilations = [f"{system} {max(values):.0f} s" for system, values in grouped(rows, "compileSeconds").items()]
    tokens = {(row.length, row.precision, row.system): row.entry["token"] for row in rows if "token" in row.entry}
    lines = [f"Largest error of the answers checked before timing: {', '.join(errors)}." if errors else "",
             f"Longest compilation, not in the times: {', '.join(compilations)}." if compilations else "", agreement(tokens)]
    return "\n".join(line for line in lines if line)


def grouped(rows, field):
    groups = {}
    for row in rows:
        if field in row.entry:
            groups.setdefault(f"{row.system} {row.precision}", []).append(row.entry[field])
    return groups


def agreement(tokens):
    """Do the systems continue a prompt with the same token? BF16 may differ where two tokens are nearly as likely."""
    by_length = {}
    for (length, precision, system), token in tokens.items():
        by_length.setdefault(length, {}).setdefault(token, []).append(f"{system} {precision}")
    return "\n".join(
        f"First token after {length:,}: the same from {', '.join(next(iter(answers.values())))}." if len(answers) == 1 else
        f"First tokens after {length:,} **differ**: "
        + "; ".join(f"{token} from {', '.join(who)}" for token, who in answers.items()) + "."
        for length, answers in by_length.items())


def failures(results):
    lines = dict.fromkeys(
        f"- {entry['system']} {entry['precision']}, {entry['section']}, {entry['length']:,} tokens: {entry['failure']}"
        for entry in results["measurements"] if "failure" in entry)
    return "## Left out\n\n" + "\n".join(lines) if lines else ""


def section(title, header, body):
    return f"## {title}\n\n{table(header, body)}" if body else ""


def table(header, body):
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(spread, decimals=None):
    if spread is None:
        return "–"
    if decimals is None:
        decimals = 2 if spread.median < 10 else 1 if spread.median < 100 else 0
    return f"{spread.median:,.{decimals}f} ({spread.least:,.{decimals}f}–{spread.most:,.{decimals}f})"


if __name__ == "__main__":
    with open(sys.argv[1]) as results_file:
        write(json.load(results_file), sys.argv[2])
