"""The area that a head's trials dominate, and paired comparisons of such areas over heads and seeds."""
import numpy as np

# What the search adds to an error before it takes the logarithm.
LEAST_ERROR = 1e-9
RESAMPLES = 4000


def logarithmic(error):
    return np.log10(error + LEAST_ERROR)


def linear(error):
    return error


def hypervolume(trials, dense, worst, scale):
    """∫ (1 − cost of the cheapest trial with at most this error / cost of dense attention), over scaled errors up to the worst.

    - trials: (cost, error) of one head. What costs more than dense attention or spoils more than the worst adds nothing.
    """
    area, ceiling = 0.0, scale(worst)
    for cost, error in sorted(trials):
        if cost < dense and scale(error) < ceiling:
            area += (1 - cost / dense) * (ceiling - scale(error))
            ceiling = scale(error)
    return area


def interval(differences, statistic):
    """A 95 % bootstrap interval of a statistic of [seeds][heads] differences. Heads are drawn, each with all of its seeds: a head under
    two seeds is not two heads."""
    heads = differences.shape[1]
    drawn = np.random.default_rng(1).integers(heads, size=(RESAMPLES, heads))
    values = [statistic(differences[:, chosen]) for chosen in drawn]
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]


def compare(areas, against):
    """One row a sampler from {sampler: [seeds][heads] areas}: relative differences in per cent from one sampler on the same head and seed."""
    stacked = np.stack(list(areas.values()))
    tied = np.isclose(stacked, stacked.max(axis=0), rtol=1e-9)
    rows = []
    for index, (sampler, own) in enumerate(areas.items()):
        difference = 100 * (own / areas[against] - 1)
        rows.append({
            "sampler": sampler, "against": against, "area": float(np.median(own)), "mean": float(difference.mean()),
            "meanInterval": interval(difference, np.mean), "median": float(np.median(difference)),
            "medianInterval": interval(difference, np.median),
            "better": float((difference > 1e-7).mean()), "worse": float((difference < -1e-7).mean()),
            # Samplers that share a head's first place share the head.
            "best": float((tied[index] / tied.sum(axis=0)).mean())})
    return rows
