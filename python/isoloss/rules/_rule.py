"""A rule: a formula of a paper as a documented calculator, where there is no curve to fit.

A `Rule` is to a calculator what `isoloss.Law` is to a curve: its formula, inputs with units, source and published
settings stand together, and `print` shows them. It is called with its inputs by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isoloss.errors import DataError, LawError, did_you_mean
from isoloss.law.card import aligned, provenance, wrapped
from isoloss.law.parts import Published, Source, frozen
from isoloss.law.view import View
from isoloss.units import format_number, real_numbers

__all__ = ["Quantity", "Rule"]

NO_LAW = "The paper states no fitted law: this is a calculator."


@dataclass(frozen=True, slots=True)
class Quantity:
    """An input of a rule.

    Parameters
    ----------
    unit : str
        ``"1"`` for a pure number.
    meaning : str
    default : optional
        Taken when the input is not given; without one it must be.
    low, high : float
        Closed range; `positive` opens it at zero.
    positive : bool
        Above zero.
    numeric : bool
        False for an input that is no number or array of numbers (a word, a fitted law); it is passed on as it is.
    optional : bool
        May be left out; the rule then gets None. So may every parameter that is not numeric.
    """

    unit: str
    meaning: str
    default: Any = None
    low: float = -math.inf
    high: float = math.inf
    positive: bool = True
    numeric: bool = True
    optional: bool = False

    @property
    def domain(self) -> str:
        """The range in words, for cards."""
        if not self.numeric:
            return ""
        if self.positive and self.low <= 0.0:
            return "> 0" if self.high == math.inf else f"(0, {self.high:g}]"
        if self.low == -math.inf:
            return "" if self.high == math.inf else f"<= {self.high:g}"
        return f">= {self.low:g}" if self.high == math.inf else f"[{self.low:g}, {self.high:g}]"


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Rule(View):
    """A calculator with its provenance; take one from `isoloss.rules`.

    Attributes
    ----------
    name, family : str
    formula : tuple of str
        One equation a line; what the grammar of laws can say is typeset in notebooks.
    gives : str
        What the call returns, with units.
    function : callable
        The calculation, on checked numbers and arrays.
    variables, parameters : mapping of str to Quantity
        Inputs that change from call to call, and settings that a paper may publish.
    source : Source or None
    notes : tuple of str
        Conventions and errata.
    status : str
        What was checked; see `isoloss.laws.STATUS`.
    published : mapping of str to Published
        Settings of the paper; their key can be given as first argument.
    states_law : bool
        False where the paper states no law that could be fitted; the card says so.
    latex_lines : tuple of str
        LaTeX of the formula where its text is beyond the grammar of laws.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("compound_scaling")
    >>> round(rule("fast", s=4).width, 3)
    1.741
    """

    name: str
    family: str
    formula: tuple[str, ...]
    gives: str
    function: Callable[..., Any]
    variables: Mapping[str, Quantity]
    parameters: Mapping[str, Quantity] = field(default_factory=dict)
    source: Source | None = None
    notes: tuple[str, ...] = ()
    status: str = "verified"
    published: Mapping[str, Published] = field(default_factory=dict)
    states_law: bool = True
    latex_lines: tuple[str, ...] = ()
    kind: str = "rule"

    def __post_init__(self) -> None:
        for name in ("variables", "parameters", "published"):
            object.__setattr__(self, name, frozen(getattr(self, name)))
        for key, published in self.published.items():
            for name in published.params:
                if name not in self.parameters:
                    message = f"rule {self.name!r}: published set {key!r} gives {name!r}, which is no parameter"
                    raise LawError(message, code="law-published", key=key)

    @property
    def inputs(self) -> dict[str, Quantity]:
        """Variables and parameters together."""
        return {**self.variables, **self.parameters}

    def __call__(self, published: str | None = None, /, **values: Any) -> Any:
        """Calculate.

        Parameters
        ----------
        published : str, optional
            Key of a published set, which gives parameters; `values` go over it.
        **values
            Inputs by name: numbers, texts such as ``"7B"``, or arrays that broadcast.

        Returns
        -------
        float, ndarray or named tuple
            As `gives` says; floats where all inputs are numbers.

        Raises
        ------
        LawError
            Codes ``law-unknown-name``, ``law-missing-name``: inputs the rule does not have, or lacks.
        DataError
            Codes ``data-nonnumeric``, ``data-nonfinite``, ``rule-domain``: a value that the input cannot take.
        """
        given = dict(values)
        if published is not None:
            if published not in self.published:
                near = did_you_mean(published, self.published)
                message = f"rule {self.name!r} has no published set {published!r}{near}"
                raise LawError(message, code="law-unknown-name", name=published)
            given = {**self.published[published].params, **given}
        inputs = self.inputs
        for name in given:
            if name not in inputs:
                message = f"rule {self.name!r} has no input {name!r}{did_you_mean(name, inputs)}"
                raise LawError(message, code="law-unknown-name", name=name)
        taken = {name: given.get(name, quantity.default) for name, quantity in inputs.items()}
        free = {name for name, item in inputs.items() if item.optional}
        free |= {name for name, item in self.parameters.items() if not item.numeric}
        missing = [name for name, value in taken.items() if value is None and name not in free]
        if missing:
            message = f"rule {self.name!r}: no value for {', '.join(missing)}"
            raise LawError(message, code="law-missing-name", names=missing)
        return _plain(self.function(**{name: _checked(name, inputs[name], value) for name, value in taken.items()}))

    def card(self) -> str:
        """What `print` shows: everything known about the rule."""
        lines = [self.name]
        for line in self.formula:
            lines += wrapped(line, 2, hang=4)
        for title, group in (("variables", self.variables), ("parameters", self.parameters)):
            if group:
                rows = [(name, f"[{q.unit}] {q.domain}".strip(), _meaning(q)) for name, q in group.items()]
                lines += [f"  {title}", *aligned(rows)]
        lines += wrapped(f"gives: {self.gives}", 2)
        if not self.states_law:
            lines += wrapped(NO_LAW, 2)
        return "\n".join(lines + provenance(self.source, self.published, self.notes))

    def latex(self) -> str:
        """The formula in LaTeX, without delimiters; notebooks show it typeset."""
        from isoloss.law.latex import typeset

        return r" \\ ".join(self.latex_lines or tuple(typeset(line) for line in self.formula))

    def __repr__(self) -> str:
        return f"Rule({self.name!r}, inputs={tuple(self.inputs)})"

    def __reduce__(self) -> tuple[Any, ...]:
        from isoloss import rules

        return rules.get, (self.name,)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""

        def quantity(item: Quantity) -> dict[str, Any]:
            return {"unit": item.unit, "meaning": item.meaning, "default": item.default, "domain": item.domain}

        return {
            "name": self.name,
            "kind": self.kind,
            "family": self.family,
            "formula": list(self.formula),
            "gives": self.gives,
            "variables": {name: quantity(item) for name, item in self.variables.items()},
            "parameters": {name: quantity(item) for name, item in self.parameters.items()},
            "states_law": self.states_law,
            "status": self.status,
            "source": None
            if self.source is None
            else {f: getattr(self.source, f) for f in ("paper", "arxiv", "authors", "year")},
            "notes": list(self.notes),
            "published": {
                key: {
                    "params": dict(p.params),
                    "source": p.source,
                    "second_hand": p.second_hand,
                    "note": p.note,
                }
                for key, p in self.published.items()
            },
        }


def _meaning(quantity: Quantity) -> str:
    if quantity.default is None:
        return quantity.meaning + (" (may be left out)" if quantity.optional else "")
    default = quantity.default
    shown = format_number(default) if isinstance(default, (int, float)) else str(default)
    return f"{quantity.meaning} (default {shown})"


def _checked(name: str, quantity: Quantity, value: Any) -> Any:
    if value is None or not quantity.numeric:
        return value
    array = real_numbers(f"input {name!r}", value)
    if not np.all(np.isfinite(array)):
        raise DataError(f"input {name!r} holds a NaN or infinite value", code="data-nonfinite", column=name)
    wrong = (array < quantity.low) | (array > quantity.high)
    if quantity.positive:
        wrong |= array <= 0.0
    if wrong.any():
        first = float(array[wrong].flat[0]) if array.ndim else float(array)
        message = f"input {name!r}: {first:g} is outside its range, {quantity.domain}"
        raise DataError(message, code="rule-domain", column=name, value=first)
    return float(array) if array.ndim == 0 else array


def _plain(value: Any) -> Any:
    """Numbers of Python for numbers of NumPy; the fields of a named tuple one by one."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_plain(item) for item in value))
    return value
