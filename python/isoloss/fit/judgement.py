"""What deserves a warning about a fit. The records end up in `Fit.warnings`.

Each is a `Notice` with a stable code; `isoloss.errors.CODES` says what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.basins import ELSEWHERE, Basins
from isoloss.engine.problem import F64, Parameters, Problem
from isoloss.engine.status import Status
from isoloss.errors import Notice
from isoloss.fit.identified import unidentified
from isoloss.fit.misfit import misfit
from isoloss.law.object import Law
from isoloss.runs.checkpoints import checkpoints_notice, looks_like_checkpoints
from isoloss.runs.doubts import unit_doubts
from isoloss.runs.object import BLOCK
from isoloss.runs.order import unlike
from isoloss.runs.reading import Runs
from isoloss.stats.design import open_ray, ray_notice
from isoloss.stats.inference import Covariance, correlation
from isoloss.stats.noise import noiseless
from isoloss.units import FORMULAS

__all__ = ["CORRELATED", "FEW_AT_BEST", "MANY_STARTS", "NEAR", "notices", "strong_correlations"]

CORRELATED = 0.95
FEW_AT_BEST = 0.05  # share of the starts at the best optimum below which it may not be the best
MANY_STARTS = 8  # starts from which on that share says something
NEAR = 0.01  # relative excess of a runner-up's objective that data cannot tell from the best
_AT = 1e-6  # relative distance from a bound


def notices(
    law: Law,
    runs: Runs,
    rows: NDArray[np.intp],
    problem: Problem,
    params: Mapping[str, float],
    status: Status,
    basins: Basins,
    spread: Covariance,
    at_bound: Mapping[str, int],
) -> tuple[Notice, ...]:
    """All notices about one fit, those of its runs first; `rows` are the numbers of the runs among those given."""
    point = np.array([params[name] for name in problem.names])
    found = [*runs.warnings, *_doubted(law, runs)]
    found += unlike(runs, law.variables, rows) if law.target == "L" and BLOCK not in runs.columns else []
    checkpoints = looks_like_checkpoints(runs, _residuals(problem, point) if status.success else None)
    if checkpoints is not None:
        found.append(checkpoints_notice(checkpoints, "warning"))
    if problem.objective.kind == "binomial" and problem.weights is None:
        message = "the runs have no trials: every pass fraction counts as that of one trial"
        found.append(Notice(code="no-trials", severity="warning", message=message))
    if not status.success:
        code = "fit-not-converged" if any(np.isfinite(list(params.values()))) and basins.optima else "fit-failed"
        message = f"the best of {basins.starts:,} starts did not converge: {status.message}"
        found.append(Notice(code=code, severity="serious", message=message, details={"status": status.name.lower()}))
    unreached = bool(basins.optima) and basins.optima[0].count == 0  # but by a challenger
    if unreached or (basins.starts >= MANY_STARTS and basins.optima and basins.share < FEW_AT_BEST):
        count = basins.optima[0].count
        only = "none" if count == 0 else f"only {count:,}"
        message = f"{only} of {basins.starts:,} starts reached the best optimum"
        counts = {"count": count, "starts": basins.starts}
        found.append(Notice(code="few-starts-at-best", severity="warning", message=message, details=counts))
    found += [_at_bound(problem, name, params[name], side) for name, side in at_bound.items()]
    found += _few_units(runs, problem)
    loose = unidentified(problem, params, at_bound) if status.success else []
    found += [*loose, *_rival(basins, told=bool(loose))]
    if status.success:
        line = open_ray(runs, problem, point)
        found += [] if line is None else [ray_notice(line)]
        found += misfit(law, problem, point, rows)
    if spread.cov is None:
        message = f"no covariance: {spread.reason}"
        found.append(
            Notice(
                code="covariance-unavailable", severity="info", message=message, details={"reason": spread.reason or ""}
            )
        )
    else:
        pairs = strong_correlations(problem.parameters, spread)
        if pairs:
            shown = ", ".join(f"{a} and {b} {rho:+.3f}" for a, b, rho in pairs[:3])
            more = f", and {len(pairs) - 3} more" if len(pairs) > 3 else ""
            message = f"correlations above {CORRELATED}: {shown}{more}"
            listed = {"pairs": [[a, b, rho] for a, b, rho in pairs]}
            found.append(Notice(code="correlated-parameters", severity="info", message=message, details=listed))
    return tuple(found)


def _residuals(problem: Problem, params: F64) -> F64 | None:
    """(n,) residuals of the runs that count, NaN for others; None where they are but rounding."""
    if noiseless(problem, params):
        return None
    residual = np.full(problem.target.shape[-1], np.nan)
    rows = problem.present
    residual[rows] = problem.objective.residuals(problem.predict(params)[0], problem.target)[rows]
    return residual


def _doubted(law: Law, runs: Runs) -> list[Notice]:
    """Doubts about the units of what the law uses."""
    used = set(law.variables)
    if "C" in used and runs.column_of.get("C") == FORMULAS["C"]:
        used |= {"N", "D"}
    if law.target == "L":
        used.add("loss")
    return [notice for notice in unit_doubts(runs) if notice.details["role"] in used]


def _at_bound(problem: Problem, name: str, value: float, side: int) -> Notice:
    """The notice about a parameter at a bound, or at a value that does no other than the bound."""
    own = problem.parameters
    root = own.tied[own.names.index(name)]
    where, bound = ("upper", float(own.upper[root])) if side > 0 else ("lower", float(own.lower[root]))
    message = f"{name} is at its {where} bound {bound:.6g}"
    if abs(value - bound) > _AT * max(abs(bound), 1.0):
        message = (
            f"{name} might as well be at its {where} bound {bound:.6g}: at {value:.6g} it predicts every run alike"
        )
    details = {"parameter": name, "side": where, "value": value, "bound": bound}
    return Notice(code="at-bound", severity="warning", message=message, details=details)


def _few_units(runs: Runs, problem: Problem) -> list[Notice]:
    """No more runs, or groups of them, than parameters: a law that goes through every run is not tested by any."""
    q = int(problem.parameters.free.sum())
    if q == 0:
        return []
    units, what = runs.n, "runs"
    if runs.group is not None and BLOCK not in runs.columns:  # a curve tells more than a group: its shape
        units, what = len(np.unique(runs.group)), "groups"
    if units > q:
        return []
    consequence = (
        "the law goes through every run whatever its loss, and nothing tells how good it is"
        if what == "runs"
        else "how much groups differ by chance cannot be told from what the parameters do"
    )
    message = f"{units} {what} for {q} parameters are no estimate: {consequence}"
    details = {"units": units, "parameters": q}
    return [Notice(code="few-units", severity="serious", message=message, details=details)]


def _rival(basins: Basins, *, told: bool) -> list[Notice]:
    """A runner-up that is nearly as good and yet another law, or ends as good that nothing else tells of."""
    if basins.ranges and not told:
        message = f"starts ended at the best objective with different parameters: {basins.ended}"
        details = {"gap": 0.0, "ranges": {name: list(ends) for name, ends in basins.ranges.items()}}
        return [Notice(code="rival-optimum", severity="warning", message=message, details=details)]
    if basins.gap is None or basins.gap >= NEAR:
        return []
    best, second = basins.optima[0].params, basins.optima[1].params
    apart = {
        name: abs(second[name] - value) / max(abs(value), abs(second[name]), 1e-300) for name, value in best.items()
    }
    if max(apart.values()) < ELSEWHERE:
        return []
    widest = max(apart, key=apart.__getitem__)
    message = (
        f"another optimum is only {100 * basins.gap:.2g} % worse and has {widest} = {second[widest]:.4g} "
        f"instead of {best[widest]:.4g}"
    )
    details = {"gap": basins.gap, "params": dict(second)}
    return [Notice(code="rival-optimum", severity="warning", message=message, details=details)]


def strong_correlations(parameters: Parameters, spread: Covariance) -> list[tuple[str, str, float]]:
    """Pairs of free parameters correlated above `CORRELATED` in size, the strongest first; a tied one is no second."""
    if spread.cov is None:
        return []
    with np.errstate(invalid="ignore"):
        rho = correlation(spread.cov)
        strong = (np.abs(rho) > CORRELATED) & np.outer(parameters.free, parameters.free)
    rows, columns = np.nonzero(np.triu(strong, k=1))
    names = parameters.names
    pairs = [(names[i], names[j], float(rho[i, j])) for i, j in zip(rows, columns, strict=True)]
    return sorted(pairs, key=lambda pair: -abs(pair[2]))
