"""Whether rows without a named group look like checkpoints of the same runs.

Checkpoints of one run share its error. Resampled one by one they give intervals that cover a third to a half
of what they claim, so it must not pass in silence. Two things are looked at:

- Columns that were not read. Where one of them counts steps, by even amounts and along with the tokens, within rows
  that agree in their settings and in whatever else stays the same from row to row, those rows are one run (`trail_of`).
- The rows themselves: rows that agree in everything but the tokens seen. A sweep over sizes and durations has that
  structure too, so one piece of evidence more is asked for: a column of steps, tokens in even steps (at which
  checkpoints are saved; sweeps go by factors), or residuals that agree within a run far beyond chance. Where several
  runs of one size have checkpoints at the same tokens, only even steps can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import Notice, Severity
from isoloss.runs.table import Table, as_numbers

if TYPE_CHECKING:
    from isoloss.runs.object import Runs

__all__ = [
    "Checkpoints",
    "alike_within_groups",
    "checkpoints_notice",
    "looks_like_checkpoints",
    "same_rows",
    "trail_of",
]

F64 = NDArray[np.float64]
Codes = NDArray[np.int64]

_STEPS = ("step", "steps", "iteration", "iterations", "iter", "checkpoint", "tokens_seen", "train_step", "global_step")
_ALONG = ("D", "C", "loss", "weight", "trials", "U", "S")
_LEAST_ROWS = 3
_EVEN_ROWS = 4
_EVEN = 0.02  # relative spread of the steps between tokens
_LADDER_ROWS = 8  # values of a ladder that several runs climb
_MOSTLY = 0.8  # share of its steps that recur: each run may end off the ladder
_RECURS, _OFTEN = 3, 0.05  # steps of one size, in number and as a share, that are a size which recurs
_HALF = 0.5
_SCHEDULED = 0.9  # share of different learning rates
_LIKENESS = 6.0  # standard deviations of the between-run mean square beyond its expectation
_MOST_ROWS = 200_000  # rows beyond which nothing is looked for


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
        Without groups; else None comes back.
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
    if runs.group is not None or runs.n > _MOST_ROWS:
        return None
    by = "N" if "N" in runs.columns else next((name for name in runs.names if name not in _ALONG), "")
    if runs.trail is not None:
        sizes = np.bincount(runs.trail)
        long = sizes[sizes >= _LEAST_ROWS]
        if len(long) and 2 * long.sum() >= runs.n:
            rows, count = int(long.sum()), len(long)
            why = f"{_like(rows, count)}, along a column of steps that was not read"
            return Checkpoints(runs=count, rows=rows, by=by, evidence="unread steps", why=why)
    steps = next((name for name in runs.names if name == "S" or name.lower() in _STEPS), None)
    along = "D" if "D" in runs.columns else steps
    if along is None:
        return None
    same = _settings(runs, steps)
    if not same:
        return None
    walk = runs.columns[along]
    members = [rows for rows in _members(same_rows(same)) if len(rows) >= _LEAST_ROWS]
    single = [rows for rows in members if len(np.unique(walk[rows])) == len(rows)]
    found = _evidence(runs, steps, walk, single, residual)
    if found is not None:
        rows, count = sum(map(len, single)), len(single)
        if 2 * rows >= runs.n:
            like = _like(rows, count)
            why = {
                "steps": f"{like}, along column {steps!r}",
                "even steps": f"{like}, which differ in tokens alone and by even steps",
                "residuals": f"{like}, which differ in tokens alone and whose errors are alike (or the law is off)",
            }[found]
            return Checkpoints(runs=count, rows=rows, by=by, evidence=found, why=why)
    return _shared_ladders(runs, walk, members, by)


def alike_within_groups(runs: Runs, residual: F64) -> Checkpoints | None:
    """Whether rows of the groups that were named err together, so that they are not to be resampled one by one.

    Parameters
    ----------
    runs : Runs
        With groups.
    residual : (n,) float64
        Of a fit; NaN where a row does not count.
    """
    if runs.group is None:
        return None
    members = [rows for rows in _members(np.unique(runs.group, return_inverse=True)[1].ravel()) if len(rows) > 1]
    if not _alike(residual, members):
        return None
    rows = sum(map(len, members))
    why = f"{rows:,} rows belong to {len(members):,} groups whose errors are alike"
    return Checkpoints(runs=len(members), rows=rows, by="group", evidence="residuals", why=why)


def checkpoints_notice(found: Checkpoints, severity: Severity) -> Notice:
    """The notice about rows that look like checkpoints."""
    advice = f"name the run of each row by read(..., group=...), or try by={found.by!r}"
    if found.by == "group":
        advice = "resample by groups, as is done without by="
    message = (
        f"{found.why}: rows taken one by one are too much alike, and their spread is no confidence interval; {advice}"
    )
    details = {"runs": found.runs, "rows": found.rows, "evidence": found.evidence}
    return Notice(code="checkpoints-as-runs", severity=severity, message=message, details=details)


def same_rows(columns: Sequence[F64]) -> Codes:
    """(n,) number of the set of rows that agree in all columns, from 0 up.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.runs.checkpoints import same_rows
    >>> same_rows([np.array([1.0, 2.0, 1.0]), np.array([5.0, 5.0, 5.0])]).tolist()
    [0, 1, 0]
    """
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        _, rank = np.unique(column, return_inverse=True)
        _, codes = np.unique(codes * (int(rank.max()) + 1) + rank.ravel(), return_inverse=True)
    return codes.ravel().astype(np.int64)


def _settings(runs: Runs, steps: str | None) -> list[F64]:
    """The columns that a run keeps; a learning rate that is another in nearly every row is the schedule's."""
    found = []
    for name, column in runs.columns.items():
        if name in _ALONG or name == steps:
            continue
        if name == "lr" and len(np.unique(column)) > _SCHEDULED * runs.n:
            continue
        found.append(column)
    return found


