"""From the times of the rounds to medians, spreads and ratios."""
import statistics
from dataclasses import dataclass

from plan import OURS, TUNED, causal_operations

BYTES = {"fp32": 4, "bf16": 2}
OUR_BYTES = 4  # our tensors are FP32; BF16 is what the kernel multiplies with


@dataclass(frozen=True)
class Spread:
    """Median, least and most of some rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values):
        values = list(values)
        return cls(statistics.median(values), min(values), max(values)) if values else None


class Row:
    """One measured configuration. `kept_work` is 4 · d operations a kept pair, n²/2 pairs in a dense causal head."""

    def __init__(self, entry):
        self.entry = entry
        self.section, self.system, self.precision = entry["section"], entry["system"], entry["precision"]
        self.length, self.heads, self.head_dimension = entry["length"], entry["heads"], entry["head_dimension"]
        self.requested_density = entry["density_requested"]
        self.density = entry.get("density", 1.0)
        self.times = entry["milliseconds"]
        self.milliseconds = Spread.of(self.times)
        self.kept_work = causal_operations(self.length, self.heads, self.head_dimension) * self.density
        self.gigaflops = Spread.of(self.kept_work / time / 1e6 for time in self.times)
        self.speedup = None  # how many times as fast we are, in kept work a second, at the same precision
        self.tuned_speedup = None  # how many times as fast our tuned prefill is
        self.overhead = None  # time over density times the system's own dense time

    @property
    def configuration(self):
        return self.section, self.precision, self.length, self.head_dimension, self.requested_density

    @property
    def intensity(self):
        """Operations a byte if Q, K and V were read once and the output written once, as the system stores them."""
        size = OUR_BYTES if self.system in (OURS, TUNED) else BYTES[self.precision]
        return self.kept_work / (4 * self.length * self.heads * self.head_dimension * size)


def rows(results):
    """All rows with at least one timed round; ratios are taken within a round, then their median."""
    measured = [Row(entry) for entry in results["measurements"] if entry["milliseconds"]]
    ours = {row.configuration: row for row in measured if row.system == OURS}
    tuned = {row.configuration: row for row in measured if row.system == TUNED}
    dense = {(row.system, row.precision): row for row in measured if row.section == "sparse" and row.requested_density == 1}
    for row in measured:
        mine, whole = ours.get(row.configuration), dense.get((row.system, row.precision))
        if row.system not in (OURS, TUNED) and mine:
            work = mine.kept_work / row.kept_work
            row.speedup = Spread.of(work * theirs / own for theirs, own in zip(row.times, mine.times))
        if row.system != TUNED and row.configuration in tuned:
            row.tuned_speedup = Spread.of(theirs / own for theirs, own in zip(row.times, tuned[row.configuration].times))
        if row.section == "sparse" and whole:
            row.overhead = Spread.of(part / (row.density * all_) for part, all_ in zip(row.times, whole.times))
    return measured


def peaks(results):
    """Spread over the run of each limit that the machine's microbenchmark measured."""
    names = {name for peak in results["peaks"] for name in peak}
    return {name: Spread.of(peak[name] for peak in results["peaks"] if name in peak) for name in sorted(names)}
