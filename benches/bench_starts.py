"""Hoffmann's 4,500 starts on the full data, Huber 1e-3 on log loss: who reaches the best optimum, and how fast.

SciPy runs on a sample of the starts, both as published (L-BFGS-B, differences for slopes, the plain sum) and at its
best (BFGS, analytic gradient, the objective scaled).
"""

import time

import numpy as np
from common import (
    CLOSE,
    Bar,
    MissingError,
    Report,
    Spread,
    Table,
    case,
    hoffmann_starts,
    main,
    percent,
    ratio,
    rounds,
    to_log,
)  # fmt: skip


def contenders(given, quick: bool):
    """(name, number of starts, fit) of each peer that is installed."""
    count = 20 if quick else 100
    found, absent = [], []
    try:
        from peers import scipy_peers

        found += [
            ("SciPy L-BFGS-B, finite differences", count, scipy_peers.published(given)),
            ("SciPy BFGS, analytic gradient", 2 * count, scipy_peers.bfgs(given)),
        ]
    except ImportError:
        absent.append("SciPy: not installed")
    for module, pick in (("numba_lm", "Numba LM"), ("ceres", "Ceres")):
        try:
            peers = getattr(__import__(f"peers.{module}"), module).peers(given, quick)
            found += [(peer.name, 5 * count, peer.fit) for peer in peers if peer.name.startswith(pick)]
        except (ImportError, MissingError) as reason:
            absent.append(f"{pick}: {reason}")
    return found, absent


def run(quick: bool = False) -> Report:
    given = case(1e-3, draws=1)
    starts = hoffmann_starts()
    ones = np.ones((1, len(given.data.loss)))
    none = np.zeros(len(starts), dtype=np.int64)

    def solve(threads: int):
        return given.problem.solve(starts, weights=ones, weight_index=none, threads=threads)

    peers, absent = contenders(given, quick)
    chosen = np.random.default_rng(0).permutation(len(starts))
    jobs = {"isoloss": lambda: solve(1)}
    found = {"isoloss": to_log(solve(0).params)}
    for name, count, fit in peers:
        some = to_log(starts[chosen[:count]])
        weights = np.repeat(ones, count, axis=0)
        found[name] = fit(some, weights)
        jobs[name] = lambda fit=fit, some=some, weights=weights: fit(some, weights)
    values = {name: given.value(x, ones) for name, x in found.items()}
    best = min(float(value.min()) for value in values.values())
    share = {name: float(np.mean(value <= best * (1.0 + CLOSE))) for name, value in values.items()}
    seconds = rounds(jobs, 2 if quick else 5, time.process_time)
    each = {name: [1e6 * s / len(found[name]) for s in seconds[name]] for name in jobs}
    wall = Spread.of(rounds({"": lambda: solve(0)}, 3 if quick else 9, time.perf_counter)[""])
    ratios = {name: ratio(each[name], each["isoloss"]) for name in jobs}
    rows = [
        (name, Spread.of(each[name]).show(), percent(share[name]), "1" if name == "isoloss" else ratios[name].show())
        for name in sorted(jobs, key=lambda name: ratios[name].median)
    ]
    bars = [
        Bar("Hoffmann's 4,500 starts: share within 1e-6 of the best", percent(share["isoloss"]), "≥ 99 %",
            share["isoloss"] >= 0.99),
        Bar("… all of them, all cores", wall.show(" s"), "≤ 0.2 s", wall.median <= 0.2),
    ]  # fmt: skip
    published = "SciPy L-BFGS-B, finite differences"
    if published in ratios:
        bars.append(Bar(f"… per start, beside the published {published} ({percent(share[published])} found)",
                        ratios[published].show("×")))  # fmt: skip
    table = Table("Cold starts, Huber 1e-3 on log loss, one core",
                  ("method", "CPU µs per start", "within 1e-6 of the best", "times isoloss"), rows)  # fmt: skip
    return Report("Hoffmann's starts", bars, [table], [f"left out: {reason}" for reason in absent])


if __name__ == "__main__":
    main(run)
