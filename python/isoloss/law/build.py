"""Checks behind `isoloss.law`: which names the text holds, and whether bounds, starts and pivots fit them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.errors import DataError, LawError, OptionError, did_you_mean
from isoloss.inner import Inner, Table, needs
from isoloss.law.parts import Bound, Parameter, Published, Recipe
from isoloss.objective import Objective, resolve
from isoloss.units import FLOPS_PER_PARAMETER_TOKEN, ROLES, complete_compute, parse_number, real_numbers

if TYPE_CHECKING:
    from isoloss.law.object import Law

__all__ = ["Starts", "build", "checked_variables", "free_names", "pivot_value", "resolved_bounds"]

F64 = NDArray[np.float64]
Starts = Mapping[str, tuple[float, ...]] | tuple[tuple[float, ...], ...] | None
_PIVOT_RULES = ("geomean", "median", "min", "max")
_NEVER_VARIABLES = ("loss", "weight", "trials")
_SAME_COMPUTE = 0.01  # by how much a C given with N and D may differ from 6 N D


def free_names(text: str) -> list[str]:
    """Names in a text in order of first appearance.

    Raises
    ------
    LawError
        Code ``law-syntax``: malformed; the message marks the position, which `details` holds as ``position``.
    """
    from isoloss import _core

    if not isinstance(text, str):
        raise LawError(f"a law is text, not {type(text).__name__}", code="law-syntax")
    # One character for one, so that positions hold while the caret line stays on one line.
    line = re.sub(r"\s", " ", text)
    if (sides := re.match(r" *(\w+) *=(?!=)", line)) is not None:
        message = f"malformed law: give what {sides[1]} equals without {sides[0].strip()!r} before it\n  {line}"
        raise LawError(message, code="law-syntax", position=sides.start(1), text=text)
    try:
        return _core.names(line)
    except UnicodeEncodeError as error:  # half a surrogate pair: what Python makes of bytes that are no text
        reason = "half a character"
        message = f"malformed law: {reason}, at position {error.start}\n  {line!a}"
        raise LawError(message, code="law-syntax", position=error.start, text=text, reason=reason) from None
    except _core.ExpressionError as error:
        reason, position = error.args[0], int(error.args[1])
        if reason.startswith("unknown function 'ln'"):
            reason = f"write log for the natural logarithm: {reason}"
        message = f"malformed law: {reason}, at position {position}\n  {line}\n  {' ' * position}^"
        raise LawError(message, code="law-syntax", position=position, text=text, reason=reason) from None


def build(
    text: str,
    *,
    variables: Sequence[str] | None,
    positive: Iterable[str],
    bounds: Mapping[str, tuple[Bound | None, Bound | None]],
    starts: Mapping[str, ArrayLike] | ArrayLike | None,
    pivots: Mapping[str, str | float],
    constants: Mapping[str, float],
    meanings: Mapping[str, str],
    units: Mapping[str, str],
    objective: Objective | str | None,
    recipe: Recipe | None,
    published: Mapping[str, Published],
    tables: Mapping[str, Mapping[str, ArrayLike]],
) -> dict[str, Any]:
    """The checked fields of a law, by the names they have in `isoloss.law.object.Law`."""
    found = free_names(text)
    names = [name for name in found if "." not in name]
    inner, whole = _tables([name for name in found if "." in name], tables)
    columns = _variables(names, variables, bool(inner or whole))
    numbers, rules = _constants(names, columns, constants, pivots)
    free = [n for n in names if n not in columns and n not in numbers and n not in rules]
    above_zero = {positive} if isinstance(positive, str) else set(positive)
    for argument, given in (("positive", above_zero), ("bounds", bounds), ("meanings", meanings)):
        _known(argument, given, free)
    _known("units", units, columns)
    parameters = {
        name: Parameter(
            name,
            name in above_zero,
            _bounds(name, name in above_zero, bounds.get(name)),
            meanings.get(name, ""),
        )
        for name in free
    }
    if recipe is None:
        recipe = Recipe() if objective is None else Recipe(resolve(objective))
    elif objective is not None:
        raise OptionError("give objective or recipe, not both", argument="objective")
    for key, values in published.items():
        values.check(key, free)
    return {
        "expr": " ".join(text.split()),
        "variables": columns,
        "parameters": parameters,
        "constants": numbers,
        "pivots": rules,
        "starts": _starts(starts, parameters),
        "recipe": recipe,
        "units": {n: units.get(n) or (ROLES[n].unit if n in ROLES else "") for n in columns},
        "published": dict(published),
        "inner": inner,
        "tables": whole,
    }


def _tables(
    dotted: list[str], given: Mapping[str, Mapping[str, ArrayLike]]
) -> tuple[dict[str, tuple[str, ...]], dict[str, Table]]:
    """Inner tables that come with the data, and those of the law itself."""
    used: dict[str, tuple[str, ...]] = {}
    for name in dotted:
        table, column = name.split(".")
        used[table] = (*used.get(table, ()), column)
    whole: dict[str, Table] = {}
    for name, columns in given.items():
        if name not in used:
            message = f"tables names {name!r}, which the law does not sum over{did_you_mean(name, used)}"
            raise LawError(message, code="law-unknown-name", name=name, argument="tables")
        whole[name] = Table(columns)
        for column in used[name]:
            if column not in whole[name].columns:
                message = f"tables[{name!r}] has no column {column!r}{did_you_mean(column, whole[name].columns)}"
                raise LawError(message, code="law-unknown-name", name=column, argument="tables")
    return {name: columns for name, columns in used.items() if name not in whole}, whole


def _known(argument: str, given: Iterable[str], names: Iterable[str]) -> None:
    names = list(names)
    for name in given:
        if name not in names:
            what = "variables" if argument == "units" else "parameters"
            near = did_you_mean(name, names)
            message = f"{argument} names {name!r}, which is not among the law's {what} {names}{near}"
            raise LawError(message, code="law-unknown-name", name=name, argument=argument)


def _variables(names: list[str], given: Sequence[str] | None, sums: bool) -> tuple[str, ...]:
    if given is None:
        found = tuple(n for n in names if n in ROLES and n not in _NEVER_VARIABLES)
    else:
        found = (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))
        for name in found:
            if name not in names:
                message = f"vars names {name!r}, which does not appear in the law{did_you_mean(name, names)}"
                raise LawError(message, code="law-unknown-name", name=name, argument="vars")
    if not found and not sums:
        alike = [f"{name.upper()} for {name!r}" for name in names if name.upper() in ROLES]
        hint = f"did you mean {' and '.join(alike)}? If not, " if alike else ""
        message = f"no variable among the names {names}; {hint}say which are columns of data, e.g. vars={names[-1:]}"
        raise LawError(message, code="law-no-variables", names=names)
    return found


def _constants(
    names: list[str],
    columns: tuple[str, ...],
    constants: Mapping[str, float],
    pivots: Mapping[str, str | float],
) -> tuple[dict[str, float], dict[str, str]]:
    numbers: dict[str, float] = {}
    rules: dict[str, str] = {}
    for argument, given in (("constants", constants), ("pivots", pivots)):
        for name, value in given.items():
            if name not in names:
                message = f"{argument} names {name!r}, which does not appear in the law{did_you_mean(name, names)}"
                raise LawError(message, code="law-unknown-name", name=name, argument=argument)
            if name in columns or name in numbers or name in rules:
                message = f"{name!r} is given as {argument[:-1]} and as something else"
                raise LawError(message, code="law-unknown-name", name=name, argument=argument)
            if argument == "pivots" and value in _PIVOT_RULES:
                if not (name.endswith("0") and name[:-1] in columns):
                    message = f"pivot {name!r} is not a variable's name followed by 0; variables: {list(columns)}"
                    raise LawError(message, code="law-pivot", name=name)
                rules[name] = str(value)
                continue
            try:
                number = parse_number(value)
            except (DataError, TypeError, ValueError):
                number = math.nan
            if not math.isfinite(number):
                wanted = "a number" if argument == "constants" else f"one of {', '.join(_PIVOT_RULES)} or a number"
                raise LawError(f"{argument}[{name!r}]={value!r} is not {wanted}", code="law-pivot", name=name)
            numbers[name] = number
    return numbers, rules


def _bounds(name: str, positive: bool, given: tuple[Bound | None, Bound | None] | None) -> tuple[Bound, Bound]:
    least = 0.0 if positive else -math.inf
    if given is None:
        return (least, math.inf)
    try:
        low, high = given
        lower = least if low is None else _bound(low)
        upper = math.inf if high is None else _bound(high)
    except (TypeError, ValueError) as error:
        message = f"bounds of {name!r}: {given!r} is not a pair (low, high) of numbers, None or 'min_loss'"
        raise LawError(message, code="law-bounds", name=name) from error
    if positive and lower == -math.inf:
        lower = 0.0
    if isinstance(lower, float) and isinstance(upper, float) and not lower < upper:
        message = f"bounds of {name!r}: low {lower:g} is not below high {upper:g}"
        raise LawError(message, code="law-bounds", name=name)
    if positive and isinstance(lower, float) and lower < 0.0:
        message = f"bounds of {name!r}: low {lower:g} is below zero, but the parameter is positive"
        raise LawError(message, code="law-bounds", name=name)
    return lower, upper


def _bound(value: Bound) -> Bound:
    if value == "min_loss":
        return "min_loss"
    number = parse_number(value)
    if math.isnan(number):
        raise ValueError("a bound is NaN")
    return number


def _starts(given: Mapping[str, ArrayLike] | ArrayLike | None, parameters: Mapping[str, Parameter]) -> Starts:
    if given is None:
        return None
    if isinstance(given, Mapping):
        _known("starts", given, parameters)
        grid: dict[str, tuple[float, ...]] = {}
        for name, values in given.items():
            column = _start_values(name, values)
            if column.ndim != 1 or column.size == 0:
                raise LawError(f"starts[{name!r}] is not a list of values", code="law-starts", name=name)
            _check_start(parameters[name], column)
            grid[name] = tuple(column.tolist())
        return grid
    points = _start_values("starts", given)
    if points.ndim != 2 or points.shape[1] != len(parameters) or points.shape[0] == 0:
        message = f"starts of shape {points.shape}: the law has {len(parameters)} parameters {list(parameters)}"
        raise LawError(message, code="law-starts")
    for column, parameter in zip(points.T, parameters.values(), strict=True):
        _check_start(parameter, column)
    return tuple(tuple(row) for row in points.tolist())


def _start_values(name: str, values: Any) -> F64:
    try:
        return np.atleast_1d(real_numbers(name, values))
    except DataError as error:
        raise LawError(f"starts: {error}", code="law-starts") from None


def _check_start(parameter: Parameter, values: F64) -> None:
    wrong = ~np.isfinite(values) | ((values <= 0.0) & parameter.positive)
    if wrong.any():
        reason = "not above zero" if parameter.positive else "not finite"
        message = f"starts: {parameter.name!r} has the value {values[wrong][0]:g}, which is {reason}"
        raise LawError(message, code="law-starts", name=parameter.name)


def pivot_value(name: str, rule: str, columns: Mapping[str, F64]) -> float:
    """The value of a pivot: a mean or an extreme of the column it is named after."""
    variable = name[:-1]
    if variable not in columns:
        message = f"pivot {name!r} needs the variable {variable!r}{did_you_mean(variable, columns)}"
        raise LawError(message, code="law-pivot", name=name)
    values = columns[variable]
    if rule == "geomean":
        if not np.all(values > 0.0):
            message = f"pivot {name!r}: the geometric mean of {variable!r} needs values above zero"
            raise LawError(message, code="law-pivot", name=name)
        return float(np.exp(np.mean(np.log(values))))
    if rule == "median":
        return float(np.median(values))
    return float(values.min() if rule == "min" else values.max())


def resolved_bounds(
    parameters: Mapping[str, Parameter],
    loss: F64 | None,
    overrides: Mapping[str, tuple[Bound | None, Bound | None]],
) -> tuple[F64, F64]:
    """Bounds as numbers in the order of the parameters; see `isoloss.law.object.Law.resolve_bounds`."""
    _known("bounds", overrides, parameters)
    pairs = [
        _bounds(p.name, p.positive, overrides[p.name]) if p.name in overrides else p.bounds for p in parameters.values()
    ]
    if loss is None and any("min_loss" in pair for pair in pairs):
        raise LawError("a bound is 'min_loss', but there are no losses to take it from", code="law-bounds")
    least = math.nan if loss is None else float(np.min(loss))
    numbers = np.array([[least if b == "min_loss" else b for b in pair] for pair in pairs], dtype=np.float64)
    numbers = numbers.reshape(len(pairs), 2)
    for name, (low, high) in zip(parameters, numbers, strict=True):
        if not low < high:
            raise LawError(
                f"bounds of {name!r}: low {low:g} is not below high {high:g}",
                code="law-bounds",
                name=name,
            )
    return numbers[:, 0].copy(), numbers[:, 1].copy()


def checked_variables(law: Law, values: Mapping[str, Any]) -> dict[str, F64 | Inner]:
    """The law's variables as arrays, and its inner tables; N, D and C complete each other."""
    tables = needs(law, values)
    arrays: dict[str, F64] = {}
    for name, value in values.items():
        if name in tables:
            continue
        arrays[name] = real_numbers(f"variable {name!r}", value)
    _broadcastable(arrays)
    if {"N", "D", "C"} <= {*arrays} and not {"N", "D", "C"} <= {*law.variables}:
        _agreeing_compute(arrays)
    completed = cast("dict[str, F64]", complete_compute(arrays)) if {*arrays} & {"N", "D", "C"} else arrays
    for name in arrays:
        if name not in law.variables and not (name in ("N", "D", "C") and {"N", "D", "C"} & {*law.variables}):
            message = f"law {law.name!r} has no variable {name!r}{did_you_mean(name, law.variables)}"
            raise LawError(message, code="law-unknown-name", name=name)
    missing = [name for name in law.variables if name not in completed]
    if missing:
        message = f"law {law.name!r}: no value for {', '.join(missing)}"
        raise LawError(message, code="law-missing-name", names=missing)
    for name in law.variables:
        array = completed[name]
        if not np.all(np.isfinite(array)):
            raise DataError(
                f"variable {name!r} holds a NaN or infinite value",
                code="data-nonfinite",
                column=name,
            )
        if name in ROLES and ROLES[name].positive and not np.all(array > 0.0):
            message = f"variable {name!r}: {array.min():g} is not above zero"
            raise DataError(message, code="data-nonpositive", column=name, value=float(array.min()))
    return {**{name: completed[name] for name in law.variables}, **tables}


def _agreeing_compute(arrays: Mapping[str, F64]) -> None:
    """Refuse N, D and C that say different things where the law needs two of them at most."""
    with np.errstate(all="ignore"):
        ratio = np.ravel(arrays["C"] / (FLOPS_PER_PARAMETER_TOKEN * arrays["N"] * arrays["D"]))
    apart = np.abs(ratio - 1.0)
    worst = int(np.nanargmax(apart)) if np.isfinite(apart).any() else 0
    if apart[worst] > _SAME_COMPUTE:
        message = f"C is {ratio[worst]:.3g} times 6 N D: give two of N, D and C, or three that agree"
        raise DataError(message, code="compute-contradictory", column="C", row=worst, value=float(ratio[worst]))


def _broadcastable(arrays: Mapping[str, F64]) -> None:
    """Refuse arrays whose shapes do not go together, by name."""
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items() if array.ndim)
        message = f"the arrays do not broadcast against each other: {shapes}"
        raise DataError(message, code="data-shape", shapes={n: a.shape for n, a in arrays.items()}) from None
