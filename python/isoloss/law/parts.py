"""The parts of a law that carry knowledge rather than mathematics: parameters, recipe, source, published sets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from isoloss.errors import LawError
from isoloss.objective import Huber, Objective
from isoloss.units import format_number

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Bound", "Parameter", "Published", "Recipe", "Source", "frozen"]

Bound = float | str
"""A number, or ``"min_loss"``: the least loss among the fitted runs."""


Value = TypeVar("Value")


def frozen(mapping: Mapping[str, Value]) -> Mapping[str, Value]:
    """A read-only copy, so that a law shared by the registry cannot be changed in place."""
    return MappingProxyType(dict(mapping))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a law.

    Parameters
    ----------
    name : str
    positive : bool
        Above zero, and therefore solved in its logarithm.
    bounds : (low, high)
        Natural values; either may be ``"min_loss"``, and infinite where open.
    meaning : str
        What it stands for, with its unit.
    """

    name: str
    positive: bool = False
    bounds: tuple[Bound, Bound] = (-math.inf, math.inf)
    meaning: str = ""

    @property
    def domain(self) -> str:
        """The bounds in words, for cards."""
        low, high = self.bounds
        open_above = high == math.inf
        if self.positive and low == 0.0:
            return "> 0" if open_above else f"(0, {_bound_text(high)}]"
        if low == -math.inf:
            return "any" if open_above else f"<= {_bound_text(high)}"
        return f">= {_bound_text(low)}" if open_above else f"[{_bound_text(low)}, {_bound_text(high)}]"


def _bound_text(bound: Bound) -> str:
    return "min loss" if bound == "min_loss" else f"{bound:g}"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a law comes from.

    Parameters
    ----------
    paper : str
        Title.
    arxiv : str
        Identifier such as ``2203.15556``; empty if none.
    authors : str
    year : int or None
    """

    paper: str
    arxiv: str = ""
    authors: str = ""
    year: int | None = None

    def __str__(self) -> str:
        who = ", ".join(str(x) for x in (self.authors, self.year) if x)
        named = f"{self.paper}{f' ({who})' if who else ''}".strip()
        return ", ".join(part for part in (named, f"arXiv:{self.arxiv}" if self.arxiv else "") if part)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the authors fit the law: the objective, and in words the data and the starts.

    Parameters
    ----------
    objective : Objective
        Used by `isoloss.fit` unless another is given.
    notes : str
    """

    objective: Objective = field(default_factory=Huber)
    notes: str = ""

    def __str__(self) -> str:
        return self.objective.describe() + (f"; {self.notes}" if self.notes else "")


@dataclass(frozen=True, slots=True)
class Published:
    """Coefficients that were printed or released.

    Parameters
    ----------
    params : mapping of str to float
        Natural values by parameter name.
    source : str
        Where exactly the numbers stand.
    second_hand : bool
        True when they were taken from another paper's account and not checked against the authors' own text or code.
    note : str
        Precision, caveats.
    intervals : mapping of str to (float, float)
        Published 95 % intervals, where there are any.
    """

    params: Mapping[str, float]
    source: str
    second_hand: bool = False
    note: str = ""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", frozen({k: float(v) for k, v in self.params.items()}))
        object.__setattr__(
            self,
            "intervals",
            frozen({k: (float(a), float(b)) for k, (a, b) in self.intervals.items()}),
        )

    def __getitem__(self, name: str) -> float:
        return self.params[name]

    def __str__(self) -> str:
        values = "  ".join(f"{name} {format_number(value, 5)}" for name, value in self.params.items())
        evidence = f"second hand: {self.source}" if self.second_hand else self.source
        return f"{values}\n{evidence}" + (f"; {self.note}" if self.note else "")

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only mapping cannot be pickled itself.
        args = (dict(self.params), self.source, self.second_hand, self.note, dict(self.intervals))
        return type(self), args

    def check(self, key: str, names: list[str]) -> None:
        """Refuse a set that does not give each of the law's parameters once."""
        if sorted(self.params) != sorted(names):
            message = f"published set {key!r} gives {sorted(self.params)}, the law has {sorted(names)}"
            raise LawError(message, code="law-published", key=key)
