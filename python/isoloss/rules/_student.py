r"""Straight lines through few points, with the intervals of Student's t.

With t = sqrt(nu) tan(theta) the distribution function is an integral of cos(theta)^(nu - 1), which Gauss-Legendre
nodes take exactly enough; its inverse is found by bisection.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError

__all__ = ["Line", "line", "student_quantile"]

F64 = NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def student_quantile(level: float, dof: int) -> float:
    """How many standard errors to either side hold a two-sided level.

    Examples
    --------
    >>> from isoloss.rules._student import student_quantile
    >>> round(student_quantile(0.95, 3), 6)  # tables: 3.182446
    3.182446
    """
    log_scale = math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2) - 0.5 * math.log(math.pi)

    def inside(angle: float) -> float:
        half = 0.5 * angle
        return 2.0 * math.exp(log_scale) * half * float(_WEIGHTS @ np.cos(half * (_NODES + 1.0)) ** (dof - 1))

    low, high = 0.0, 0.5 * math.pi
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if inside(middle) < level else (low, middle)
    return math.sqrt(dof) * math.tan(0.5 * (low + high))


class Line(NamedTuple):
    """Least squares of y = intercept + slope x."""

    intercept: float
    slope: float
    residual: float
    unscaled: F64
    points: int


def line(x: F64, y: F64, names: tuple[str, str]) -> Line:
    """A straight line through the logarithms of x and y.

    Raises
    ------
    DataError
        Code ``data-shape``: the lengths differ, or fewer than three points, or all at one x.
    """
    x, y = np.atleast_1d(x), np.atleast_1d(y)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 3 or np.all(x == x[0]):
        message = f"{names[0]} and {names[1]} need the same length, three points or more, and more than one {names[0]}"
        raise DataError(message, code="data-shape", column=names[1])
    design = np.column_stack([np.ones(len(x)), np.log(x)])
    unscaled = np.linalg.inv(design.T @ design)
    found = unscaled @ design.T @ np.log(y)
    residual = float(np.sum((np.log(y) - design @ found) ** 2))
    return Line(float(found[0]), float(found[1]), residual, unscaled, len(x))
