r"""The best split of a compute between size and tokens, for any law of N and D.

For E + A/N^alpha + B/D^beta there is a closed form (Hoffmann et al. 2022, equation 4). Any law is served here by a
search in log N over a wide range of tokens per parameter: a coarse grid, three refinements around its least point, and
a parabola through the last three points, for many sets of parameters and many budgets at once.

A model that will serve T tokens spends 2 N T of the compute on them (Sardana et al. 2024), so that
C = k N D + 2 N T and D = C/(k N) - 2 T/k. Of all ways to spend C on both, the least loss is also the cheapest way to
that loss. Where compute is counted from an architecture (`isoloss.plan.flops`), its FLOPs per token of training stand
for k N, and those of the forward pass for 2 N.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.engine.problem import F64
from isoloss.errors import OptionError
from isoloss.units import FLOPS_PER_PARAMETER_TOKEN

if TYPE_CHECKING:
    from isoloss.law.object import BoundLaw
    from isoloss.plan.flops import Cost
    from isoloss.stats.draws import Draws

__all__ = ["Plan", "Split", "check_rising", "least_loss"]

_LEAST_RATIO, _MOST_RATIO = 1e-8, 1e12  # tokens per parameter that are searched
_COARSE, _FINE, _REFINEMENTS = 65, 17, 3
_LOOK_UP = 1_000_000  # values of the law between two chances to interrupt it
_SERVING = 2.0  # FLOPs per parameter and token served
_LOOKED_AT = 512  # sizes at which a cost is checked
_HALVINGS = 55  # of the range that is searched, down to the last digits of ln N


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How a compute may be spent.

    Attributes
    ----------
    bound : BoundLaw
    rate : float
        FLOPs per parameter and token of training; about so many, where `cost` says more.
    others : mapping of str to float
        Values of the law's further variables.
    served : float
        Tokens to be served.
    cost : Cost or None
        FLOPs per token by size, where they are no multiple of N.
    """

    bound: BoundLaw
    rate: float
    others: Mapping[str, float]
    served: float = 0.0
    cost: Cost | None = None

    def tokens(self, N: F64, C: F64) -> F64:
        """Tokens to train on; not above zero where serving takes all."""
        each = self.per_token(N)
        with np.errstate(all="ignore"):  # absurd computes give no number of tokens, and then no loss
            if self.cost is None:
                return np.asarray(C / each - _SERVING * self.served / self.rate)
            left = C - self.served * self.cost.forward_at(N) if self.served else C
            return np.asarray(left / each)

    def per_token(self, N: F64) -> F64:
        """FLOPs to train on one token."""
        if self.cost is not None:
            return self.cost.training_at(N)
        with np.errstate(over="ignore"):
            return np.asarray(self.rate * N)

    def at_ratio(self, C: F64, ratio: float) -> F64:
        """Sizes that a compute trains on so many tokens per parameter; nothing is served.

        Parameters
        ----------
        C : ndarray of float64
        ratio : float
            Tokens per parameter.

        Returns
        -------
        ndarray of float64, of the shape of `C`
        """
        if self.cost is None:
            return np.asarray(np.sqrt(C / (self.rate * ratio)))
        low, high = _search_range(C, self.rate)
        for _ in range(_HALVINGS):  # a cost that rises with N may still do so in steps
            middle = 0.5 * (low + high)
            N = np.exp(middle)
            over = self.per_token(N) * ratio * N > C
            low, high = np.where(over, low, middle), np.where(over, middle, high)
        return np.exp(low)

    def loss(self, params: F64, N: F64, C: F64) -> F64:
        """(m, g) losses by parameters (m, p) at sizes and computes (m, g); infinite where there is none."""
        law = self.bound.law
        shape = np.broadcast_shapes((len(params), 1), N.shape, C.shape)
        D = np.broadcast_to(self.tokens(N, C), shape).ravel()
        able = D > 0.0
        at: dict[str, F64] = {"D": np.where(able, D, 1.0)}
        at |= {name: np.broadcast_to(values, shape).ravel() for name, values in (("N", N), ("C", C))}
        at |= {name: np.full(len(D), value) for name, value in self.others.items()}
        # The parameters stand in the order of the law, which is that of the draws.
        at |= {name: np.broadcast_to(params[:, j, None], shape).ravel() for j, name in enumerate(law.parameters)}
        constants = {**law.constants, **self.bound.constants}
        names = (*law.variables, *law.parameters)
        expression = _elementwise(law.expr, names, tuple(sorted(constants.items())))
        columns = [np.ascontiguousarray(at[name]) for name in expression.variables]
        value = expression.evaluate(columns, np.empty((1, 0)))[0]
        return np.where(able & np.isfinite(value), value, np.inf).reshape(shape)

    def least(self, params: F64, C: F64) -> tuple[F64, F64, NDArray[np.bool_]]:
        """N (m, k), loss (m, k), and whether the least point is at the end of the range.

        Parameters
        ----------
        params : (m, p) float64
        C : (k,) or (m, k) float64
        """
        m = len(params)
        budget = np.broadcast_to(C, (m, np.shape(C)[-1]))
        k = budget.shape[1]
        step = max(1, _LOOK_UP // (_COARSE * max(k, 1)))
        if m > step:  # some draws at a time: the copies stay small, and Python looks up between them
            parts = [self.least(params[at : at + step], budget[at : at + step]) for at in range(0, m, step)]
            found, least, ends = (np.concatenate(columns) for columns in zip(*parts, strict=True))
            return found, least, ends
        lanes = np.repeat(params, k, axis=0)
        compute = np.ascontiguousarray(budget).reshape(-1, 1)
        low, high = _search_range(compute[:, 0], self.rate)
        rows = np.arange(len(lanes))
        edge = np.zeros(len(lanes), dtype=np.bool_)
        for step in range(_REFINEMENTS + 1):
            grid = np.linspace(low, high, _COARSE if step == 0 else _FINE, axis=1)
            values = self.loss(lanes, np.exp(grid), compute)
            best = np.argmin(values, axis=1)
            if step == 0:
                edge = (best == 0) | (best == grid.shape[1] - 1)
            inner = np.clip(best, 1, grid.shape[1] - 2)
            low, high = grid[rows, inner - 1], grid[rows, inner + 1]
        x, y = grid[rows, inner], values[rows, inner]
        before, after = values[rows, inner - 1], values[rows, inner + 1]
        with np.errstate(divide="ignore", invalid="ignore"):  # infinite where there is no loss
            bend = before - 2.0 * y + after
            shift = np.where(bend > 0.0, 0.25 * (high - low) * (before - after) / bend, 0.0)
        x = np.where(edge, grid[rows, best], x + np.clip(np.nan_to_num(shift), low - x, high - x))
        N = np.exp(x)[:, None]
        return N.reshape(m, k), self.loss(lanes, N, compute).reshape(m, k), edge.reshape(m, k)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an allocation was made from.

    Attributes
    ----------
    split : Split
    params : (1 + m, p) float64
        The estimates, then the draws.
    draws : Draws or None
    """

    split: Split
    params: F64
    draws: Draws | None


def _search_range(C: F64, rate: float) -> tuple[F64, F64]:
    """Ends of the logarithms of N that are searched."""
    # The smallest budgets there are come to zero when divided.
    limits = np.finfo(np.float64)
    with np.errstate(over="ignore"):
        middle = 0.5 * np.log(np.clip(C / rate, limits.smallest_subnormal, limits.max))
    return middle - 0.5 * math.log(_MOST_RATIO), middle - 0.5 * math.log(_LEAST_RATIO)


def check_rising(cost: Cost | None, C: F64, rate: float = FLOPS_PER_PARAMETER_TOKEN) -> None:
    """Refuse a cost that falls somewhere on the way to larger sizes: a mistake in its formula.

    Parameters
    ----------
    cost : Cost or None
        FLOPs per token by size; None where they are a multiple of N, which rises.
    C : ndarray of float64
        FLOPs to be split.
    rate : float
        FLOPs per parameter and token, about.

    Raises
    ------
    OptionError
        Code ``option``: it falls, or gives what is no FLOPs.
    """
    if cost is None:
        return
    low, high = _search_range(np.array([C.min(), C.max()]), rate)
    sizes = np.exp(np.linspace(low[0], high[1], _LOOKED_AT))
    fallen = np.flatnonzero(np.diff(cost.training_at(sizes)) < 0.0)
    if len(fallen):
        at = sizes[fallen[0]]
        message = f"flops= falls from N = {at:.4g} on: a larger model cannot take fewer FLOPs per token"
        raise OptionError(message, argument="flops")


@lru_cache(maxsize=64)
def _elementwise(text: str, names: tuple[str, ...], constants: tuple[tuple[str, float], ...]) -> _core.Expression:
    """The law with its parameters as columns too, so that each draw has its own N."""
    return _core.Expression(text, variables=list(names), constants=dict(constants))


def least_loss(bound: BoundLaw, params: F64, budget: float) -> tuple[F64, F64]:
    """Compute-optimal N and its loss at C = 6 N D for parameters (B, p) of a law of N and D.

    Returns
    -------
    N, loss : (B,) float64
    """
    N, loss, _ = Split(bound=bound, rate=FLOPS_PER_PARAMETER_TOKEN, others={}).least(params, np.array([budget]))
    return N[:, 0], loss[:, 0]
