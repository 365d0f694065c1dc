#!/usr/bin/env python3
"""What do the bundled model's heads look like? Profiles both books at three lengths and writes results.md and results.png beside this
file. `--from FILE` draws an earlier `profile --json` again."""
import argparse
import json
import pathlib
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TEXTS = [ROOT / "Sources/HaystackModel/text" / name for name in ("moby-dick.txt", "treasure-island.txt")]


def mean(heads, value):
    return statistics.mean(value(h) for h in heads)


def summary(result):
    alphas = result["scale"]["alphas"]
    columns = ["text", "tokens", "α", "SD", "every query: window + columns", "key blocks", "structure gap",
               "mean query: window + columns", "columns + slashes", "key blocks"]
    yield "| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|"
    for prompt in result["profiles"]:
        for i, alpha in enumerate(alphas):
            heads = prompt["heads"]
            # Profiles of before key blocks were measured lack them.
            family = lambda key, name: mean(heads, lambda h: h[key][i].get(name, {"degree": float("nan")})["degree"])
            yield (f"| {prompt['text']} | {prompt['length']:,} | {alpha} | {mean(heads, lambda h: h['sparsityDegrees'][i]):.3f} | "
                   f"{family('structured', 'windowColumns'):.3f} | {family('structured', 'keyBlocks'):.3f} | {mean(heads, lambda h: h['structureGaps'][i]):.3f} | "
                   f"{family('structuredMean', 'windowColumns'):.3f} | {family('structuredMean', 'columnsSlashes'):.3f} | {family('structuredMean', 'keyBlocks'):.3f} |")


def masses(result):
    scale = result["scale"]
    columns = [("sinks", f"first {c}") for c in scale["sinks"]] + [("windows", f"window {c:,}") for c in scale["windows"]]
    columns += [("columns", f"top {c:,} columns") for c in scale["columns"]] + [("slashes", f"top {c} slashes") for c in scale["slashes"]]
    prompts = [p for p in result["profiles"] if p["text"] == result["profiles"][0]["text"]]
    yield "| mean mass on | " + " | ".join(f"{p['length']:,}" for p in prompts) + " |\n|---|" + "---|" * len(prompts)
    seen = {}
    for kind, name in columns:
        index = seen[kind] = seen.get(kind, -1) + 1
        cells = [f"{mean(p['heads'], lambda h: h['masses'][kind][index]):.3f}" for p in prompts]
        yield f"| {name} | " + " | ".join(cells) + " |"


def sharing(result):
    yield "| columns of | tokens | pairs | Jaccard | by chance | mean mass with own | with the other's |\n|---|---|---|---|---|---|---|"
    kinds = {"withinGroup": "a head of the same group", "previousLayer": "the same head, layer before", "otherPrompt": "the same head, other text"}
    for kind, name in kinds.items():
        for prompt in result["profiles"]:
            found = [layer[kind] for layer in prompt["overlaps"] if kind in layer]
            if found and (kind == "otherPrompt" or prompt["text"] == result["profiles"][0]["text"]):
                pairs = sum(o["pairs"] for o in found)
                cell = lambda key: sum(o["pairs"] * o[key] for o in found) / pairs
                yield (f"| {name} | {prompt['length']:,} | {pairs} | {cell('jaccard'):.3f} | {cell('chance'):.3f} | {cell('ownMass'):.4f} | "
                       f"{cell('sharedMass'):.4f} |")


def windows(result):
    """How many heads put 95 % of their mean mass into a window, and which window suits a head's mean best."""
    scale = result["scale"]
    lengths = [p for p in result["profiles"] if p["text"] == result["profiles"][0]["text"]]
    yield "| window | " + " | ".join(f"{p['length']:,}" for p in lengths) + " |\n|---|" + "---|" * len(lengths)
    for i, window in enumerate(scale["windows"]):
        held = [sum(h["masses"]["windows"][i] >= 0.95 for h in p["heads"]) for p in lengths]
        best = [sum(h["curve"].get("window") == window for h in p["heads"]) for p in lengths]
        yield f"| {window:,} | " + " | ".join(f"{a} ({b})" for a, b in zip(held, best)) + " |"


def picture(result):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    prompts = [p for p in result["profiles"] if p["text"] == result["profiles"][0]["text"]]
    main = result["scale"]["alphas"].index(0.95)
    figure, axes = plt.subplots(1, 3, figsize=(12.5, 3.6), layout="constrained")
    for prompt, colour in zip(prompts, ("#5c6672", "#0072b2", "#d55e00")):
        label = f"{prompt['length']:,} tokens"
        heads = prompt["heads"]
        axes[0].plot(sorted((h["sparsityDegrees"][main] for h in heads), reverse=True), color=colour, label=label)
        axes[0].plot(sorted((max(f["degree"] for f in h["structured"][main].values()) for h in heads), reverse=True),
                     color=colour, linestyle="--")
        axes[0].plot(sorted((max(f["degree"] for f in h["structuredMean"][main].values()) for h in heads), reverse=True), color=colour, linestyle=":")
        axes[1].plot(result["scale"]["windows"], [mean(heads, lambda h: h["masses"]["windows"][i]) for i in range(8)], "o-", color=colour)
        axes[2].scatter([h["retained"]["mean"] for h in heads], [h["retained"]["min"] for h in heads], s=14, color=colour)
    axes[0].set(title="SD(.95) –, structured: every query – –, mean ···", xlabel="heads, sparsest first", ylim=(0, 1.02))
    axes[0].title.set_fontsize(11)
    axes[0].legend(frameon=False, loc="center right")
    axes[1].set(title="Mean mass in a window", xlabel="tokens", xscale="log")
    axes[1].set_xticks(result["scale"]["windows"], [f"{w:,}" for w in result["scale"]["windows"]], rotation=45)
    axes[1].minorticks_off()
    axes[2].set(title="Pattern of the standard settings", xlabel="mean retained mass", ylabel="least of any query (CRA)")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "results.png", dpi=130)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default=str(ROOT / ".build/release/sample-attention"))
    arguments.add_argument("--from", dest="source")
    options = arguments.parse_args()
    if options.source:
        result = json.loads(pathlib.Path(options.source).read_text())
    else:
        command = [options.program, "profile", "--precision", "fp32", "--json"]
        for text in TEXTS:
            command += ["--text", str(text)]
        for length in (4096, 16384, 32768):
            command += ["--length", str(length)]
        result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    provenance = result["provenance"]
    machine = provenance["machine"]
    lines = [f"# Head profiles of the bundled model\n\n{machine['cpu']}, {machine['instructionSet']}, {machine['precision']}, {machine['threads']} threads; "
             f"{provenance['tool']['commit']}. Means over 48 heads.\n"]
    lines += summary(result)
    lines.append("\n## Where the mass lies\n")
    lines += masses(result)
    lines.append("\n## Windows\n\nHeads whose mean mass in the window is at least .95; in brackets, heads whose sparsest window + columns at mean .95 has it.\n")
    lines += windows(result)
    lines.append("\n## Sharing columns\n")
    lines += sharing(result)
    (HERE / "results.md").write_text("\n".join(lines) + "\n")
    picture(result)


if __name__ == "__main__":
    main()
