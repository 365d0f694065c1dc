"""What is measured: groups of tasks that take turns."""
from dataclasses import asdict, dataclass

OURS = "sample-attention"
TUNED = "sample-attention tuned"
SDPA = "torch-sdpa"
FLEX = "torch-flex"
TRANSFORMERS = "transformers"
OPENVINO = "openvino-genai"
PRECISIONS = ("fp32", "bf16")
SECTIONS = ("attention", "sparse", "ttft")
DENSITIES = (0.05, 0.10, 0.20)

# Only the remaining time is guessed from these; the run corrects them as it goes.
GUESSED_GIGAFLOPS = {OURS: 150, TUNED: 900, SDPA: 120, FLEX: 80, TRANSFORMERS: 60, OPENVINO: 100}
BUNDLED_MODEL_ATTENTION_HEADS, BUNDLED_MODEL_HEAD_DIMENSION = 6 * 8, 64
BUNDLED_MODEL_WEIGHTS = 12e6

# Up to here peers warm up before each timed call, as our program always does; above, a call takes seconds and has no need of it.
LONGEST_WARM_UP = 8192


@dataclass(frozen=True)
class Task:
    """One system at one configuration."""

    section: str
    system: str
    precision: str
    length: int
    heads: int = BUNDLED_MODEL_ATTENTION_HEADS
    head_dimension: int = BUNDLED_MODEL_HEAD_DIMENSION
    density: float = 1.0

    @property
    def name(self):
        share = "" if self.density == 1 else f" {self.density:.0%}"
        return f"{self.system} {self.precision}{share}"

    @property
    def key(self):
        return f"{self.name} {self.length} {self.head_dimension}"

    def guessed_seconds(self):
        operations = causal_operations(self.length, self.heads, self.head_dimension) * self.density
        if self.section == "ttft":
            operations += 2 * BUNDLED_MODEL_WEIGHTS * self.length
        calls = 1 + (self.system in (OURS, TUNED) or self.warms_up)
        return 0.1 + calls * operations / (GUESSED_GIGAFLOPS[self.system] * 1e9)

    @property
    def warms_up(self):
        return self.length <= LONGEST_WARM_UP

    def fields(self):
        """As a dictionary; what a system kept will be its `density`."""
        fields = asdict(self) | {"warms_up": self.warms_up}
        return fields | {"density_requested": fields.pop("density")}


@dataclass(frozen=True)
class Group:
    title: str
    tasks: tuple


def causal_operations(length, heads, head_dimension):
    """4 · d operations for each of n²/2 pairs of each head."""
    return 4 * head_dimension * length**2 / 2 * heads


def dense_groups(lengths):
    for length in lengths:
        for dimension in (64, 128):
            tasks = (Task("attention", system, precision, length, 8, dimension)
                     for precision in PRECISIONS for system in (OURS, SDPA, FLEX))
            yield Group(f"dense attention, {length:,} tokens, 8 heads of {dimension}", tuple(tasks))


def sparse_groups(lengths):
    length = max(lengths)
    tasks = (Task("sparse", system, precision, length, 2, 128, density)
             for precision in PRECISIONS for density in (1.0, *DENSITIES) for system in (OURS, FLEX))
    yield Group(f"sparse attention, {length:,} tokens, 2 heads of 128", tuple(tasks))


def ttft_groups(lengths, transformers_longest, tuned_precision):
    for length in lengths:
        systems = (OURS, TUNED, TRANSFORMERS, OPENVINO)
        tasks = (Task("ttft", system, precision, length) for precision in PRECISIONS for system in systems
                 if (system != TRANSFORMERS or length <= transformers_longest) and (system != TUNED or precision == tuned_precision))
        yield Group(f"time to first token, {length:,} tokens", tuple(tasks))


def groups(sections, lengths, transformers_longest, tuned_precision=None):
    """`tuned_precision` is the precision a config was tuned at; without one the tuned prefill is left out."""
    by_section = {
        "attention": lambda: dense_groups(lengths),
        "sparse": lambda: sparse_groups(lengths),
        "ttft": lambda: ttft_groups(lengths, transformers_longest, tuned_precision),
    }
    return [group for section in SECTIONS if section in sections for group in by_section[section]()]
