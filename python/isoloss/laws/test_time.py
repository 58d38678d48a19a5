r"""Repeated sampling: the share of problems solved by at least one of k attempts (Brown et al. 2024).

c(k) = exp(a k^b) with a and b below zero: -ln c falls as a power of k. Coverage itself is estimated without bias from n
attempts with m successes by 1 - C(n - m, k) / C(n, k), see the rule pass_at_k.

Reference: Brown et al. (2024), "Large Language Monkeys", arXiv:2407.21787, equation 3.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["BROWN", "ENTRIES"]

BROWN = Source(
    "Large Language Monkeys: Scaling Inference Compute with Repeated Sampling", "2407.21787", "Brown et al.", 2024
)


def _coverage() -> Law:
    """Coverage against the number of samples."""
    return law(
        "exp(a * k**b)",
        name="coverage",
        target="coverage",
        target_unit="share of problems solved",
        vars=["k"],
        bounds={"a": (-1e3, 0.0), "b": (-3.0, 0.0)},
        starts={"a": (-10.0, -3.0, -1.0, -0.3), "b": (-0.1, -0.25, -0.5, -0.9)},
        meanings={
            "a": "ln of the coverage of one sample",
            "b": "exponent: how fast -ln c falls with samples",
        },
        units={"k": "samples per problem"},
        recipe=Recipe(SquaredError(), "curve_fit on 40 points evenly spaced in ln k of one model and task"),
        family="test_time",
        status="second hand",
        source=BROWN,
        notes=(
            "Coverage is a ceiling for any way of choosing among the samples.",
            "Samples for a coverage c: k = (ln c / a)^(1 / b).",
            (
                "Not every task follows it (MiniF2F does not). Through 15.9 % at 1 and 56 % at 250 of SWE-bench Lite "
                "it gives "
                "26.9 % at 5, where 29.6 % is reported."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType({"coverage": _coverage})
"""The laws of this family by name; each is built when it is first asked for."""
