"""What another size than the best costs: in loss, and in compute.

A model of N parameters trained with the compute C has some loss above the least that C can buy. The same loss could be
had by the best size with less compute, C'; the share C'/C says how much of the compute the other size is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss.engine.problem import F64
from isoloss.errors import DataError, OptionError
from isoloss.plain import plain_dict
from isoloss.shown import Shown
from isoloss.units import format_number, format_si, parse_number, real_numbers

if TYPE_CHECKING:
    from isoloss.plan.allocation import Allocation
    from isoloss.plan.optimum import Split

__all__ = ["Regret", "regret"]

_REACH = 60.0  # ln of how much less compute is looked at
_HALVINGS = 50


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Regret(Shown):
    """The price of another size at the same compute; made by `Allocation.regret`.

    Attributes
    ----------
    N, D, C : float or (k,) ndarray
        Parameters, tokens and compute.
    loss : float or (k,) ndarray
    penalty : float or (k,) ndarray
        Loss above the optimum.
    worth : float or (k,) ndarray
        Share of the compute with which the best size has the same loss; NaN where no compute is as bad.
    intervals : mapping of str to (low, high)
        Of ``"loss"``, ``"penalty"`` and ``"worth"``; empty without draws.
    level : float
    """

    N: Any
    D: Any
    C: Any
    loss: Any
    penalty: Any
    worth: Any
    intervals: Mapping[str, tuple[Any, Any]]
    level: float

    def __str__(self) -> str:
        def shown(name: str, k: int, digits: int) -> str:
            text = format_number(float(np.ravel(getattr(self, name))[k]), digits)
            if name not in self.intervals:
                return text
            low, high = (format_number(float(np.ravel(end)[k]), digits) for end in self.intervals[name])
            return f"{text} [{low}, {high}]"

        return "\n".join(
            f"N {format_si(float(N), 3)} | D {format_si(float(D), 3)} | loss {shown('loss', k, 4)}, "
            f"{shown('penalty', k, 4)} above the optimum | worth {shown('worth', k, 3)} of the compute"
            for k, (N, D) in enumerate(zip(np.ravel(self.N), np.ravel(self.D), strict=True))
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return plain_dict(
            {
                **{name: getattr(self, name) for name in ("N", "D", "C", "loss", "penalty", "worth")},
                "intervals": self.intervals,
                "level": self.level,
            }
        )


def regret(plan: Allocation, N: ArrayLike | str, level: float | None) -> Regret:
    """The price of another size; see `isoloss.Allocation.regret`."""
    if plan.plan is None:
        message = "this allocation was made without its fit: ask fit.allocate() for one"
        raise OptionError(message, argument="N")
    split, params, draws = plan.plan.split, plan.plan.params, plan.plan.draws
    budget = np.atleast_1d(np.asarray(plan.C, dtype=np.float64))
    given: Any = N
    if isinstance(N, Sequence) and not isinstance(N, str):
        given = [parse_number(one, "N") if isinstance(one, str) else one for one in N]
    size = real_numbers("N", given)
    if size.ndim > 1 or size.size not in (1, budget.size):
        message = f"N={N!r}: give one size, or one for each of the {budget.size} budgets"
        raise DataError(message, code="data-shape", column="N")
    size = np.broadcast_to(size, budget.shape)
    with np.errstate(all="ignore"):
        D = split.tokens(size, budget)
    if not np.all(np.isfinite(size) & (size > 0.0) & (D > 0.0)):
        message = f"N={N!r} is not a size above zero whose compute leaves tokens to train on"
        raise DataError(message, code="data-nonpositive", column="N")
    at, compute = size[None, :], budget[None, :]
    loss = split.loss(params, at, compute)
    _, least, _ = split.least(params, budget)
    found = {"loss": loss, "penalty": loss - least, "worth": _worth(split, params, budget, loss, least)}
    scalar = np.ndim(plan.C) == 0

    def shaped(values: F64) -> Any:
        return float(values[0]) if scalar else values

    chosen = plan.level if level is None else level
    intervals = {}
    if draws is not None:
        for name, values in found.items():
            low, high = draws.ends(values[1:], values[0], chosen)
            intervals[name] = (shaped(low), shaped(high))
    return Regret(
        N=shaped(np.asarray(size)),
        D=shaped(D),
        C=shaped(budget),
        **{name: shaped(values[0]) for name, values in found.items()},
        intervals=intervals,
        level=chosen,
    )


def _worth(split: Split, params: F64, budget: F64, loss: F64, least: F64) -> F64:
    """(m, k) share of the compute at which the least loss is this one, by bisection of its logarithm."""
    low, high = np.full(loss.shape, -_REACH), np.zeros(loss.shape)
    worst = split.least(params, budget * np.exp(low))[1]
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        worse = split.least(params, budget * np.exp(middle))[1] > loss
        low, high = np.where(worse, middle, low), np.where(worse, high, middle)
    share = np.exp(0.5 * (low + high))
    # The best size is worth all of the compute, whatever the last bits of its loss say.
    return np.where(loss <= least, 1.0, np.where(worst > loss, share, np.nan))
