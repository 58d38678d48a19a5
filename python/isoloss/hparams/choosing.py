"""Which runs are near enough: the threshold is chosen by leaving one cell out at a time.

The one whose prediction for the cell left out costs least is taken. What a prediction costs there is the mean excess of
that cell's runs around it, a run one step of the grid away counting half.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.errors import DataError
from isoloss.hparams.settle import settle
from isoloss.hparams.shape import SHARED, Choice, Shape
from isoloss.hparams.sweep import Sweep
from isoloss.objective import Objective

__all__ = ["THRESHOLDS", "choose", "costs_left_out", "options_of"]

THRESHOLDS = (0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05)


def candidates(sweep: Sweep, fixed: tuple[str, ...], thresholds: tuple[float, ...]) -> list[float]:
    """Thresholds below which there are runs enough to tell the surface."""
    free = len(SHARED) - len(fixed)
    found = []
    for threshold in thresholds:
        kept = sweep.cell[(sweep.excess <= threshold) & ~sweep.diverged]
        # Half of the cells with at least four runs, and in all more runs than there are parameters, with some to spare.
        counts = np.bincount(kept, minlength=sweep.cells)
        if np.median(counts) >= 4 and len(kept) >= 1.25 * (sweep.cells + free):
            found.append(threshold)
    return found


def costs_left_out(
    sweep: Sweep, left_out: NDArray[np.intp], shapes: Shape, steps: tuple[float, float] | None = None
) -> F64:
    """Mean excess of the runs around each prediction for a cell that was left out.

    Parameters
    ----------
    sweep : Sweep
    left_out : (B,) int
        Cell that each set of parameters did not see.
    shapes : Shape
        (B, 10).
    steps : (float, float), optional
        Distances in ln lr and ln batch at which a run counts half; by default the steps of the sweep's grid.

    Returns
    -------
    (B,) float64
    """
    steps = sweep.spacing() if steps is None else steps
    scale = np.array([step if np.isfinite(step) else 1.0 for step in steps])
    out = np.empty(len(left_out))
    for c in np.unique(left_out):
        mine, rows = np.flatnonzero(left_out == c), sweep.rows(int(c))
        at = Shape(values=shapes.values[mine], pivot=shapes.pivot).optimum(sweep.N[c], sweep.D[c])
        far = ((sweep.ln_lr[rows] - at[0][:, None]) / scale[0]) ** 2
        far += ((sweep.ln_batch[rows] - at[1][:, None]) / scale[1]) ** 2
        share = np.exp2(far.min(axis=1, keepdims=True) - far)
        limit = np.minimum(sweep.excess[rows], 1.0)
        out[mine] = share @ limit / share.sum(axis=1)
    return out


def choose(
    sweep: Sweep, options: list[Choice], fixed: tuple[str, ...], n_threads: int | None
) -> tuple[Choice, dict[Choice, float]]:
    """The option whose predictions for cells left out cost least, and the cost of each (mean over the cells).

    Options come by ascending threshold; once the cost has risen twice in a row, wider ones are not tried.
    """
    cells = np.arange(sweep.cells)
    found: dict[Choice, float] = {}
    for option in options:
        try:
            settled = settle(sweep, option, fixed, n_threads)
        except DataError:  # no surface at this threshold; another one may have it
            continue
        posed = settled.posed
        mask = (posed.cell[None, :] != cells[:, None]).astype(np.float64)
        values, ok, _, _ = posed.solve(option, fixed, mask, settled.start_in(posed), n_threads)
        cost = costs_left_out(sweep, cells, Shape(values=values, pivot=posed.pivot))
        found[option] = float(np.where(ok, cost, 1.0).mean())
        costs = list(found.values())
        if len(costs) > 2 and costs[-1] > costs[-2] > costs[-3]:
            break
    if not found:
        message = "no surface fits these runs at any threshold"
        raise DataError(message, code="hparams-too-few-runs", runs=sweep.runs.n, cells=sweep.cells)
    return min(found, key=lambda option: found[option]), found


def options_of(
    sweep: Sweep,
    fixed: tuple[str, ...],
    *,
    threshold: float | None,
    batch_size_law: str,
    asymmetric: bool,
    objective: Objective,
) -> list[Choice]:
    """What is to be chosen from, as far as the caller leaves it open."""
    given = candidates(sweep, fixed, THRESHOLDS if threshold is None else (threshold,))
    if not given:
        counts = np.bincount(sweep.cell, minlength=sweep.cells)
        message = (
            f"{sweep.runs.n} runs in {sweep.cells} cells (median {np.median(counts):g} a cell) cannot determine a "
            "surface over learning rate and batch; it takes at least four runs near the best of most cells"
        )
        raise DataError(message, code="hparams-too-few-runs", runs=sweep.runs.n, cells=sweep.cells)
    on = "D" if "batch_N" in fixed else batch_size_law
    return [Choice(threshold=limit, batch_size_law=on, asymmetric=asymmetric, objective=objective) for limit in given]
