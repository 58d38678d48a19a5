r"""Performance of a mixture of data sources from small samples of them.

Kang et al. (2023) first fit performance at one sample size as a function of the mixture and of its optimal-transport
distance OT to the validation set, quadratic in the shares and linear in OT; then they carry it to other sizes along a
straight line in ln N through two such fits, without parameters: the rule ``projektor_projection``.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.errors import OptionError
from isoloss.law.object import Law, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "PROJEKTOR", "projektor_mixture"]

PROJEKTOR = Source(
    "Performance Scaling via Optimal Transport: Enabling Data Selection from Partially Revealed Sources",
    "2307.02460",
    "Kang et al.",
    2023,
)


def projektor_mixture(sources: int = 3) -> Law:
    """First stage, (sum b2_i p_i^2 + b1_i p_i + b0) OT + sum c2_i p_i^2 + c1_i p_i + c0.

    Parameters
    ----------
    sources : int
        At least 2. The share of the last source follows from the others, so it is left out.

    Raises
    ------
    OptionError
        Code ``option``: fewer than two sources.

    Examples
    --------
    >>> from isoloss.laws.projektor import projektor_mixture
    >>> projektor_mixture(2).expr
    '(b2_1 * p1**2 + b1_1 * p1 + b0) * OT + c2_1 * p1**2 + c1_1 * p1 + c0'
    """
    if sources < 2:
        raise OptionError(f"a mixture has at least two sources, not {sources}", argument="sources")
    shares = range(1, sources)

    def quadratic(letter: str) -> str:
        return " + ".join(f"{letter}2_{i} * p{i}**2 + {letter}1_{i} * p{i}" for i in shares)

    meanings = {"b0": "effect of the distance", "c0": "performance at distance 0"}
    for i in shares:
        meanings |= {
            f"b2_{i}": f"effect of the distance, squared share {i}",
            f"b1_{i}": f"effect of the distance, share {i}",
            f"c2_{i}": f"performance at distance 0, squared share {i}",
            f"c1_{i}": f"performance at distance 0, share {i}",
        }
    return law(
        f"({quadratic('b')} + b0) * OT + {quadratic('c')} + c0",
        name="projektor_mixture" if sources == 3 else f"projektor_mixture_{sources}",
        vars=[*(f"p{i}" for i in shares), "OT"],
        meanings=meanings,
        units={
            "OT": "optimal-transport distance to the validation set",
            **{f"p{i}": f"share of source {i}" for i in shares},
        },
        target="perf",
        target_unit="performance, accuracy in the paper",
        recipe=Recipe(SquaredError(space="raw"), "linear regression at one sample size; median over five repeats"),
        family="projektor",
        status="form verified",
        source=PROJEKTOR,
        notes=(
            (
                "The shares sum to one, so one source is left out. projektor_mixture(sources) makes the law for others "
                "than three."
            ),
            (
                "The authors' notebook leaves out the squared shares at distance 0, has a wrong projection in a "
                "comment, "
                "and "
                "steps along the gradient at the smaller size where it computes the projected one."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType({"projektor_mixture": partial(projektor_mixture, 3)})
"""The laws of this family by name; each is built when it is first asked for."""
