#!/usr/bin/env python3
"""Does a selection keep in all rows what it saw in the sampled ones? Runs `audit` on both bundled books beside a window of 8 % (the
standard) and of 1 % of the prompt, and writes results.json, results.md and results.png beside this file. `--redraw` takes
results.json as it is."""
import argparse
import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
COLOURS = {"stride": "#0072b2", "tail-blocks": "#d55e00", "last-rows": "#b5548a", "random": "#00835f"}


def table(length, window):
    yield (f"\n## {length['length']:,} tokens, window {window:.0%}, {length['rules'][0]['heads']} heads\n\n"
           "| rule | rows | mean | 1st percentile | least | heads below α | sampled − true | p1 of queries | least query | density |")
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for r in length["rules"]:
        yield (f"| {r['sampling']} | {r['ratio']:.1%} | {r['mean']:+.4f} | {r['p1']:+.4f} | {r['least']:+.4f} | {r['missed']:.0%} | "
               f"{r['optimism']:+.4f} | {r['queryP1']:.3f} | {r['queryLeast']:.3f} | {r['density']:.1%} |")


def picture(runs):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    lengths = runs[0]["lengths"]
    figure, axes = plt.subplots(len(runs), len(lengths), figsize=(4 * len(lengths), 3.1 * len(runs)), sharey="row", layout="constrained")
    for row, run in zip(axes, runs):
        for axis, length in zip(row, run["lengths"]):
            for rule, colour in COLOURS.items():
                own = [r for r in length["rules"] if r["sampling"] == rule]
                axis.plot([100 * r["ratio"] for r in own], [r["least"] for r in own], "o-", color=colour, label=rule)
                axis.plot([100 * r["ratio"] for r in own], [r["mean"] for r in own], ":", color=colour, linewidth=1.2)
            axis.axhline(0, color="#5c6672", linewidth=0.8)
            axis.set(xscale="log", title=f"{length['length']:,} tokens, window {run['windowRatio']:.0%}")
            axis.set_xticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
            axis.minorticks_off()
            axis.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel(f"true mean mass − {run['alpha']}")
    for axis in axes[-1]:
        axis.set_xlabel("rows sampled, %")
    axes[0][-1].legend(frameon=False, title="worst head (··· mean of heads)", fontsize=8, title_fontsize=8)
    figure.savefig(HERE / "results.png", dpi=130)


def measure(program, window):
    command = [program, "audit", "--precision", "fp32", "--json", "--window-ratio", str(window), "--length", "4096", "--length", "16384", "--length", "32768"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=str(HERE.parents[1] / ".build/release/sample-attention"))
    arguments.add_argument("--redraw", action="store_true")
    options = arguments.parse_args()
    if options.redraw:
        runs = json.loads((HERE / "results.json").read_text())
    else:
        runs = [measure(options.program, window) for window in (0.08, 0.01)]
        (HERE / "results.json").write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n")
    provenance = runs[0]["provenance"]
    machine = provenance["machine"]
    lines = [f"# Sampled against true retained mass\n\nα {runs[0]['alpha']}, window-aware stripes, no dense rows; "
             f"{', '.join(t['name'] for t in provenance['texts'])}. True mean mass minus α, over heads.\n\n"
             f"{machine['cpu']}, {machine['instructionSet']}, {machine['precision']}; seed {provenance['seed']}, "
             f"{provenance['tool']['commit']}."]
    for run in runs:
        for length in run["lengths"]:
            lines += table(length, run["windowRatio"])
    (HERE / "results.md").write_text("\n".join(lines) + "\n")
    picture(runs)


if __name__ == "__main__":
    main()
