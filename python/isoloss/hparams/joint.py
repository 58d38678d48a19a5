"""One surface for all cells of a sweep: the optimum moves by power laws, the shape around it is shared.

`shape` has the form. Everything is estimated at once by a robust fit to the logarithm of the loss, from the runs near
the optimum (`settle`); how near is chosen from the data (`choosing`). Draws are refits to resampled cells, not runs:
runs of one cell share its floor and its luck.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.engine.problem import F64
from isoloss.errors import DataError
from isoloss.hparams.choosing import choose, options_of
from isoloss.hparams.settle import Settled, settle
from isoloss.hparams.shape import ROBUST, SHARED, Choice, Joint, Shape
from isoloss.hparams.sweep import Sweep, free_powers
from isoloss.objective import Objective

__all__ = ["fit_joint", "undetermined"]

_PILOT = 100
"""Refits after which one looks whether more would tell anything."""
_MOST_CELLS = 240  # parameters that an expression can have, less the shared ones
_DEFAULT = 0.01


def fit_joint(
    sweep: Sweep,
    *,
    threshold: float | None = None,
    batch_size_law: str = "N, D",
    asymmetric: bool = True,
    objective: Objective | None = None,
    draws: int = 1000,
    seed: int = 0,
    n_threads: int | None = None,
) -> tuple[Joint, dict[Choice, float]]:
    """Fit the joint surface, and choose what is left open.

    Raises
    ------
    DataError
        ``hparams-too-few-runs``, ``hparams-too-many-cells``.
    """
    if sweep.cells > _MOST_CELLS:
        message = (
            f"the runs fall into {sweep.cells} cells of N and D, of which at most {_MOST_CELLS} can be fitted at once; "
            "a larger tolerance= joins sizes and token counts that nearly agree"
        )
        raise DataError(message, code="hparams-too-many-cells", cells=sweep.cells)
    fixed = free_powers(sweep.N, sweep.D)
    options = options_of(
        sweep,
        fixed,
        threshold=threshold,
        batch_size_law=batch_size_law,
        asymmetric=asymmetric,
        objective=ROBUST if objective is None else objective,
    )
    scores: dict[Choice, float] = {}
    exponents = 3 - len(fixed) // 2
    if len(options) == 1:
        choice = options[0]
    elif sweep.cells > exponents + 1:
        choice, scores = choose(sweep, options, fixed, n_threads)
    else:  # too few cells to leave one out
        choice = min(options, key=lambda option: abs(np.log(option.threshold / _DEFAULT)))
    settled = settle(sweep, choice, fixed, n_threads)
    posed, table = settled.posed, settled.table
    residual = table.law.core().evaluate(
        [posed.columns[name] for name in table.law.core().variables], settled.params[None, :]
    )[0]
    drawn, failed, made = _draws(sweep, settled, choice, fixed, draws, seed, n_threads)
    return (
        Joint(
            shape=settled.shape,
            draws=Shape(values=drawn, pivot=posed.pivot),
            failed=failed,
            requested=made,
            floor=np.exp(settled.floors),
            choice=choice,
            fixed=fixed,
            kept=posed.rows,
            kept_weights=posed.weights,
            rms=float(np.sqrt(np.average((residual - posed.target) ** 2, weights=posed.weights))),
            at_bound=tuple(settled.at_bound(SHARED)),
        ),
        scores,
    )


def _draws(
    sweep: Sweep,
    settled: Settled,
    choice: Choice,
    fixed: tuple[str, ...],
    draws: int,
    seed: int,
    n_threads: int | None,
) -> tuple[F64, int, int]:
    """(m, 10) refits to resampled cells, how many were left out, and how many were made.

    Refits end early where the first of them show that the runs do not determine the optimum: along a surface that is
    flat each goes its own long way, and more of them would say the same.
    """
    if draws == 0 or sweep.cells < 2:
        return np.empty((0, len(SHARED))), draws, draws
    posed = settled.posed
    counts = _core.resample_counts(seed, draws, np.arange(sweep.cells, dtype=np.int64), sweep.cells)

    def refits(counts: F64) -> tuple[F64, NDArray[np.bool_]]:
        values, ok, _, _ = posed.solve(choice, fixed, counts[:, posed.cell], settled.start_in(posed), n_threads)
        return values, ok

    values, ok = refits(counts[:_PILOT])
    flat = settled.at_bound({"a", "b"})
    if draws > _PILOT and (flat or undetermined(sweep, Shape(values=values[ok], pivot=posed.pivot))):
        counts = counts[:_PILOT]
    elif draws > _PILOT:
        more, fine = refits(counts[_PILOT:])
        values, ok = np.concatenate([values, more]), np.concatenate([ok, fine])
    # The exponents need cells in general position: as many directions of (1, ln N, ln D) as there are exponents.
    design = [np.ones(sweep.cells)]
    design += [
        np.log(column) - np.log(column).mean()
        for column, name in ((sweep.N, "lr_N"), (sweep.D, "lr_D"))
        if name not in fixed
    ]
    X = np.column_stack(design)
    gram = np.einsum("bc,ci,cj->bij", (counts > 0).astype(np.float64), X, X)
    enough = np.linalg.eigvalsh(gram)[:, 0] > 1e-3 * np.linalg.eigvalsh(X.T @ X)[0]
    kept = ok & enough
    return values[kept], int(len(counts) - kept.sum()), len(counts)


def undetermined(sweep: Sweep, draws: Shape) -> dict[str, tuple[float, float]]:
    """Of learning rate and batch those whose optimum the draws leave open, with 95 % of them in the middle cell.

    Open is what spreads, in half of the cells, over more than all settings that were tried.
    """
    found = {}
    if len(draws.values):
        optima = Shape(values=draws.values[:, None, :], pivot=draws.pivot).optimum(sweep.N, sweep.D)
        tried = (sweep.ln_lr, sweep.ln_batch)
        for name, places, settings in zip(("learning rate", "batch"), optima, tried, strict=True):
            low, high = np.quantile(places, [0.025, 0.975], axis=0)
            middle = np.argsort(high - low)[(len(low) - 1) // 2]
            if (high - low)[middle] > np.ptp(settings):
                found[name] = (float(np.exp(low[middle])), float(np.exp(high[middle])))
    return found