def _like(rows: int, count: int) -> str:
    return f"{rows:,} rows look like checkpoints of {count:,} runs"


def _members(codes: Codes) -> list[NDArray[np.intp]]:
    """The rows of each set."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


# Evidence among the rows ---------------------------------------------------------------------------------------------


def _evidence(
    runs: Runs, steps: str | None, walk: F64, members: list[NDArray[np.intp]], residual: F64 | None
) -> str | None:
    """What more than equal settings speaks for one run each, where no value of the walk occurs twice."""
    if not members:
        return None
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


def _shared_ladders(runs: Runs, walk: F64, members: list[NDArray[np.intp]], by: str) -> Checkpoints | None:
    """Several runs of the same settings that climb one ladder of tokens: other columns would tell them apart."""
    climbing = [rows for rows in members if _ladder(walk[rows]) >= _MOSTLY]
    rows = sum(map(len, climbing))
    if 2 * rows < runs.n or not climbing:
        return None
    # At the value that most of them passed every run stands once.
    count = sum(int(np.unique(walk[part], return_counts=True)[1].max()) for part in climbing)
    why = f"{_like(rows, count)} or more, whose tokens go by the same even steps"
    return Checkpoints(runs=count, rows=rows, by=by, evidence="even steps", why=why)


def _ladder(values: F64, least: int = _LADDER_ROWS) -> float:
    """The share of the steps between the distinct values whose size recurs; zero for few values."""
    at = np.unique(values)
    if len(at) < least:
        return 0.0
    step = np.sort(np.diff(at))
    near = np.searchsorted(step, step * (1.0 + _EVEN), "right") - np.searchsorted(step, step * (1.0 - _EVEN), "left")
    return float(np.mean(near >= max(_RECURS, _OFTEN * len(step))))


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


# Columns that were not read ------------------------------------------------------------------------------------------


def trail_of(table: Table, taken: Sequence[str], columns: Mapping[str, F64], kept: NDArray[np.bool_]) -> Codes | None:
    """The run of each row as unread columns tell it, or None where they tell of no checkpoints.

    Parameters
    ----------
    table : Table
    taken : sequence of str
        Columns of the source that have a role.
    columns : mapping of str to (n,) float64
        What was read, of the rows in use.
    kept : (rows of the source,) bool
        Rows in use.
    """
    unread = [name for name in table.names if name not in taken]
    name = next((one for one in unread if one.lower() in _STEPS), None)
    n = int(kept.sum())
    if name is None or n > _MOST_ROWS or n < _EVEN_ROWS:
        return None
    raw = {one: [cell for cell, keep in zip(cells, kept, strict=True) if keep]
           for one, cells in table.select(unread).items()}  # fmt: skip
    step, bad = as_numbers(raw.pop(name), suffixes=False)
    if bad:
        return None
    same = [columns["N"]] if "N" in columns else []
    labels = [column for role, column in columns.items() if role not in (*_ALONG, "N")]
    for cells in raw.values():
        label = np.unique([str(cell) for cell in cells], return_inverse=True)[1].ravel()
        if label.max() + 1 == n and as_numbers(cells, suffixes=False)[1]:
            return None  # every row has a name of its own: these are runs
        labels.append(label.astype(np.float64))
    # What stays the same from one row to the next belongs to a run; what changes all along goes with its progress.
    same += [label for label in labels if np.mean(label[1:] == label[:-1]) >= _HALF]
    codes = same_rows(same) if same else np.zeros(n, dtype=np.int64)
    walk = columns.get("D", step)
    long = [rows for rows in _members(codes) if len(rows) >= _LEAST_ROWS]
    climbing = [rows for rows in long if _climbs(step[rows], walk[rows])]
    ladders = [rows for rows in climbing if _ladder(step[rows], _EVEN_ROWS) >= _HALF]
    if 2 * sum(map(len, climbing)) < n or 2 * len(ladders) < len(climbing):
        return None
    trail = np.arange(n, dtype=np.int64) + codes.max() + 1  # the rest are runs of their own
    for rows in climbing:
        trail[rows] = codes[rows]
    return np.unique(trail, return_inverse=True)[1].ravel().astype(np.int64)


def _climbs(step: F64, walk: Any) -> bool:
    """Whether tokens grow wherever steps do."""
    order = np.argsort(step, kind="stable")
    return bool(np.all(np.diff(step[order]) > 0.0) and np.all(np.diff(walk[order]) > 0.0))
