"""4,000 case-bootstrap draws, each from the warm start and three diverse ones, through the public API.

Then the check that the draws are optima: 30 SciPy restarts (BFGS, analytic gradient, the objective scaled) on sampled
draws, from points around the optimum and from Hoffmann's starts, and how many of them improve a draw by more than 1e-6.
"""

import time

import numpy as np
from common import (
    CLOSE,
    Bar,
    Report,
    Spread,
    case,
    hoffmann_starts,
    main,
    number,
    rounds,
    to_log,
)

import isoloss as iso

RESTARTS = 30


def run(quick: bool = False) -> Report:
    given = case(1e-3)
    data = given.data
    fit = iso.fit("chinchilla", {"N": data.N, "D": data.D, "loss": data.loss}, objective=iso.Huber(1e-3, space="log"))
    draws = fit.bootstrap(4000, seed=0, starts=3, method="case")
    seconds = Spread.of(
        rounds(
            {"": lambda: fit.bootstrap(4000, seed=0, starts=3, method="case")}, 3 if quick else 9, time.perf_counter
        )[""]
    )
    bars = [Bar("4,000 bootstrap draws, each from the warm and 3 diverse starts, all cores", seconds.show(" s"),
                "≤ 0.25 s", seconds.median <= 0.25)]  # fmt: skip
    notes = [f"warm start best in {100 * draws.won_by_start[0] / max(len(draws), 1):.2f} % of the draws"]
    try:
        from peers import scipy_peers
    except ImportError:
        return Report("Bootstrap", bars, [], [*notes, "left out: SciPy restarts: SciPy not installed"])
    rng = np.random.default_rng(1)
    sample = rng.choice(len(draws), 8 if quick else 100, replace=False)
    gains = []
    far = to_log(hoffmann_starts())
    solve = scipy_peers.bfgs(given)
    for k in sample:
        counts = given.counts[draws.index[k]]
        here = to_log(draws.params[k])
        near = here + rng.standard_normal((RESTARTS // 2, 5)) * np.array([0.1, 1.0, 0.1, 1.0, 0.1])
        starts = np.concatenate([near, far[rng.choice(len(far), RESTARTS - len(near), replace=False)]])
        found = given.value(solve(starts, np.repeat(counts[None, :], RESTARTS, axis=0)), counts).min()
        own = float(given.value(here, counts)[0])
        gains.append((own - float(found)) / own)
    improved = int(np.sum(np.array(gains) > CLOSE))
    bars.append(
        Bar(
            f"… draws that {RESTARTS} SciPy restarts improve by more than 1e-6, of {len(sample)} sampled",
            f"{improved} (largest gain {number(max(0.0, *gains), 2) if max(gains) > CLOSE else f'{max(gains):.0e}'})",
            "0",
            improved == 0,
        )
    )
    return Report("Bootstrap", bars, [], notes)


if __name__ == "__main__":
    main(run)
