"""Hoffmann's 4,500 starts on the full data, Huber 1e-3 on log loss: who reaches the best optimum, and how fast.

The others run on samples of the starts; SciPy both as published (L-BFGS-B, differences for slopes, the plain sum) and
at its best (BFGS, analytic gradient, the objective scaled).
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
    hoffmann_starts,
    main,
    percent,
    ratio,
    rounds,
    to_log,
)
from peers import Peer, load

PUBLISHED = "SciPy L-BFGS-B, finite differences"


def contenders(given: Case, quick: bool) -> tuple[list[Peer], list[str]]:
    """The peers that are installed; batches in JAX take long to compile and are left to the full run."""
    names = ["scipy_peers", "numba_lm", "ceres", *([] if quick else ["jax_lm", "optimistix_vmap"])]
    found, absent = load(given, quick, names)
    count = 20 if quick else 100
    slow = [Peer(peer.name, 2 * count, peer.fit) for peer in found if peer.name.startswith("SciPy BFGS")]
    if slow:
        from peers.scipy_peers import published

        slow.append(Peer(PUBLISHED, count, published(given)))
    fast = [Peer(peer.name, 256 if "vmap" in peer.name else 5 * count, peer.fit) for peer in found
            if not peer.name.startswith("SciPy") and "method" not in peer.name]  # fmt: skip
    return slow + fast, absent


def run(quick: bool = False) -> Report:
    given = case(1e-3, draws=1)
    starts = hoffmann_starts()
    ones = np.ones((1, len(given.data.loss)))
    none = np.zeros(len(starts), dtype=np.int64)

    def solve(threads: int | None):
        return given.problem.solve(starts, weights=ones, weight_index=none, threads=threads)

    peers, absent = contenders(given, quick)
    chosen = np.random.default_rng(0).permutation(len(starts))
    jobs = {"isoloss": lambda: solve(1)}
    found = {"isoloss": to_log(solve(None).params)}
    for peer in peers:
        name, count, fit = peer.name, peer.count, peer.fit
        some = to_log(starts[chosen[:count]])
        weights = np.repeat(ones, count, axis=0)
        found[name] = fit(some, weights)
        jobs[name] = lambda fit=fit, some=some, weights=weights: fit(some, weights)
    values = {name: given.value(x, ones) for name, x in found.items()}
    best = min(float(value.min()) for value in values.values())
    share = {name: float(np.mean(value <= best * (1.0 + CLOSE))) for name, value in values.items()}
    seconds = rounds(jobs, 2 if quick else 5, time.process_time)
    each = {name: [1e6 * s / len(found[name]) for s in seconds[name]] for name in jobs}
    wall = Spread.of(rounds({"": lambda: solve(None)}, 3 if quick else 9, time.perf_counter)[""])
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
    if PUBLISHED in ratios:
        bars.append(Bar(f"… per start, beside the published {PUBLISHED} ({percent(share[PUBLISHED])} found)",
                        ratios[PUBLISHED].show("×")))  # fmt: skip
    table = Table("Cold starts, Huber 1e-3 on log loss, one core",
                  ("method", "CPU µs per start", "within 1e-6 of the best", "times isoloss"), rows)  # fmt: skip
    return Report("Hoffmann's starts", bars, [table], [f"left out: {reason}" for reason in absent])


if __name__ == "__main__":
    main(run)
