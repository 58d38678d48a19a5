r"""What parallel streams are worth in parameters.

Under the ParScale law (Chen et al. 2025) P streams count as a model 1 + k ln P times as large, and a model r times as
large needs exp((r - 1)/k) streams to be matched.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.law.parts import Published
from isoloss.laws.parallel import PARSCALE, parscale
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "parscale_equivalent", "parscale_streams"]

F64 = NDArray[np.float64]
_FAMILY = "parallel"


def _equivalent(P: F64 | float, k: F64 | float) -> F64 | float:
    return 1.0 + k * np.log(P)


def _streams(ratio: F64 | float, k: F64 | float) -> F64 | float:
    return np.exp((ratio - 1.0) / k)


def _k() -> dict[str, Published]:
    return {
        key: Published({"k": published["k"]}, published.source, note=published.note)
        for key, published in parscale().published.items()
    }


_PARAMETERS = {"k": Quantity("1", "gain of a stream")}


def parscale_equivalent() -> Rule:
    """How many times larger a model P streams are worth.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("parscale_equivalent")("pile", P=[1, 2, 4, 8]).round(3)
    array([1.   , 1.232, 1.464, 1.696])
    """
    return Rule(
        name="parscale_equivalent",
        family=_FAMILY,
        formula=("ratio = 1 + k * log(P)",),
        gives="factor of parameters",
        function=_equivalent,
        variables={"P": Quantity("streams", "parallel streams", low=1.0)},
        parameters=_PARAMETERS,
        source=PARSCALE,
        status="verified",
        published=_k(),
    )


def parscale_streams() -> Rule:
    """Streams that match a larger model.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.rules.get("parscale_streams")("stack", ratio=2), 1)
    12.7
    """
    return Rule(
        name="parscale_streams",
        family=_FAMILY,
        formula=("P = exp((ratio - 1) / k)",),
        gives="streams; they grow exponentially with the size to match",
        function=_streams,
        variables={"ratio": Quantity("1", "size to match over size at hand", low=1.0)},
        parameters=_PARAMETERS,
        source=PARSCALE,
        status="derived",
        published=_k(),
        notes=("Measured for up to 8 streams.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {"parscale_equivalent": parscale_equivalent, "parscale_streams": parscale_streams}
)
"""The rules of this family by name."""
