"""What deserves a warning about a fit. Private: the records end up in `Fit.warnings`.

Each is a `Notice` with a stable code; `isoloss.errors.CODES` says what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isoloss.basins import Basins
from isoloss.errors import Notice
from isoloss.inference import Covariance, correlation
from isoloss.problem import Problem
from isoloss.runs import Runs
from isoloss.status import Status

__all__ = ["CORRELATED", "notices", "strong_correlations"]

CORRELATED = 0.95
_FEW = 0.05  # share of the starts at the best optimum below which it may not be the best
_NEAR = 0.01  # relative excess of a runner-up's objective that data cannot tell from the best
_ELSEWHERE = 0.02  # relative difference of a parameter that makes a runner-up another law


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
    found = [*runs.notices]
    if not status.success:
        code = "fit-not-converged" if any(np.isfinite(list(params.values()))) and basins.optima else "fit-failed"
        message = f"the best of {basins.starts:,} starts did not converge: {status.message}"
        found.append(Notice(code=code, severity="serious", message=message, details={"status": status.name.lower()}))
    if basins.starts >= 8 and basins.optima and basins.share < _FEW:
        count = basins.optima[0].count
        message = f"only {count:,} of {basins.starts:,} starts reached the best optimum"
        counts = {"count": count, "starts": basins.starts}
        found.append(Notice(code="few-starts-at-best", severity="warning", message=message, details=counts))
    found += _rival(basins)
    for name, side in at_bound.items():
        where = "upper" if side > 0 else "lower"
        message = f"{name} is at its {where} bound {params[name]:.6g}"
        details = {"parameter": name, "side": where, "value": params[name]}
        found.append(Notice(code="at-bound", severity="warning", message=message, details=details))
    if spread.cov is None:
        message = f"no covariance: {spread.reason}"
        found.append(
            Notice(
                code="covariance-unavailable", severity="info", message=message, details={"reason": spread.reason or ""}
            )
        )
    else:
        pairs = strong_correlations(problem.names, spread)
        if pairs:
            shown = ", ".join(f"{a} and {b} {rho:+.3f}" for a, b, rho in pairs[:3])
            more = f", and {len(pairs) - 3} more" if len(pairs) > 3 else ""
            message = f"correlations above {CORRELATED}: {shown}{more}"
            listed = {"pairs": [[a, b, rho] for a, b, rho in pairs]}
            found.append(Notice(code="correlated-parameters", severity="info", message=message, details=listed))
    return tuple(found)


def _rival(basins: Basins) -> list[Notice]:
    """A runner-up that is nearly as good and yet another law."""
    if basins.gap is None or basins.gap >= _NEAR:
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


def strong_correlations(names: tuple[str, ...], spread: Covariance) -> list[tuple[str, str, float]]:
    """Pairs of parameters correlated above `CORRELATED` in size, the strongest first."""
    if spread.cov is None:
        return []
    with np.errstate(invalid="ignore"):
        rho = correlation(spread.cov)
        rows, columns = np.nonzero(np.triu(np.abs(rho) > CORRELATED, k=1))
    pairs = [(names[i], names[j], float(rho[i, j])) for i, j in zip(rows, columns, strict=True)]
    return sorted(pairs, key=lambda pair: -abs(pair[2]))
