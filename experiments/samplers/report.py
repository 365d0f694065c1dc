"""What the trials come to: comparisons at each number of trials, and their tables."""
import numpy as np

import fronts


def ladder(length):
    """Bare windows that every head tries before its sampler is asked: two to an octave, from 32 to half the prompt."""
    return sum(window <= length // 2 for power in range(5, 13) for window in (2**power, 3 * 2 ** (power - 1)))


def areas(runs, dense, windows, scale, part):
    """{sampler: [seeds][heads]} areas of the part of each head's trials. The worst error is that of the head's worst window, which all
    samplers' runs have in common."""
    def area(trials):
        worst = max(error for number, _, error in trials if number < windows)
        return fronts.hypervolume([trial[1:] for trial in part(trials)], dense, worst, scale)
    return {sampler: np.array([[area(trials) for trials in heads] for heads in seeds]) for sampler, seeds in runs.items()}


def comparisons(runs, dense, length, budgets):
    """By scale of the error, and by what is counted: rounds, as `--trials` counts, or trials measured, which leaves out repetitions."""
    windows = ladder(length)

    def first(budget, counted):
        return (lambda trials: trials[:budget]) if counted == "measured" else (lambda trials: [t for t in trials if t[0] < budget])

    kinds = [("logarithmic", "rounds", budget) for budget in budgets]
    # The fewest are the same in every run, and of the most some samplers never measure as many.
    kinds += [("logarithmic", "measured", budget) for budget in budgets[1:-1]] + [("linear", "rounds", budget) for budget in budgets[1:]]
    found = []
    for scale, counted, budget in kinds:
        part, function = first(budget, counted), getattr(fronts, scale)
        of = areas(runs, dense, windows, function, part)
        bare = areas(runs, dense, windows, function, first(windows, "rounds"))
        found.append({
            "scale": scale, "counted": counted, "trials": budget,
            "overWindows": {sampler: float(np.mean(100 * (of[sampler] / bare[sampler] - 1))) for sampler in of},
            "measured": {sampler: float(np.mean([len(part(head)) for seed in seeds for head in seed])) for sampler, seeds in runs.items()},
            "rows": fronts.compare(of, "quasi-random") + fronts.compare(of, "tpe"),
            "areasBySeedAndHead": {sampler: np.round(values, 4).tolist() for sampler, values in of.items()}})
    return found


def against(comparison, sampler):
    return {row["sampler"]: row for row in comparison["rows"] if row["against"] == sampler}


def difference(row):
    """Mean with its interval, and the shares of heads on which the sampler is better and worse."""
    low, high = row["meanInterval"]
    return (
        f"{row['mean']:+.2f} ({low:+.2f} to {high:+.2f}) | {row['median']:+.2f} "
        f"| {100 * row['better']:.0f} / {100 * row['worse']:.0f} %")


def comparison_table(comparison):
    lines = [
        "| sampler | measured | over windows | over quasi-random, mean | median | better / worse | over TPE, mean | median | better / worse | best |",
        "|---|---|---|---|---|---|---|---|---|---|"]
    other = against(comparison, "tpe")
    for sampler, row in against(comparison, "quasi-random").items():
        lines.append(
            f"| {sampler} | {comparison['measured'][sampler]:.1f} | {comparison['overWindows'][sampler]:+.2f} | {difference(row)} "
            f"| {difference(other[sampler])} | {100 * row['best']:.0f} % |")
    return "\n".join(lines)


def text(found):
    parts = [
        f"{found['machine']}; {found['length']:,} tokens, FP32, seeds {', '.join(map(str, found['seeds']))}, {found['heads']} heads. Times are predicted by a "
        f"latency model that is {100 * found['latencyError']:.1f} % off on average; a dense head takes {found['denseMilliseconds']:.2f} ms.",
        "Areas that fronts dominate, in per cent of another front's on the same head and seed; intervals are 95 %, heads drawn with all of their seeds. "
        "*measured*: trials a head that were not tried before; *over windows*: over the front of the ladder of windows alone; *best*: share "
        f"of heads, shared where fronts are equal. {ladder(found['length'])} rounds of each head are windows."]
    names = {"logarithmic": "logarithm of the error", "linear": "error as it is"}
    for comparison in found["comparisons"]:
        counted = "rounds" if comparison["counted"] == "rounds" else "trials measured"
        parts.append(f"## {comparison['trials']} {counted}, {names[comparison['scale']]}\n\n{comparison_table(comparison)}")
    return "\n\n".join(parts) + "\n"
