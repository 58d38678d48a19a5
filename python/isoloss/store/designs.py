"""Plans of runs as plain data: the fit they rest on, the target, and the chosen runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isoloss.design.next_runs import Design
from isoloss.design.target import Target
from isoloss.errors import Notice
from isoloss.store import fits
from isoloss.store.files import restored

__all__ = ["VERSION", "from_dict", "to_dict"]

VERSION = 1

_ARRAYS = ("cost", "shrinkage", "alone")
_NUMBERS = ("before", "after", "budget", "open")


def to_dict(plan: Design) -> dict[str, Any]:
    """A plan as mappings, lists, arrays, texts and numbers."""
    return {
        "fit": fits.to_dict(plan.fit),
        "target": plan.target.to_dict(),
        "runs": {"columns": dict(plan.columns), **{name: getattr(plan, name) for name in _ARRAYS}},
        "numbers": {
            **{name: getattr(plan, name) for name in _NUMBERS},
            "factor": plan.factor,
            "candidates": plan.candidates,
            "by_law": dict(plan.by_law),
        },
        "warnings": [notice.to_dict() for notice in plan.warnings],
    }


def from_dict(data: Mapping[str, Any]) -> Design:
    """Inverse of `to_dict`, of data that went through a file."""
    fit, target = fits.from_dict(data["fit"]), Target.from_dict(data["target"])
    target.check(fit.bound)
    runs, numbers = restored(data["runs"]), restored(data["numbers"])
    columns = {str(name): np.array(values, dtype=np.float64) for name, values in runs["columns"].items()}
    arrays: dict[str, Any] = {name: np.array(runs[name], dtype=np.float64) for name in _ARRAYS}
    lengths = {array.shape for array in (*columns.values(), *arrays.values())}
    if len(lengths) != 1 or (0,) in lengths or not {"N", "D", "C"} <= set(columns):
        raise ValueError("the runs of the plan are not of one length, or lack N, D or C")
    shares = np.concatenate([arrays["shrinkage"], arrays["alone"]])
    if not np.all(np.isfinite(shares) & (shares <= 1.0)) or not np.all(arrays["cost"] > 0.0):
        raise ValueError("shrinkages are shares, and costs above zero")
    return Design(
        fit=fit,
        target=target,
        columns=columns,
        **arrays,
        before=float(numbers["before"]),
        after=float(numbers["after"]),
        budget=float(numbers["budget"]),
        open=float(numbers["open"]),
        factor=bool(numbers["factor"]),
        candidates=int(numbers["candidates"]),
        by_law={name: float(value) for name, value in numbers["by_law"].items()},
        warnings=tuple(Notice.from_dict(notice) for notice in data["warnings"]),
    )
