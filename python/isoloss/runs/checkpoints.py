"""Whether rows without a named group look like checkpoints of the same runs.

Checkpoints of one run share its error. Resampled one by one they give intervals that cover a third to a half
of what they claim, so it must not pass in silence. The structure is rows that agree in everything but the
tokens seen. A sweep over sizes and durations has it too, so one piece of evidence more is asked for: a column of steps,
tokens in even steps (at which checkpoints are saved; sweeps go by factors), or residuals that agree within a run far
beyond chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.runs.reading import Runs

__all__ = ["Checkpoints", "looks_like_checkpoints"]

_STEPS = ("step", "steps", "iteration", "iterations", "iter", "checkpoint", "tokens_seen", "train_step", "global_step")
_ALONG = ("D", "C", "loss", "weight", "trials", "U", "S")
_LEAST_ROWS = 3
_EVEN_ROWS = 4
_EVEN = 0.02  # relative spread of the steps between tokens
_LIKENESS = 6.0  # standard deviations of the between-run mean square beyond its expectation


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """What was found: how many runs and rows, by which column to group, and why."""

    runs: int
    rows: int
    by: str
    evidence: str
    why: str


def looks_like_checkpoints(runs: Runs, residual: F64 | None = None) -> Checkpoints | None:
    """What speaks for checkpoints among these rows; None if nothing does.

    Parameters
    ----------
    runs : Runs
        Without groups.
    residual : (n,) float64, optional
        Of a fit; NaN where a row does not count.

    Examples
    --------
    >>> import numpy as np
    >>> import isoloss as iso
    >>> from isoloss.runs.checkpoints import looks_like_checkpoints
    >>> N, D = np.repeat([1e8, 1e9], 5), np.tile(np.arange(1, 6) * 2e9, 2)
    >>> found = looks_like_checkpoints(iso.read({"N": N, "D": D, "loss": 2 + 1e3 / D**0.3}))
    >>> found.runs, found.rows, found.evidence
    (2, 10, 'even steps')
    """
    steps = next((name for name in runs.names if name.lower() in _STEPS), None)
    along = "D" if "D" in runs.columns else steps
    if along is None:
        return None
    same = [column for name, column in runs.columns.items() if name not in _ALONG and name != steps]
    if not same:
        return None
    _, codes = np.unique(np.column_stack(same), axis=0, return_inverse=True)
    codes = codes.ravel()
    walk = runs.columns[along]
    members = [rows for code in range(codes.max() + 1) if len(rows := np.flatnonzero(codes == code)) >= _LEAST_ROWS]
    members = [rows for rows in members if len(np.unique(walk[rows])) == len(rows)]
    count = int(sum(map(len, members)))
    if not members or 2 * count < runs.n:
        return None
    evidence = _evidence(runs, steps, walk, members, residual)
    if evidence is None:
        return None
    like = f"{count:,} rows look like checkpoints of {len(members):,} runs"
    why = {
        "steps": f"{like}, along column {steps!r}",
        "even steps": f"{like}, which differ in tokens alone and by even steps",
        "residuals": f"{like}, which differ in tokens alone and whose errors are alike",
    }[evidence]
    by = "N" if "N" in runs.columns else next(name for name in runs.names if name not in _ALONG)
    return Checkpoints(runs=len(members), rows=count, by=by, evidence=evidence, why=why)


def _evidence(
    runs: Runs, steps: str | None, walk: F64, members: list[NDArray[np.intp]], residual: F64 | None
) -> str | None:
    if steps is not None:
        column = runs.columns[steps]
        if all(np.all(np.diff(column[rows[np.argsort(walk[rows])]]) > 0.0) for rows in members):
            return "steps"
    long = [np.sort(walk[rows]) for rows in members if len(rows) >= _EVEN_ROWS]
    even = [at for at in long if np.ptp(np.diff(at)) <= _EVEN * np.max(np.diff(at))]
    if long and 2 * len(even) > len(long) and 2 * len(long) >= len(members):
        return "even steps"
    if residual is not None and len(members) >= 3 and _alike(residual, members):
        return "residuals"
    return None


def _alike(residual: F64, members: list[NDArray[np.intp]]) -> bool:
    """Whether residuals agree within runs far beyond chance, by an analysis of variance."""
    parts = [residual[rows][np.isfinite(residual[rows])] for rows in members]
    parts = [part for part in parts if len(part) >= 2]
    n, groups = sum(map(len, parts)), len(parts)
    if groups < 3 or n - groups < 3:
        return False
    everything = np.concatenate(parts)
    between = sum(len(part) * (part.mean() - everything.mean()) ** 2 for part in parts) / (groups - 1)
    within = sum(float(np.sum((part - part.mean()) ** 2)) for part in parts) / (n - groups)
    if within <= 0.0:
        return False
    # The variance ratio has mean one and about this spread when rows are independent.
    spread = np.sqrt(2.0 / (groups - 1) + 2.0 / (n - groups))
    return bool(between / within > 1.0 + _LIKENESS * spread)
