r"""Baselines that every comparison of laws should hold: straight lines in logarithms.

ln L = a + b ln x: no floor, no curvature. A law with a floor that does not beat this line on held-out runs has not been
shown to need its floor. The other baseline, the nearest run, is the rule nearest_run.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Recipe, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "log_linear"]

_WHAT = {"N": "size", "D": "data", "C": "compute"}


def log_linear(variables: str) -> Law:
    """Ln L as a linear function of the logarithms of one or two of N, D and C.

    Parameters
    ----------
    variables : {"ND", "N", "D", "C"}

    Returns
    -------
    Law

    Examples
    --------
    >>> from isoloss.laws.baselines import log_linear
    >>> log_linear("ND").expr
    'exp(a + b_N * log(N) + b_D * log(D))'
    """
    terms = " + ".join(f"b_{x} * log({x})" for x in variables)
    return law(
        f"exp(a + {terms})",
        name="log_linear" if variables == "ND" else f"log_linear_{variables}",
        vars=list(variables),
        bounds={"a": (-100.0, 100.0), **{f"b_{x}": (-3.0, 1.0) for x in variables}},
        starts={"a": (1.0, 4.0), **{f"b_{x}": (-0.02, -0.08) for x in variables}},
        meanings={
            "a": "ln of the loss where all variables are 1",
            **{f"b_{x}": f"slope of ln L in ln of {_WHAT[x]}" for x in variables},
        },
        recipe=Recipe(SquaredError(space="log"), "ordinary least squares in logarithms"),
        family="baselines",
        status="form only",
        notes=("A baseline, not a law of nature: it has no floor and fails at scale.",),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "log_linear": partial(log_linear, "ND"),
        "log_linear_N": partial(log_linear, "N"),
        "log_linear_D": partial(log_linear, "D"),
        "log_linear_C": partial(log_linear, "C"),
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
