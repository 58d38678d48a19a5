"""Losses that a fitted law misses: most of them by far, or a few beyond anything noise does. Private.

Both are told from relative residuals, ln(loss / law), whatever the objective. A law of loss that misses half of its
runs by more than 5 % is not their law: runs of a sweep scatter by a fraction of a per cent to two.

Gross outliers are told from scatter by their distance in robust standard deviations: beyond 100, or beyond 10 n^(1/4)
and at least four times as far as the next run; 8 n^(1/4) where errors are squared, since the outlier itself then draws
the law and widens the scatter of the others. The largest of n of Student's t with 4 degrees of freedom, whose tails are
long, grows by that power of n and is so far out in less than one fit of a thousand. Residuals below 5 % are none,
however small the noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64, Problem
from isoloss.errors import Notice
from isoloss.law.object import Law
from isoloss.units import format_number

__all__ = ["FAR", "FAR_SQUARED", "far_off", "misfit"]

_WRONG = 0.05  # median relative residual beyond which a law is not that of its runs; the least of a gross outlier
FAR, _VERY_FAR = 10.0, 100.0  # robust standard deviations; the first times n^(1/4)
FAR_SQUARED = 8.0  # instead of the first
_GAP = 4.0  # times as far as the next run
_MOST = 0.1  # share of the runs that can be outliers of the others by a gap
_NORMAL = 1.4826
_NAMED = 3  # rows in a message
_RIGID = ("squared", "log_cosh", "expectile")  # losses that let a single run draw the law away


def misfit(law: Law, problem: Problem, params: F64, rows: NDArray[np.intp]) -> list[Notice]:
    """What to say about the residuals of a fit to losses; nothing for laws of other quantities, or losses not above 0.

    Parameters
    ----------
    law : Law
    problem : Problem
    params : (p,) float64
        The optimum.
    rows : (n,) int
        What the rows of the problem are called.
    """
    loss, predicted = problem.target, problem.predict(params)[0]
    if law.target != "L" or not (np.all(loss > 0.0) and np.all(predicted > 0.0) and np.all(np.isfinite(predicted))):
        return []
    residual = np.log(loss) - np.log(predicted)
    found = []
    median = float(np.median(np.abs(residual)))
    if median > _WRONG:
        message = (
            f"half of the runs are off the law by more than {100 * median:.2g} % in log loss: it is not their law, or "
            "they are not of one kind"
        )
        found.append(Notice(code="misfit", severity="serious", message=message, details={"median": median}))
    rigid = problem.objective.kind in _RIGID
    far, score = far_off(residual, 0 if rigid else int(problem.parameters.free.sum()), FAR_SQUARED if rigid else FAR)
    if len(far):
        shown = ", ".join(
            f"row {row} (loss {format_number(float(loss[k]), 4)}, law {format_number(float(predicted[k]), 4)}, "
            f"{format_number(float(size), 3)} robust standard deviations)"
            for row, k, size in zip(rows[far[:_NAMED]], far, score, strict=False)
        )
        more = f", and {len(far) - _NAMED} more" if len(far) > _NAMED else ""
        message = f"far from the law beyond anything noise does: {shown}{more}"
        found.append(
            Notice(
                code="gross-outlier",
                severity="serious" if rigid else "warning",
                message=message,
                details={"rows": rows[far].tolist()[:100], "score": score.tolist()[:100]},
            )
        )
    return found


def far_off(residual: F64, fitted: int, far: float = FAR) -> tuple[NDArray[np.intp], F64]:
    """Which relative residuals are gross outliers, the farthest first, and how many robust deviations off they are.

    The deviation is 1.4826 times the median distance of the runs but for the `fitted` nearest: robust fits go through
    about as many as they have parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.fit.misfit import far_off
    >>> residual = 0.002 * np.sin(np.arange(40.0))
    >>> residual[7] = 1.3
    >>> far_off(residual, 5)[0]
    array([7])
    """
    nothing: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
    away = np.abs(residual - np.median(residual))
    if len(away) <= fitted or away.max() < _WRONG:
        return nothing, np.zeros(0)
    sigma = _NORMAL * float(np.median(np.sort(away)[fitted:]))
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(away > 0.0, away / sigma, 0.0)
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    possible = (ranked > far * len(ranked) ** 0.25) & (away[order] >= _WRONG)
    following = np.append(ranked[1:], 0.0)
    within = np.arange(1, len(ranked) + 1) <= max(1.0, _MOST * len(ranked))
    apart = np.flatnonzero(possible & within & (ranked >= _GAP * following))
    count = max(int(apart[-1]) + 1 if len(apart) else 0, int(np.sum(possible & (ranked > _VERY_FAR))))
    return order[:count], ranked[:count]
