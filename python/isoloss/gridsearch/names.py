"""What the names in a search stand for: columns of axes, laws with their parameters, and expressions. Private.

A target becomes *definitions*: named texts for the engine, each with the numbers that stand for its own names. A law
brings its parameters as numbers; under draws they are columns of one more axis, along which they move together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isoloss.errors import LawError, OptionError, did_you_mean
from isoloss.fit.object import Fit
from isoloss.gridsearch.grids import Axis
from isoloss.law.build import free_names
from isoloss.law.object import BoundLaw, Law
from isoloss.stats.draws import Draws
from isoloss.units import FORMULAS, parse_number

__all__ = ["DRAW", "Definition", "Names", "is_name", "resolve"]

DRAW = "draw "
"""Begins the name of a parameter that is a column of the draws; a blank keeps it out of every text."""

_COMPUTE = {"C": "6 * N * D", "D": "C / (6 * N)", "N": "C / (6 * D)"}

Definition = tuple[str, str, dict[str, float], dict[str, str]]


@dataclass(slots=True)
class Names:
    """The definitions of a search in an order in which each knows those it uses.

    Attributes
    ----------
    definitions : list of (name, text, constants, aliases)
    minimize : str
        The expression to make least.
    draws : Draws or None
    drawn : str
        Name of the definition whose parameters are drawn.
    """

    definitions: list[Definition]
    minimize: str
    draws: Draws | None = None
    drawn: str = ""
    known: set[str] = field(default_factory=set)

    def with_draws(self, draws: Draws) -> list[Definition]:
        """The definitions with the drawn parameters as columns."""
        return [
            (name, text, {k: v for k, v in constants.items() if k not in draws.names}, _aliases(draws))
            if name == self.drawn
            else (name, text, constants, aliases)
            for name, text, constants, aliases in self.definitions
        ]

    def check(self, text: str, argument: str) -> None:
        """Refuse a text with a name that stands for nothing."""
        for name in free_names(text):
            if name not in self.known:
                hint = did_you_mean(name, self.known)
                message = (
                    f"{argument} names {name!r}, which is neither an axis nor a target (known: "
                    f"{', '.join(sorted(self.known))}){hint}"
                )
                raise LawError(message, code="law-unknown-name", name=name, argument=argument)


def is_name(text: Any) -> bool:
    """Whether a text is a name that expressions can use."""
    try:
        return isinstance(text, str) and free_names(text) == [text]
    except LawError:
        return False


def _aliases(draws: Draws) -> dict[str, str]:
    return {name: DRAW + name for name in draws.names}


def resolve(target: Any, axes: Sequence[Axis], minimize: str | None) -> Names:
    """The definitions behind a target.

    Parameters
    ----------
    target : bound law, Fit, Draws, text, or a mapping of names to these and to numbers
    axes : sequence of Axis
    minimize : str, optional
        Expression to make least; by default the first target.

    Raises
    ------
    LawError
        Codes ``law-missing-name``, ``law-unknown-name``: a law without parameters, or a name that stands for nothing.
    OptionError
        Code ``option``: a target of another type, two draws, or a law that sums over a table.
    """
    targets: Mapping[Any, Any] = target if isinstance(target, Mapping) else {_name(target): target}
    if not targets:
        raise OptionError("target names nothing to search", argument="target")
    columns = {name: axis.name for axis in axes for name in axis.columns}
    for name in targets:
        if not is_name(name):
            raise OptionError(f"target: {name!r} is no name that a text can use", argument="target")
        if name in columns:
            message = f"target: {name!r} is the name of a target and of an axis"
            raise OptionError(message, argument="target")
    made = Names(definitions=[], minimize=minimize or next(iter(targets)), known=set(columns))
    waiting: dict[str, tuple[Definition, list[str]]] = {}
    for name, one in targets.items():
        waiting[name] = _definition(made, name, one)
    # N, D and C complete each other unless the user says otherwise.
    for name, text in _COMPUTE.items():
        needed = free_names(text)
        if name not in columns and name not in waiting and all(n in columns or n in targets for n in needed):
            waiting = {name: ((name, text, {}, {}), needed), **waiting}
    while waiting:
        ready = [name for name, (_, needed) in waiting.items() if all(n in made.known for n in needed)]
        if not ready:
            _refuse(made, waiting)
        for name in ready:
            made.definitions.append(waiting.pop(name)[0])
            made.known.add(name)
    made.check(made.minimize, "minimize")
    return made


def _name(target: Any) -> str:
    return "value" if isinstance(target, str) else "loss"


def _definition(made: Names, name: str, one: Any) -> tuple[Definition, list[str]]:
    """A definition and the names it needs from elsewhere."""
    if isinstance(one, Draws):
        if made.draws is not None:
            raise OptionError("target has two sets of draws; search them one after the other", argument="target")
        made.draws, made.drawn = one, name
        one = one.bound
    if isinstance(one, Fit):
        one = one.bound
    if isinstance(one, Law):
        message = f"target {name!r}: law {one.name!r} has no values for its parameters yet; bind or fit it"
        raise LawError(message, code="law-missing-name", names=list(one.parameters))
    if isinstance(one, BoundLaw):
        if one.law.inner or one.law.tables:
            message = f"target {name!r}: law {one.law.name!r} sums over a table (sum_over), which a grid does not have"
            raise OptionError(message, argument="target")
        constants = {**one.law.constants, **one.constants, **one.params}
        return (name, one.law.expr, constants, {}), list(one.law.variables)
    if isinstance(one, str):
        return (name, one, {}, {}), free_names(one)
    if isinstance(one, (int, float)) and not isinstance(one, bool):
        return (name, repr(parse_number(one)), {}, {}), []
    message = f"target {name!r} is a {type(one).__name__}; give a bound law, a fit, draws or a text"
    raise OptionError(message, argument="target")


def _refuse(made: Names, waiting: Mapping[str, tuple[Definition, list[str]]]) -> None:
    for name, (_, needed) in waiting.items():
        for missing in needed:
            if missing not in made.known and missing not in waiting:
                hint = did_you_mean(missing, made.known)
                formula = f"; it would follow from {FORMULAS[missing]}" if missing in FORMULAS else ""
                message = f"target {name!r} needs {missing!r}, which is no axis{hint}{formula}"
                raise LawError(message, code="law-missing-name", name=missing, target=name)
    message = f"targets {', '.join(map(repr, waiting))} need each other in a circle"
    raise LawError(message, code="law-missing-name", names=list(waiting))
