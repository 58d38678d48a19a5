"""Losses that contradict one another before any law is fitted: of equal settings, and against size and data.

Seeds scatter by a per cent or two; runs of equal settings whose losses differ by far more were set apart by something
that was not read, or are losses of two kinds. And a run of more parameters and more tokens than another has the lower
loss, if not for noise, repeated data or divergence: where one ends far above many smaller runs, or below many larger
ones, it is the odd one out. Neither looks at learning rates: sweeps over these have diverged runs, which are counted.

A law of N and D knows no learning rate. Of a sweep over that it would describe some run between the best and the
diverged ones; what is meant is the `lowest` loss at each N and D, and `unlike` tells where that was not taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import Notice
from isoloss.units import format_number

if TYPE_CHECKING:
    from isoloss.runs.object import Runs

__all__ = ["disagreeing", "lowest", "out_of_order", "unlike"]

F64 = NDArray[np.float64]

_APART = 0.05  # difference of ln loss between equal settings that no seed makes
_ABOVE = 0.4  # of ln loss, of a larger run over a smaller one
_MOST_RUNS = 3_000  # whose pairs are looked at
_MOST_ODD = 0.1  # share of runs that can be odd ones out
_NAMED = 3
_MOST_ROWS = 1_000_000  # that are sorted into settings
_TUNED = ("N", "D", "lr", "batch")  # what a law may leave out and losses yet depend on
_OUTCOMES = ("loss", "weight", "trials")


def disagreeing(runs: Runs) -> list[Notice]:
    """Runs that share all that was read of their settings, and yet end far apart.

    Parameters
    ----------
    runs : Runs

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss.runs.order import disagreeing
    >>> runs = iso.read({"N": [1e8, 1e8, 1e9, 1e9], "D": [2e9, 2e9, 2e10, 2e10], "loss": [3.2, 1.6, 2.6, 1.3]})
    >>> disagreeing(runs)[0].details["settings"]
    2
    """
    settings = [name for name in runs.names if name not in _OUTCOMES]
    if not settings or "loss" not in runs or not np.all(runs["loss"] > 0.0):
        return []
    _, cell, counts = np.unique(
        np.column_stack([runs[name] for name in settings]), axis=0, return_inverse=True, return_counts=True
    )
    cell, ln = cell.ravel(), np.log(runs["loss"])
    away = ln - (np.bincount(cell, weights=ln) / counts)[cell]
    several = counts > 1
    scatter = np.sqrt(np.bincount(cell, weights=away**2)[several] / (counts[several] - 1))
    apart = float(np.sqrt(2.0) * np.median(scatter)) if len(scatter) else 0.0  # of two such runs
    if apart <= _APART:
        return []
    factor = float(np.exp(apart))
    message = (
        f"runs of equal {', '.join(name for name in settings if name != 'C') or 'C'} end apart by a factor of "
        f"{format_number(factor, 3)}, the median of {len(scatter)} such settings: something that was not read sets "
        "them apart, or they are losses of two kinds"
    )
    details = {"settings": len(scatter), "factor": factor}
    return [Notice(code="repeats-disagree", severity="serious", message=message, details=details)]


def out_of_order(runs: Runs) -> list[Notice]:
    """The few runs that end far above smaller ones, or below larger ones, where all others are in order.

    Parameters
    ----------
    runs : Runs

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss.runs.order import out_of_order
    >>> table = iso.simulate.sweep(settings=1, seed=0)
    >>> table["loss"][40] = 9.5
    >>> out_of_order(iso.read(table))[0].details["rows"]
    [40]
    """
    if not {"N", "D", "loss"} <= set(runs.names) or runs.n > _MOST_RUNS or not np.all(runs["loss"] > 0.0):
        return []
    N, D, ln = runs["N"], runs["D"], np.log(runs["loss"])
    larger = (N[:, None] >= N[None, :]) & (D[:, None] >= D[None, :])
    wrong: NDArray[np.bool_] = larger & (ln[:, None] - ln[None, :] > _ABOVE) & ~larger.T
    wrong |= wrong.T
    odd: list[int] = []
    contradicted = wrong.sum(axis=1)
    # The run in most contradictions goes first, until none is left.
    while contradicted.max() > 0:
        worst = int(np.argmax(contradicted))
        odd.append(worst)
        if len(odd) > max(1.0, _MOST_ODD * runs.n):
            return []
        contradicted -= wrong[worst]
        contradicted[worst] = 0
        wrong[worst, :] = wrong[:, worst] = False
    if not odd:
        return []
    shown = ", ".join(f"row {row} (loss {format_number(float(runs['loss'][row]), 4)})" for row in odd[:_NAMED])
    more = f", and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
    message = f"out of line with runs of fewer or of more parameters and tokens: {shown}{more}"
    return [Notice(code="gross-outlier", severity="warning", message=message, details={"rows": odd})]


def lowest(settings: Sequence[F64], loss: F64) -> NDArray[np.bool_]:
    """Whether each run has the lowest loss of its setting, the first of equals.

    Parameters
    ----------
    settings : sequence of (n,) ndarray of float64
        Columns that make up a setting.
    loss : (n,) ndarray of float64
    """
    order = np.lexsort([loss, *settings])
    first = np.zeros(len(loss), dtype=bool)
    first[order[_starts(settings, order)]] = True
    return first


def unlike(runs: Runs, variables: Iterable[str], rows: NDArray[np.intp]) -> list[Notice]:
    """Runs that a law takes for one, though they were set otherwise and end apart.

    Parameters
    ----------
    runs : Runs
    variables : iterable of str
        The law's own; what else was set is looked for in N, D, lr and batch.
    rows : (n,) ndarray of int
        What the runs are called.

    Examples
    --------
    >>> import numpy as np
    >>> import isoloss as iso
    >>> from isoloss.runs.order import unlike
    >>> runs = iso.read({"N": [1e8, 1e8, 4e8], "lr": [1e-3, 2e-2, 1e-3], "loss": [3.2, 4.1, 2.8]})
    >>> unlike(runs, ["N"], np.arange(3))[0].details["rows"]
    [0, 1]
    """
    known = [name for name in runs.names if name in set(variables)]
    others = [name for name in _TUNED if name in runs and name not in known]
    if not known or not others or runs.n > _MOST_ROWS or not np.all(runs["loss"] > 0.0):
        return []
    settings, ln = [runs[name] for name in known], np.log(runs["loss"])
    order = np.lexsort([ln, *settings])
    starts = _starts(settings, order)
    ends = np.append(starts[1:], runs.n) - 1
    apart = ln[order[ends]] - ln[order[starts]]
    varied = [
        name
        for name in others
        if np.any(np.maximum.reduceat(runs[name][order], starts) > np.minimum.reduceat(runs[name][order], starts))
    ]
    worst = int(np.argmax(apart))
    if not varied or apart[worst] <= _APART:
        return []
    low, high = order[starts[worst]], order[ends[worst]]
    named = ", ".join(known)
    message = (
        f"runs of equal {named} differ in {', '.join(varied)}, which the law leaves out, and in loss, as "
        f"row {rows[low]} ({format_number(float(runs['loss'][low]), 4)}) and row {rows[high]} "
        f"({format_number(float(runs['loss'][high]), 4)}): a law of {named} is about the best run of each"
    )
    details = {
        "varied": varied,
        "settings": len(starts),
        "factor": float(np.exp(apart[worst])),
        "rows": [int(rows[low]), int(rows[high])],
    }
    return [Notice(code="tuning-varies", severity="warning", message=message, details=details)]


def _starts(settings: Sequence[F64], order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where each setting starts in runs that are in order of settings."""
    new = np.zeros(len(order), dtype=bool)
    new[0] = True
    for column in settings:
        sorted_column = column[order]
        new[1:] |= sorted_column[1:] != sorted_column[:-1]
    return np.flatnonzero(new)
