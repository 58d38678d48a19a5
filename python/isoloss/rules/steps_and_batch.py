r"""Steps against tokens at a batch size, and compute-optimal exponents that follow from a training curve.

Reaching a loss takes S_min (1 + B_crit/B) steps and S_min B_crit (1 + B/B_crit) tokens at batch B (McCandlish et al.
2018; Kaplan et al. 2020; Su et al. 2024).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.laws.steps_and_batch import SU
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Tradeoff", "batch_tradeoff"]

F64 = NDArray[np.float64]


class Tradeoff(NamedTuple):
    """Steps and tokens at a batch size, and as multiples of the least."""

    steps: F64 | float
    tokens: F64 | float
    time: F64 | float
    data: F64 | float


def _tradeoff(batch: F64 | float, S_min: float, B_crit: float) -> Tradeoff:
    time, data = 1.0 + B_crit / batch, 1.0 + batch / B_crit
    return Tradeoff(S_min * time, S_min * B_crit * data, time, data)


def batch_tradeoff() -> Rule:
    """Steps and tokens that a batch size costs.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("batch_tradeoff")(batch=1e6, S_min=1000, B_crit=1e6)
    Tradeoff(steps=2000.0, tokens=2000000000.0, time=2.0, data=2.0)
    """
    return Rule(
        name="batch_tradeoff",
        family="steps_and_batch",
        formula=("S = S_min * (1 + B_crit / batch)", "E = S_min * B_crit * (1 + batch / B_crit)"),
        gives="steps, tokens; time and data: steps and tokens over their least",
        function=_tradeoff,
        variables={"batch": Quantity("tokens", "batch size")},
        parameters={
            "S_min": Quantity("steps", "least steps"),
            "B_crit": Quantity("tokens", "critical batch at the loss in question"),
        },
        source=SU,
        status="form verified",
        notes=("At the critical batch both are twice their least.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType({"batch_tradeoff": batch_tradeoff})
"""The rules of this family by name."""
