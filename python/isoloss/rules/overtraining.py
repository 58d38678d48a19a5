r"""The best tokens per parameter under the over-training law.

L(C, M) = E + (a M^eta + b M^-eta) C^-eta is least at M* = (b/a)^(1/(2 eta)), whatever the compute; what another M costs
follows from the law.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.law.parts import Published
from isoloss.laws.overtraining import GADRE, overtraining
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Optimum", "overtraining_optimum"]

F64 = NDArray[np.float64]


class Optimum(NamedTuple):
    """The best size, and what more tokens than that cost."""

    M: F64 | float
    N: F64 | float
    D: F64 | float
    loss: F64 | float
    penalty: F64 | float


def _optimum(C: F64 | float, M: F64 | float | None, E: float, a: float, eta: float, b: float) -> Optimum:
    def loss(ratio: F64 | float) -> F64 | float:
        return E + (a * ratio**eta + b * ratio**-eta) * C**-eta

    best = (b / a) ** (1.0 / (2.0 * eta))
    N = np.sqrt(C / (6.0 * best))
    return Optimum(best, N, best * N, loss(best), 0.0 if M is None else loss(M) - loss(best))


def overtraining_optimum() -> Rule:
    """Best tokens per parameter, size and tokens for compute, and the cost of over-training.

    Examples
    --------
    >>> import isoloss as iso
    >>> best = iso.rules.get("overtraining_optimum")("rpj", C="1e22", M=640)
    >>> round(best.M, 1), round(best.penalty, 3)
    (7.4, 0.106)
    """
    law = overtraining()
    return Rule(
        name="overtraining_optimum",
        family="overtraining",
        formula=("M = (b / a)**(1 / (2 * eta))", "N = sqrt(C / (6 * M))", "D = M * N"),
        gives="M, N, D, loss at the best M; penalty [nats per token] of the given M over it",
        function=_optimum,
        variables={
            "C": Quantity("FLOPs", "training compute, 6 N D"),
            "M": Quantity("tokens per parameter", "an M to compare", optional=True),
        },
        parameters={name: Quantity("1", parameter.meaning) for name, parameter in law.parameters.items()},
        source=GADRE,
        status="derived",
        published={
            key: Published(dict(item.params), item.source, note=item.note) for key, item in law.published.items()
        },
        notes=(
            (
                "The law's own optimum is far below 20 tokens per parameter: five runs hardly constrain it. The cost "
                "of "
                "over-training is better determined than where it starts."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType({"overtraining_optimum": overtraining_optimum})
"""The rules of this family by name."""
