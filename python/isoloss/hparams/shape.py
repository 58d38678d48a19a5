r"""The form of the surface that all cells share, and what is known of it after a fit.

With x = ln(lr / lr\*) and y = ln(batch / batch\*), where

    lr\*(N, D) = c N^lr_N D^lr_D        batch\*(N, D) = d N^batch_N D^batch_D

the logarithm of the loss is a floor of the cell plus the excess

    a (exp(k w) - 1 - k w) / k^2 + b y^2,        w = x - ridge y.

For a, b, k > 0 it is convex in (x, y), whatever the data: both terms are convex functions of linear forms. The first is
the linear-exponential loss (Varian 1975): a learning rate that is too high costs more than one too low by the same
factor, by so much the more the larger k; as k vanishes it is the parabola a w^2 / 2. `ridge` is the exponent along the
valley: the best learning rate of a batch that is off by a factor r is off by r^ridge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.hparams.sweep import Sweep
from isoloss.objective import Huber, Objective

__all__ = ["NARROW", "ROBUST", "SHARED", "Choice", "Joint", "Shape", "excess_text", "nearness"]

SHARED = ("ln_lr", "lr_N", "lr_D", "ln_batch", "batch_N", "batch_D", "ridge", "a", "k", "b")
"""Parameters that all cells share, in the order of arrays; ln_lr and ln_batch at the geometric mean of the cells."""

NARROW = 1e-3
"""Below this the asymmetry k cannot be told from none."""

ROBUST = Huber(1e-3, space="raw")
"""The objective by default: a tenth of a per cent is what seeds do; beyond it a run no longer pulls with its square."""


def excess_text(w: str, y: str) -> str:
    """The excess as the text of a law, of the texts of w and y."""
    return f"a * (exp(k * {w}) - 1 - k * {w}) / k**2 + b * {y}**2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the joint surface leaves open.

    Attributes
    ----------
    threshold : float
        Excess, by the surface, at which a run counts half.
    batch_size_law : {"D", "N, D"}
        What the best batch depends on.
    asymmetric : bool
        Whether too high and too low a learning rate may cost differently.
    objective : Objective
        On the logarithm of the loss.
    """

    threshold: float
    batch_size_law: str = "N, D"
    asymmetric: bool = True
    objective: Objective = ROBUST


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Shape:
    """The shared parameters as arrays that broadcast: one set, or one for each draw.

    Attributes
    ----------
    values : (..., 10) float64
        In the order of `SHARED`.
    pivot : (4,) float64
        Means of ln N, ln D, ln lr and ln batch that the parameters are counted from.
    """

    values: F64
    pivot: F64

    def optimum(self, N: Any, D: Any) -> tuple[F64, F64]:
        """Logarithms of the best learning rate and of the best batch."""
        n, d = np.log(N) - self.pivot[0], np.log(D) - self.pivot[1]
        p = np.moveaxis(self.values, -1, 0)
        lr = self.pivot[2] + p[0] + p[1] * n + p[2] * d
        return np.asarray(lr), np.asarray(self.pivot[3] + p[3] + p[4] * n + p[5] * d)

    def excess(self, x: Any, y: Any) -> F64:
        """Relative excess loss at ln(lr / lr*) = x and ln(batch / batch*) = y."""
        ridge, a, k, b = np.moveaxis(self.values, -1, 0)[6:]
        w = k * np.clip(x - ridge * y, -500.0 / k, 500.0 / k)
        with np.errstate(over="ignore"):
            # The parts are logarithms of the loss; exp(...) - 1 makes a relative excess of their sum.
            return np.asarray(np.expm1(np.minimum(a * (np.expm1(w) - w) / k**2 + b * np.square(y), 500.0)))

    def powers(self) -> dict[str, F64]:
        """Ln c, exponents of N and D for lr; ln d, exponents of N and D for batch; each of the shape of the draws."""
        p = np.moveaxis(self.values, -1, 0)
        n, d, x, y = self.pivot
        return {
            "lr_c": x + p[0] - p[1] * n - p[2] * d,
            "lr_N": p[1],
            "lr_D": p[2],
            "batch_d": y + p[3] - p[4] * n - p[5] * d,
            "batch_N": p[4],
            "batch_D": p[5],
        }


def nearness(sweep: Sweep, shape: Shape, threshold: float, optimum: F64 | None = None) -> F64:
    """(n,) weight of each run by its excess on the surface; diverged runs have none.

    The surface has its least value at the (c, 2) `optimum` of each cell, by default at that of the shape.
    """
    x, y = shape.optimum(sweep.N, sweep.D) if optimum is None else optimum.T
    excess = shape.excess(sweep.ln_lr - x[sweep.cell], sweep.ln_batch - y[sweep.cell])
    return np.where(sweep.diverged, 0.0, np.exp2(-(np.minimum(excess / threshold, 10.0) ** 4)))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Joint:
    """A joint surface fitted to a sweep.

    Attributes
    ----------
    shape : Shape
        The estimates.
    draws : Shape
        (m, 10): refits to resampled cells.
    failed : int
        Draws that are left out: too few different cells, or no convergence.
    requested : int
        Draws that were made: fewer than were asked for where the first show that the runs do not determine the optimum.
    floor : (c,) float64
        Least loss of each cell by the surface.
    choice : Choice
    fixed : tuple of str
        Shared parameters that the sweep cannot tell; they are zero.
    kept : (m,) int64
        Rows of the sweep that were fitted.
    kept_weights : (m,) float64
        How much each counted.
    rms : float
        Root mean square residual of the logarithm of the loss.
    at_bound : tuple of str
        Shared parameters at a bound.
    """

    shape: Shape
    draws: Shape
    failed: int
    requested: int
    floor: F64
    choice: Choice
    fixed: tuple[str, ...]
    kept: NDArray[np.int64]
    kept_weights: F64
    rms: float
    at_bound: tuple[str, ...]
