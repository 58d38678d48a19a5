r"""How to split parameters between encoder and decoder.

Under L = alpha (Ne0/N_e)^p_e (Nd0/N_d)^p_d + L_inf (Ghorbani et al. 2022) a budget B = N_e + N_d is best split in the
ratio of the exponents, and the reducible loss falls as B^-(p_e + p_d). Where parameters cost differently, the shares
are shares of the cost.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.laws.translation import NMT
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Split", "nmt_split"]

F64 = NDArray[np.float64]


class Split(NamedTuple):
    """Parameters of encoder and decoder."""

    encoder: F64 | float
    decoder: F64 | float


def _split(budget: F64 | float, p_e: float, p_d: float, cost_e: float, cost_d: float) -> Split:
    share = p_e / (p_e + p_d)
    return Split(budget * share / cost_e, budget * (1.0 - share) / cost_d)


def nmt_split() -> Rule:
    """Best encoder and decoder for a budget of parameters, or of cost.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("nmt_split")(budget="400M", p_e=0.1, p_d=0.3)
    Split(encoder=100000000.0, decoder=300000000.0)
    """
    return Rule(
        name="nmt_split",
        family="translation",
        formula=("N_e = budget * p_e / (p_e + p_d) / cost_e", "N_d = budget * p_d / (p_e + p_d) / cost_d"),
        gives="encoder, decoder [parameters]",
        function=_split,
        variables={"budget": Quantity("parameters", "of both together, or cost")},
        parameters={
            "p_e": Quantity("1", "exponent of the encoder"),
            "p_d": Quantity("1", "exponent of the decoder"),
            "cost_e": Quantity("1", "cost of a parameter of the encoder", 1.0),
            "cost_d": Quantity("1", "cost of a parameter of the decoder", 1.0),
        },
        source=NMT,
        status="derived",
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType({"nmt_split": nmt_split})
"""The rules of this family by name."""
