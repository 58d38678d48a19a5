"""What deserves a warning about a fit. The records end up in `Fit.warnings`.

Each is a `Notice` with a stable code; `isoloss.errors.CODES` says what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.basins import Basins
from isoloss.engine.problem import Parameters, Problem
from isoloss.engine.status import Status
from isoloss.errors import Notice
from isoloss.runs.checkpoints import checkpoints_notice, looks_like_checkpoints
from isoloss.runs.doubts import unit_doubts
from isoloss.runs.reading import Runs
from isoloss.stats.inference import Covariance, correlation

__all__ = ["CORRELATED", "NEAR", "notices", "strong_correlations"]

CORRELATED = 0.95
_FEW = 0.05  # share of the starts at the best optimum below which it may not be the best
NEAR = 0.01  # relative excess of a runner-up's objective that data cannot tell from the best
_ELSEWHERE = 0.02  # relative difference of a parameter that makes a runner-up another law
_GLANCE = 2_000  # runs that mostly suffice to see that every parameter matters
_NULL = 1e-11  # share of the largest singular value below which a direction is rounding


def notices(
    runs: Runs,
    problem: Problem,
    params: Mapping[str, float],
    status: Status,
    basins: Basins,
    spread: Covariance,
    at_bound: Mapping[str, int],
) -> tuple[Notice, ...]:
    """All notices about one fit, those of its runs first."""
    used = problem.expression.variables
    found = [*runs.notices, *(notice for notice in unit_doubts(runs) if notice.details["role"] in used)]
    checkpoints = looks_like_checkpoints(runs)
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
    if unreached or (basins.starts >= 8 and basins.optima and basins.share < _FEW):
        count = basins.optima[0].count
        only = "none" if count == 0 else f"only {count:,}"
        message = f"{only} of {basins.starts:,} starts reached the best optimum"
        counts = {"count": count, "starts": basins.starts}
        found.append(Notice(code="few-starts-at-best", severity="warning", message=message, details=counts))
    found += _rival(basins)
    for name, side in at_bound.items():
        where = "upper" if side > 0 else "lower"
        message = f"{name} is at its {where} bound {params[name]:.6g}"
        details = {"parameter": name, "side": where, "value": params[name]}
        found.append(Notice(code="at-bound", severity="warning", message=message, details=details))
    if status.success:
        found += _unidentified(problem, params, at_bound)
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


def _rival(basins: Basins) -> list[Notice]:
    """A runner-up that is nearly as good and yet another law."""
    if basins.gap is None or basins.gap >= NEAR:
        return []
    best, second = basins.optima[0].params, basins.optima[1].params
    apart = {
        name: abs(second[name] - value) / max(abs(value), abs(second[name]), 1e-300) for name, value in best.items()
    }
    if max(apart.values()) < _ELSEWHERE:
        return []
    widest = max(apart, key=apart.__getitem__)
    message = (
        f"another optimum is only {100 * basins.gap:.2g} % worse and has {widest} = {second[widest]:.4g} "
        f"instead of {best[widest]:.4g}"
    )
    details = {"gap": basins.gap, "params": dict(second)}
    return [Notice(code="rival-optimum", severity="warning", message=message, details=details)]


def _unidentified(problem: Problem, params: Mapping[str, float], at_bound: Mapping[str, int]) -> list[Notice]:
    """Parameters that can move together without changing a single prediction: they stay where a start put them.

    They span the null space of the Jacobian of the predictions, each column scaled to length one. A constant column
    does this (with one D only, B / D**beta is one number), and robust objectives hide it: they may have no covariance
    for another reason.
    """
    own = problem.parameters
    held = np.array([name in at_bound for name in own.names])
    estimated = np.flatnonzero(own.free & ~held[own.tied])
    if len(estimated) == 0:
        return []
    selection = np.asarray(own.tied[:, None] == estimated[None, :], dtype=np.float64)
    point = np.array([params[name] for name in own.names])
    present = problem.present
    glance = present[:: max(1, len(present) // _GLANCE)]
    loose = _null_names(problem, point, selection, glance)
    if len(loose) and len(glance) < len(present):
        loose = _null_names(problem, point, selection, present)
    if len(loose) == 0:
        return []
    names = [own.names[estimated[k]] for k in loose]
    constant = [
        name
        for name, column in zip(problem.expression.variables, problem.columns, strict=True)
        if np.ptp(column[present]) == 0.0
    ]
    why = (
        f"; {' and '.join(constant)} {'is' if len(constant) == 1 else 'are'} the same in every run" if constant else ""
    )
    message = f"the runs do not determine {', '.join(names)}: other values predict every run alike{why}"
    details = {"parameters": names, "constant": constant}
    return [Notice(code="not-identified", severity="serious", message=message, details=details)]


def _null_names(
    problem: Problem, point: NDArray[np.float64], selection: NDArray[np.float64], rows: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Numbers of the estimated parameters with a part in the null space of the Jacobian at `rows`."""
    triangle = np.zeros((0, selection.shape[1]))
    for block in problem.derivatives(point, rows):
        triangle = np.linalg.qr(np.vstack([triangle, block.gradient @ selection])).R
    if not np.all(np.isfinite(triangle)):
        return np.zeros(0, dtype=np.intp)
    length = np.linalg.norm(triangle, axis=0)
    _, size, directions = np.linalg.svd(triangle / np.where(length > 0.0, length, 1.0))
    rank = int(np.sum(size > _NULL * size[0])) if size[0] > 0.0 else 0
    return np.asarray(np.flatnonzero(np.abs(directions[rank:]).max(axis=0, initial=0.0) > 1e-6))


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
