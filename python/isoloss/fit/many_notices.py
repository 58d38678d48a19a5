"""Notices about a table of fits: which problems each code concerns, and a notice for each code. Private to `fit_many`.

They are made from the columns when asked for, so that a million fits pay nothing for them. What would need the
derivatives of every problem (``not-identified``, ``correlated-parameters``) or its residuals (``misfit``,
``gross-outlier``) is left to `isoloss.fit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.status import Status
from isoloss.errors import Notice
from isoloss.fit.judgement import FEW_AT_BEST, MANY_STARTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isoloss.engine.problem import F64
    from isoloss.errors import Severity
    from isoloss.fit.many_table import FitTable

__all__ = ["flagged", "notices", "rivals"]

Mask = NDArray[np.bool_]


def flagged(table: FitTable) -> dict[str, Mask]:
    """(B,) which problems each code concerns; codes that concern none are absent."""
    done, nothing = ~table.cancelled, np.zeros(len(table), dtype=np.bool_)
    found = {
        "interrupted": ~done,
        "fit-failed": done & ~table.success,
        "few-units": done & (table.points <= table.free) if table.free else nothing,
        "delta-not-settled": nothing if table.delta_settled is None else done & ~table.delta_settled,
        "few-starts-at-best": table.success & (table.starts >= MANY_STARTS) & (table.share < FEW_AT_BEST),
        "rival-optimum": table.success & table.rival,
        "at-bound": table.success & table.at_bound.any(axis=1),
    }
    return {code: mask for code, mask in found.items() if mask.any()}


def notices(table: FitTable, masks: Mapping[str, Mask]) -> tuple[Notice, ...]:
    """A notice for each code: how many problems it concerns, and which is the worst."""
    return tuple(_notice(table, code, mask) for code, mask in masks.items())


def _notice(table: FitTable, code: str, mask: Mask) -> Notice:
    rows = np.flatnonzero(mask)
    more: dict[str, Any] = {}
    severity: Severity = "warning"
    if code == "interrupted":
        severity, said, badness = "serious", "were not finished", -rows.astype(np.float64)
    elif code == "fit-failed":
        severity, badness = "serious", np.where(np.isfinite(table.value[rows]), table.value[rows], np.inf)
        kinds, counts = np.unique(table.status[rows], return_counts=True)
        more["status"] = {Status(int(k)).name.lower(): int(c) for k, c in zip(kinds, counts, strict=True)}
        said = f"did not converge ({', '.join(f'{name} {count:,}' for name, count in more['status'].items())})"
    elif code == "few-units":
        severity, badness = "serious", -table.points[rows].astype(np.float64)
        said = f"have no more points than the {table.free} parameters: the law goes through every one of them"
    elif code == "delta-not-settled":
        badness, said = table.value[rows], "found no fixed point of delta"
    elif code == "few-starts-at-best":
        badness = -table.share[rows]
        said = f"reached their best optimum with less than {100 * FEW_AT_BEST:g} % of {table.starts} starts"
    elif code == "rival-optimum":
        badness, said = -table.gap[rows], "have another optimum that is less than 1 % worse"
    else:
        at = table.at_bound[rows] != 0
        badness = at.sum(axis=1).astype(np.float64)
        more["parameters"] = {name: int(n) for name, n in zip(table.names, at.sum(axis=0), strict=True) if n}
        said = f"are at a bound ({', '.join(f'{name} {count:,}' for name, count in more['parameters'].items())})"
    worst = int(rows[np.argmax(badness)])
    label = "" if table.labels is None else f" ({table.labels[worst]})"
    message = f"{len(rows):,} of {len(table):,} problems {said}; the worst is problem {worst}{label}"
    details = {"problems": len(rows), "of": len(table), "worst": worst, **more}
    return Notice(code=code, severity=severity, message=message, details=details)


def rivals(converged: F64, params: F64, gap: F64, limit: F64, near: float, elsewhere: float) -> Mask:
    """(B,) whether the runner-up is nearly as good as the best start and has notably other parameters.

    Parameters
    ----------
    converged : (B, S) float64
        Objective of each start; infinite where it did not converge.
    params : (B, S, p) float64
    gap : (B,) float64
        Relative excess of the runner-up; NaN without one.
    limit : (B,) float64
        Up to which objective a start is at the best optimum.
    near, elsewhere : float
        What counts as nearly as good, and as notably other.
    """
    found = np.zeros(len(gap), dtype=np.bool_)
    rows = np.flatnonzero(gap < near)
    if len(rows):
        score, at = converged[rows], np.arange(len(rows))
        best, second = np.argmin(score, axis=1), np.argmin(np.where(score > limit[rows, None], score, np.inf), axis=1)
        a, b = params[rows][at, best], params[rows][at, second]
        size = np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-300)
        found[rows] = (np.abs(a - b) / size).max(axis=1) >= elsewhere
    return found
