"""The picture of the results. usage: picture.py RESULTS_JSON RESULTS_PNG"""
import json
import sys

import matplotlib

matplotlib.use("Agg")
import numpy
from matplotlib import pyplot
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

import summary
from plan import FLEX, OPENVINO, OURS, PRECISIONS, SDPA, TRANSFORMERS, TUNED

COLOURS = {OURS: "#d1495b", TUNED: "#edae49", SDPA: "#30638e", FLEX: "#8fb8de", TRANSFORMERS: "#7a7a7a", OPENVINO: "#5b8c5a"}
HATCHES = {"fp32": "", "bf16": "///"}
PEAK_STYLES = {"fp32": "-", "bf16": "--"}
MARKERS = {"attention": "o", "sparse": "D"}


def draw(results, path):
    rows, peaks = summary.rows(results), summary.peaks(results)
    figure, panels = pyplot.subplots(2, 2, figsize=(14, 9.5), layout="constrained")
    dense_panel(panels[0, 0], [row for row in rows if row.section == "attention"], peaks)
    roofline_panel(panels[0, 1], [row for row in rows if row.section in MARKERS], peaks)
    sparse_panel(panels[1, 0], [row for row in rows if row.section == "sparse"], peaks)
    ttft_panel(panels[1, 1], [row for row in rows if row.section == "ttft"])
    figure.legend(handles=legend(rows), loc="outside lower center", ncols=8, frameon=False)
    figure.suptitle(f"{results['machine']['cpu']}, {results['threads']} threads, {results['rounds']} rounds, {results['started']}")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def legend(rows):
    systems = [Patch(color=COLOURS[name], label=name) for name in COLOURS if any(row.system == name for row in rows)]
    precisions = [Patch(facecolor="white", edgecolor="black", hatch=HATCHES[name], label=name.upper())
                  for name in PRECISIONS]
    return systems + precisions


def dense_panel(axis, rows, peaks):
    axis.set(title="Dense causal attention, 8 heads", ylabel="GFLOP/s")
    bars(axis, rows, lambda row: f"{row.length:,}\nd = {row.head_dimension}", lambda row: row.gigaflops)
    peak_lines(axis, peaks)


def sparse_panel(axis, rows, peaks):
    length = f", {rows[0].length:,} tokens" if rows else ""
    axis.set(title=f"Window and columns, 2 heads of 128{length}", ylabel="GFLOP/s of kept work")
    bars(axis, rows, density_label, lambda row: row.gigaflops)
    peak_lines(axis, peaks)


def density_label(row):
    return "dense" if row.requested_density == 1 else f"{row.requested_density:.0%} kept"


def ttft_panel(axis, rows):
    axis.set(title="Time to first token, bundled model, dense but for tuned (less is better)", ylabel="seconds")
    bars(axis, rows, lambda row: f"{row.length:,} tokens", lambda row: row.milliseconds, scale=1e-3)
    if rows:
        axis.set_yscale("log")
        axis.margins(y=0.1)


def bars(axis, rows, label, value, scale=1.0):
    """A group of bars a label, in it one bar a system and precision; whiskers from least to most."""
    labels = list(dict.fromkeys(map(label, rows)))
    kinds = [(precision, system) for precision in PRECISIONS for system in COLOURS
             if any((row.precision, row.system) == (precision, system) for row in rows)]
    width = 0.85 / max(1, len(kinds))
    for row in rows:
        spread = value(row)
        place = labels.index(label(row)) + (kinds.index((row.precision, row.system)) - (len(kinds) - 1) / 2) * width
        whiskers = [[(spread.median - spread.least) * scale], [(spread.most - spread.median) * scale]]
        axis.bar(place, spread.median * scale, width, color=COLOURS[row.system], hatch=HATCHES[row.precision],
                 edgecolor="white", yerr=whiskers, error_kw={"elinewidth": 1, "capsize": 2})
        axis.annotate(f"{spread.median * scale:,.0f}" if spread.median * scale >= 999.5 else f"{spread.median * scale:.3g}", (place, spread.most * scale), ha="center", va="bottom", fontsize=7)
    axis.set_xticks(range(len(labels)), labels)
    axis.spines[["top", "right"]].set_visible(False)


def peak_lines(axis, peaks):
    for precision in PRECISIONS:
        if precision in peaks:
            peak = peaks[precision].median
            axis.axhline(peak, color="black", linewidth=1, linestyle=PEAK_STYLES[precision])
            axis.text(0.01, peak, f"{precision.upper()} peak {peak:.0f}", transform=axis.get_yaxis_transform(), va="bottom",
                      fontsize=8)


def roofline_panel(axis, rows, peaks):
    axis.set(title="Roofline", xlabel="operations a byte, if Q, K, V are read and the output written once", ylabel="GFLOP/s",
             xscale="log", yscale="log")
    if rows:
        roof(axis, peaks, max(row.intensity for row in rows))
    for row in rows:
        axis.plot(row.intensity, row.gigaflops.median, MARKERS[row.section], color=COLOURS[row.system], markersize=7,
                  fillstyle="full" if row.precision == "fp32" else "none", markeredgewidth=1.5)
    handles = [Line2D([], [], color="black", marker=MARKERS[section], linestyle="", label=label)
               for section, label in (("attention", "8 heads, dense"), ("sparse", "2 heads, dense or sparse"))]
    handles += [Line2D([], [], color="black", marker="o", linestyle="", fillstyle=fill, label=name)
                for fill, name in (("full", "FP32"), ("none", "BF16"))]
    axis.legend(handles=handles, loc="lower right", frameon=False, fontsize=8)


def roof(axis, peaks, most):
    if "read" not in peaks:
        return
    read = peaks["read"].median
    intensities = numpy.geomspace(0.5, 2 * most, 400)
    for precision in PRECISIONS:
        if precision in peaks:
            peak = peaks[precision].median
            axis.plot(intensities, numpy.minimum(peak, read * intensities), color="black", linewidth=1,
                      linestyle=PEAK_STYLES[precision])
            axis.annotate(f"{precision.upper()} {peak:.0f} GFLOP/s", (0.6, peak), va="center", fontsize=8)
    axis.annotate(f"memory {read:.1f} GB/s", (1, read), rotation=0, va="top", fontsize=8)


if __name__ == "__main__":
    with open(sys.argv[1]) as results_file:
        draw(json.load(results_file), sys.argv[2])
