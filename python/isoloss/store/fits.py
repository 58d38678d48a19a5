"""Fits as plain data: the law, the runs or curves, the settings, the results, and the bootstrap draws if any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.curves.fit import CurveFit, with_curves
from isoloss.curves.object import Curves
from isoloss.curves.rows import curve_runs
from isoloss.engine.basins import Basins
from isoloss.engine.boxes import Box
from isoloss.engine.posing import Settings, pose
from isoloss.engine.status import Status
from isoloss.errors import Notice
from isoloss.fit.object import Fit
from isoloss.law.object import Law
from isoloss.objective import Objective
from isoloss.runs.reading import Runs
from isoloss.stats.draws import Draws
from isoloss.stats.draws import from_parts as draws_from_parts
from isoloss.stats.inference import Covariance
from isoloss.store.files import restored

__all__ = ["VERSION", "from_dict", "to_dict"]

VERSION = 1
_LEAST_DF = 1e-3  # of degrees of freedom: below, quantiles are beyond the range of doubles


def to_dict(fit: Fit) -> dict[str, Any]:
    """A fit as mappings, lists, arrays, texts and numbers."""
    settings = fit.settings
    return {
        "made_by": dict(fit.made_by),
        "law": fit.law.to_dict(),
        **_data_to_dict(fit),
        "settings": {
            "objective": settings.objective.to_dict(),
            "starts": _plain_starts(settings.starts),
            "fix": dict(settings.fix),
            "tie": dict(settings.tie),
            "bounds": {name: list(pair) for name, pair in settings.bounds.items()},
            "weights": settings.weights,
            "seed": settings.seed,
        },
        "result": {
            "objective": fit.objective.to_dict(),
            "params": dict(fit.params),
            "value": fit.value,
            "status": fit.status.name.lower(),
            "success": fit.success,
            "message": fit.status.message,
            "n": fit.n,
            "stderr": fit.stderr,
            "cov": fit.cov,
            "cov_kind": fit.covariance.kind,
            "cov_reason": fit.cov_reason,
            "cov_note": fit.covariance.note,
            "at_bound": dict(fit.at_bound),
            "basins": fit.basins.to_dict(),
            "reserve": fit.reserve,
            "rivals": fit.rivals,
            "seconds": fit.seconds,
            "warnings": [notice.to_dict() for notice in fit.warnings],
        },
        "draws": None if fit.draws is None else _draws_to_dict(fit.draws),
    }


def _data_to_dict(fit: Fit) -> dict[str, Any]:
    """The runs, or the curves that their rows follow from."""
    if isinstance(fit, CurveFit):
        return {"runs": None, "curves": fit.curves.to_dict()}
    return {"runs": fit.runs.to_dict()}


def _draws_to_dict(made: Draws) -> dict[str, Any]:
    names = ("params", "names", "value", "index", "status", "won_by_start", "method", "by", "units", "seed")
    return {
        **{name: getattr(made, name) for name in names},
        "basis": made.basis.to_dict(),
        "warnings": [notice.to_dict() for notice in made.warnings],
    }


def from_dict(data: Mapping[str, Any]) -> Fit:
    """Inverse of `to_dict`, of data that went through a file."""
    return _fit({**data, **{name: restored(data[name]) for name in ("settings", "result", "draws")}})


def _fit(data: Mapping[str, Any]) -> Fit:
    asked, found = data["settings"], data["result"]
    law = Law.from_dict(data["law"])
    curves = Curves.from_dict(data["curves"]) if data.get("curves") is not None else None
    runs = Runs.from_dict(data["runs"]) if curves is None else curve_runs(law, curves)
    settings = Settings(
        objective=Objective.from_dict(asked["objective"]),
        starts=_starts(asked["starts"]),
        fix=dict(asked["fix"]),
        tie=dict(asked["tie"]),
        bounds={name: (pair[0], pair[1]) for name, pair in asked["bounds"].items()},
        weights=None if asked["weights"] is None else np.array(asked["weights"], dtype=np.float64),
        seed=int(asked["seed"]),
    )
    problem = pose(law, runs, settings)
    problem = replace(problem, objective=Objective.from_dict(found["objective"]))  # with the delta that was settled
    p = len(problem.names)
    cov = None if found["cov"] is None else np.array(found["cov"], dtype=np.float64).reshape(p, p)
    made = Fit(
        law=law,
        runs=runs,
        params={name: float(found["params"][name]) for name in problem.names},
        value=float(found["value"]),
        status=Status[found["status"].upper()],
        basins=Basins.from_dict(found["basins"]),
        covariance=Covariance(cov=cov, kind=found["cov_kind"], reason=found["cov_reason"], note=found["cov_note"]),
        at_bound={name: int(side) for name, side in found["at_bound"].items()},
        warnings=tuple(Notice.from_dict(notice) for notice in found["warnings"]),
        seconds=float(found["seconds"]),
        settings=settings,
        problem=problem,
        reserve=np.array(found["reserve"], dtype=np.float64).reshape(-1, p),
        rivals=int(found["rivals"]),
        made_by={str(name): str(version) for name, version in data.get("made_by", {}).items()},
    )
    if curves is not None:
        made = with_curves(made, curves)
    if data["draws"] is not None:
        made = made.with_draws(draws_from_parts(data["draws"], made.bound))
    _check(made)
    return made


def _check(made: Fit) -> None:
    """Refuse what has the right types and yet cannot have come from a fit: methods would trip over it later."""
    spread, basins, draws = made.covariance, made.basins, made.draws
    faults = {
        "cov_kind": not isinstance(spread.kind, str),
        "cov": spread.cov is not None and not _may_be_covariance(spread.cov),
        "cov_reason": not all(isinstance(text, str | None) for text in (spread.reason, spread.note)),
        "basins": basins.starts < 1
        or not all(0 <= optimum.count <= basins.starts for optimum in basins.optima)
        or (made.success and not basins.optima),
        "warnings": not all(_is_notice(n) for n in (*made.warnings, *(() if draws is None else draws.warnings))),
    }
    if draws is not None:
        faults |= {
            "draws.names": draws.names != made.problem.names,
            "draws.status": draws.status.ndim != 1,
            "draws.value": not len(draws.params) == len(draws.value) == len(draws.index) <= len(draws.status),
            "draws.params": not np.all(np.isfinite(draws.params)),
            "draws.basis": not draws.basis.df > _LEAST_DF,
        }
    for part, fault in faults.items():
        if fault:
            raise ValueError(f"{part} cannot be that of a fit")


def _may_be_covariance(cov: NDArray[np.float64]) -> bool:
    """Symmetric, variances not below zero, correlations within one; NaN stands for what is not known."""
    known = np.isfinite(cov)
    if np.any(np.diag(cov) < 0.0) or np.any(np.isinf(cov)):
        return False
    deviation = np.sqrt(np.diag(cov))
    most = np.outer(deviation, deviation) * (1.0 + 1e-6)
    return bool(np.all(~known | (np.abs(cov) <= most)) and np.allclose(cov, cov.T, rtol=1e-6, atol=0.0, equal_nan=True))


def _is_notice(notice: Any) -> bool:
    texts = isinstance(notice.code, str) and isinstance(notice.message, str)
    return texts and notice.severity in ("info", "warning", "serious")


def _plain_starts(starts: Any) -> Any:
    """Starts with their kind, since a grid by name and an array look alike in JSON."""
    if starts is None or isinstance(starts, int):
        return starts
    if isinstance(starts, Box):
        return {"box": starts.to_dict()}
    if isinstance(starts, Mapping):
        return {"grid": dict(starts)}
    return {"points": starts}


def _starts(stored: Any) -> Any:
    if stored is None or isinstance(stored, int):
        return stored
    if "box" in stored:
        return Box.from_dict(stored["box"])
    if "grid" in stored:
        return {name: np.array(values, dtype=np.float64) for name, values in stored["grid"].items()}
    return np.array(stored["points"], dtype=np.float64)
