#!/usr/bin/env python3
"""Does a selection keep in all rows what it saw in the sampled ones? Runs `audit` on both bundled books, writes results.json,
results.md and results.png beside this file. `--from FILE` draws an earlier run again."""
import argparse
import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
COLOURS = {"stride": "#0072b2", "tail-blocks": "#d55e00", "last-rows": "#b5548a", "random": "#00835f"}


def table(length):
    yield (f"\n## {length['length']:,} tokens, {length['rules'][0]['heads']} heads\n\n"
           "| rule | rows | mean | 1st percentile | least | heads below α | sampled − true | p1 of queries | least query | density |")
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for r in length["rules"]:
        yield (f"| {r['sampling']} | {r['ratio']:.1%} | {r['mean']:+.4f} | {r['p1']:+.4f} | {r['least']:+.4f} | {r['missed']:.0%} | "
               f"{r['optimism']:+.4f} | {r['queryP1']:.3f} | {r['queryLeast']:.3f} | {r['density']:.1%} |")


def picture(result):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(1, len(result["lengths"]), figsize=(4 * len(result["lengths"]), 3.4), sharey=True, layout="constrained")
    for axis, length in zip(axes, result["lengths"]):
        for rule, colour in COLOURS.items():
            own = [r for r in length["rules"] if r["sampling"] == rule]
            axis.plot([100 * r["ratio"] for r in own], [r["least"] for r in own], "o-", color=colour, label=rule)
            axis.plot([100 * r["ratio"] for r in own], [r["p1"] for r in own], "--", color=colour, linewidth=1)
        axis.axhline(0, color="#5c6672", linewidth=0.8)
        axis.set(xscale="log", title=f"{length['length']:,} tokens", xlabel="rows sampled, %")
        axis.set_xticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
        axis.minorticks_off()
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(f"true mean mass − {result['alpha']}")
    axes[-1].legend(frameon=False, title="worst head (– – 1st percentile)")
    figure.savefig(HERE / "results.png", dpi=130)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=str(HERE.parents[1] / ".build/release/sample-attention"))
    arguments.add_argument("--from", dest="source")
    arguments.add_argument("--length", type=int, action="append")
    options = arguments.parse_args()
    if options.source:
        result = json.loads(pathlib.Path(options.source).read_text())
    else:
        command = [options.program, "audit", "--json"]
        for length in options.length or [4096, 16384, 32768]:
            command += ["--length", str(length)]
        result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        (HERE / "results.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    machine = result["provenance"]["machine"]
    lines = [f"# Sampled against true retained mass\n\nα {result['alpha']}, window {result['windowRatio']:.0%}, window-aware stripes, no dense "
             f"rows; {', '.join(t['name'] for t in result['provenance']['texts'])}. True mass minus α, over heads.\n\n"
             f"{machine['cpu']}, {machine['instructionSet']}, {machine['precision']}; seed {result['provenance']['seed']}, "
             f"{result['provenance']['tool']['commit']}."]
    for length in result["lengths"]:
        lines += table(length)
    (HERE / "results.md").write_text("\n".join(lines) + "\n")
    picture(result)


if __name__ == "__main__":
    main()
