"""One warm-started fit in a batch of bootstrap draws, beside the usual optimisers, on one core.

All methods start from the optimum of the full data, fit the same resamples, and are judged by one function: a fit
counts as found when its objective is within 1e-6 of the best that any of them reached on that draw. CPU time per fit.
"""

import time

import numpy as np
from common import (
    CLOSE,
    Bar,
    Case,
    Report,
    Spread,
    Table,
    case,
    main,
    percent,
    ratio,
    rounds,
    spread_starts,
    to_log,
)
from peers import load

OBJECTIVES = ((1e-3, "Huber 1e-3 on log loss", 8.0), (0.0, "least squares on log loss", 4.0))
# The methods that the bar compares with; the rest of the table is context.
BEST_OF = ("JAX", "Optimistix", "Numba LM", "Ceres")


def best_values(given: Case):
    """(draws,) the least objective that isoloss finds from the warm and three far starts, and isoloss's warm values."""
    draws = np.arange(len(given.counts))
    starts = spread_starts(given.warm)
    solved = given.solve(np.tile(starts, (len(draws), 1)), np.repeat(draws, len(starts)))
    values = [given.value(to_log(solved.params[k :: len(starts)]), given.counts) for k in range(len(starts))]
    return np.minimum.reduce(values), values[0]


def compare(delta: float, title: str, limit: float, quick: bool) -> Report:
    given = case(delta)
    peers, absent = load(given, quick)
    draws = np.arange(len(given.counts))
    warm = np.repeat(given.warm[None, :], len(draws), axis=0)
    jobs = {"isoloss": lambda: given.solve(warm, draws)}
    found = {}
    for peer in peers:
        starts = np.repeat(given.start[None, :], peer.count, axis=0)
        found[peer.name] = peer.fit(starts, given.counts[: peer.count])  # once untimed: compiles and warms up
        jobs[peer.name] = lambda peer=peer, starts=starts: peer.fit(starts, given.counts[: peer.count])
    best, own = best_values(given)
    values = {name: given.value(x, given.counts[: len(x)]) for name, x in found.items()}
    for value in values.values():
        best[: len(value)] = np.minimum(best[: len(value)], value)
    values["isoloss"] = own
    jobs["isoloss"]()
    seconds = rounds(jobs, 3 if quick else 7, time.process_time)
    each = {name: [1e6 * s / len(values[name]) for s in seconds[name]] for name in jobs}
    share = {name: float(np.mean(value <= best[: len(value)] * (1.0 + CLOSE))) for name, value in values.items()}
    ratios = {name: ratio(each[name], each["isoloss"]) for name in jobs}
    order = sorted(jobs, key=lambda name: ratios[name].median)
    table = Table(
        f"One warm-started fit, {title}, {len(given.data.loss)} points, one core",
        ("method", "CPU µs per fit", "within 1e-6 of the best", "times isoloss"),
        [
            (
                name,
                Spread.of(each[name]).show(),
                percent(share[name]),
                "1" if name == "isoloss" else ratios[name].show(),
            )
            for name in order
        ],
    )
    us = Spread.of(each["isoloss"])
    bars = [
        Bar(f"one warm-started fit in a batch, {title}", us.show(" µs per core"), f"≤ {limit:g} µs", us.median <= limit)
    ]
    at_least = {
        "SciPy BFGS": (300.0, [name for name in ratios if name.startswith("SciPy BFGS")]),
        "the best of them": (30.0, [name for name in ratios if name.startswith(BEST_OF)]),
    }
    for label, (factor, names) in at_least.items():
        if names:
            rival = min(names, key=lambda name: ratios[name].median)
            shown = rival if label == "the best of them" else label
            both = f"{percent(share[rival])} found; isoloss {percent(share['isoloss'])}"
            bars.append(
                Bar(
                    f"… beside {shown.split(',')[0]} ({both})",
                    ratios[rival].show("×"),
                    f"≥ {factor:g}×",
                    ratios[rival].median >= factor and share["isoloss"] >= share[rival],
                )
            )
    return Report(title, bars, [table], [f"left out: {reason}" for reason in absent])


def run(quick: bool = False) -> Report:
    parts = [compare(delta, title, limit, quick) for delta, title, limit in OBJECTIVES]
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    return Report(
        "Warm-started fits",
        [bar for part in parts for bar in part.bars],
        [table for part in parts for table in part.tables],
        notes,
    )


if __name__ == "__main__":
    main(run)
