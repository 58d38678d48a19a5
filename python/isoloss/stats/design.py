"""What a set of runs can tell about a law: whether size and data were varied apart from each other.

With D = k N in every run, A / N^alpha and B / D^beta are functions of one number, and no fit can say how to trade one
for the other. The same holds for any line ln D = a + s ln N: what is off the line decides, and where there is next to
nothing, an allocation would be an invention of the law's form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isoloss.errors import FitError, Notice

if TYPE_CHECKING:
    from isoloss.engine.problem import F64, Problem
    from isoloss.runs.reading import Runs

__all__ = ["Ray", "open_ray", "ray", "ray_notice", "refuse_ray"]

_WIDTH = 0.02  # decades off the line below which size and data went together
_PROPORTIONAL = 0.02  # difference of the slope from one
_GLANCE = 64  # runs that show which variables a parameter acts through
_MOVED = 1e-9  # relative change of a derivative that is more than rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """The line in (ln N, ln D) on which all runs lie.

    Attributes
    ----------
    slope, scale : float
        D = scale * N**slope.
    width : float
        Root mean square distance of the runs from it, in decades.
    """

    slope: float
    scale: float
    width: float

    def __str__(self) -> str:
        if abs(self.slope - 1.0) < _PROPORTIONAL:
            return f"D = {self.scale:.3g} N"
        if abs(self.slope + 1.0) < _PROPORTIONAL:
            return f"N D = {self.scale:.3g}, a single budget"
        return f"D = {self.scale:.3g} N^{self.slope:.2f}"


def ray(runs: Runs, weights: F64 | None = None) -> Ray | None:
    """The line on which all runs lie, or None if they spread over an area.

    Parameters
    ----------
    runs : Runs
    weights : (n,) ndarray, optional
        Runs of weight zero do not count.

    Returns
    -------
    Ray or None
        None, too, where N or D is the same in all runs: other notices tell of that.

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss.stats.design import ray
    >>> print(ray(iso.read({"N": [1e8, 1e9, 1e10], "D": [2e9, 2e10, 2e11], "loss": [3.1, 2.6, 2.3]})))
    D = 20 N
    """
    if not {"N", "D"} <= set(runs.names):
        return None
    present = slice(None) if weights is None else weights > 0.0
    x, y = np.log10(runs.columns["N"][present]), np.log10(runs.columns["D"][present])
    if len(x) < 3 or np.ptp(x) < _WIDTH or np.ptp(y) < _WIDTH:
        return None
    centred = np.column_stack([x - x.mean(), y - y.mean()])
    _, size, axes = np.linalg.svd(centred, full_matrices=False)
    width = float(size[1] / np.sqrt(len(x)))
    if width >= _WIDTH:
        return None
    slope = float(axes[0, 1] / axes[0, 0])
    near = round(slope) if abs(slope - round(slope)) < _PROPORTIONAL else slope
    return Ray(slope=slope, scale=float(10.0 ** (y.mean() - near * x.mean())), width=width)


def open_ray(runs: Runs, problem: Problem, params: F64) -> Ray | None:
    """The line on which all runs lie, where the law has free parameters for what happens on both sides of it.

    A law of N alone, or one whose term of N is given (``fix=``), leaves nothing to trade along the line.

    Parameters
    ----------
    runs : Runs
    problem : Problem
    params : (p,) float64
        The optimum.
    """
    found = ray(runs, problem.weights)
    if found is None:
        return None
    own, expression = problem.parameters, problem.expression
    rows = problem.present[:: max(1, len(problem.present) // _GLANCE)]
    columns = [np.ascontiguousarray(column[rows]) for column in problem.columns]
    roots = np.flatnonzero(own.free)
    selection = np.asarray(own.tied[:, None] == roots[None, :], dtype=np.float64)
    with np.errstate(all="ignore"):
        here = expression.derivatives(columns, params)[1] @ selection
        through = 0
        for k in (k for k, name in enumerate(expression.variables) if name in ("N", "D", "C")):
            moved = [np.ascontiguousarray(2.0 * column) if j == k else column for j, column in enumerate(columns)]
            there = expression.derivatives(moved, params)[1] @ selection
            through += bool(np.any(np.abs(there - here) > _MOVED * np.abs(here)))
    return found if through > 1 else None


def ray_notice(found: Ray) -> Notice:
    """The notice about runs on a line.

    Examples
    --------
    >>> from isoloss.stats.design import Ray, ray_notice
    >>> ray_notice(Ray(slope=1.0, scale=20.0, width=0.0)).code
    'design-ray'
    """
    message = (
        f"all runs lie on the ray {found}: what size and what data do cannot be told apart, and a prediction off the "
        "ray is the law's guess; add runs off it"
    )
    details = {"slope": found.slope, "scale": found.scale, "width": found.width}
    return Notice(code="design-ray", severity="serious", message=message, details=details)


def refuse_ray(runs: Runs, problem: Problem, params: F64) -> None:
    """Raise where the runs lie on one line, so that they say nothing of how to split a budget.

    Raises
    ------
    FitError
        Code ``design-ray``.
    """
    found = open_ray(runs, problem, params)
    if found is not None:
        message = (
            f"all runs lie on the ray {found}: size and data never changed apart from each other, so the runs cannot "
            "say how to split a budget; add runs off the ray"
        )
        raise FitError(message, code="design-ray", slope=found.slope, scale=found.scale, width=found.width)
