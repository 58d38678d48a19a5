r"""Performance at another sample size, from two: a straight line in ln N.

The second stage of Projektor (Kang et al. 2023) carries the performance of a mixture from sample sizes N0 and N1 to any
other without parameters.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError
from isoloss.laws.projektor import PROJEKTOR
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "projektor_projection"]

F64 = NDArray[np.float64]


def _project(n: F64 | float, n0: float, n1: float, perf0: F64 | float, perf1: F64 | float) -> F64 | float:
    if n0 == n1:
        raise DataError(
            f"inputs 'n0' and 'n1' are both {n0:g}: a line needs two sizes", code="rule-domain", column="n1"
        )
    line: F64 | float = (np.log(n / n0) * perf1 - np.log(n / n1) * perf0) / np.log(n1 / n0)
    return line


def projektor_projection() -> Rule:
    """Performance at n samples from that at n0 and n1.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.rules.get("projektor_projection")(n=4000, n0=1000, n1=2000, perf0=0.6, perf1=0.65), 12)
    0.7
    """
    return Rule(
        name="projektor_projection",
        family="projektor",
        formula=("perf = (log(n / n0) * perf1 - log(n / n1) * perf0) / log(n1 / n0)",),
        gives="performance at n",
        function=_project,
        variables={
            "n": Quantity("samples", "size to project to"),
            "n0": Quantity("samples", "first size"),
            "n1": Quantity("samples", "second size"),
            "perf0": Quantity("any", "performance at n0", positive=False),
            "perf1": Quantity("any", "performance at n1", positive=False),
        },
        source=PROJEKTOR,
        status="verified",
        notes=("Exact where performance is a + b ln n. The example of the paper: 1000 and 1500, projected to 10,000.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType({"projektor_projection": projektor_projection})
"""The rules of this family by name."""
