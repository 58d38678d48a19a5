"""Checks of arguments that many calls take: a level of confidence, a whole number within limits.

A wrong argument gives `isoloss.errors.OptionError` that names it, its value and what it may be, whatever its type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from isoloss.errors import OptionError

__all__ = ["by_name", "level_between", "several", "whole"]


def whole(name: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """An argument that counts something.

    Raises
    ------
    OptionError
        Code ``option``: no integer, or below `least`, or above `most`.

    Examples
    --------
    >>> from isoloss.checks import whole
    >>> whole("draws", 100)
    100
    >>> whole("draws", 0.5)
    Traceback (most recent call last):
    isoloss.errors.OptionError: draws=0.5 is not a whole number from 0 up
    """
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if integer and least <= value and (most is None or value <= most):
        return int(value)
    end = "up" if most is None else f"to {most:,}"
    message = f"{name}={value!r} is not a whole number from {least} {end}"
    raise OptionError(message, argument=name)


def by_name(argument: str, given: Any, example: str) -> dict[str, Any]:
    """An argument that gives something to names, as a dict; None is none.

    Raises
    ------
    OptionError
        Code ``option``: no mapping.

    Examples
    --------
    >>> from isoloss.checks import by_name
    >>> by_name("fix", ["E"], "{'E': 1.69}")
    Traceback (most recent call last):
    isoloss.errors.OptionError: fix=['E'] is not a mapping by name, such as {'E': 1.69}
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    raise OptionError(f"{argument}={given!r} is not a mapping by name, such as {example}", argument=argument)


def several(argument: str, given: Any, kind: type | tuple[type, ...] = str, what: str = "names") -> tuple[Any, ...]:
    """An argument that takes one thing or a sequence of such things, as a tuple.

    Raises
    ------
    OptionError
        Code ``option``: something is not of that kind.

    Examples
    --------
    >>> from isoloss.checks import several
    >>> several("labels", "recipe"), several("labels", ["recipe", "corpus"])
    (('recipe',), ('recipe', 'corpus'))
    >>> several("labels", [7])
    Traceback (most recent call last):
    isoloss.errors.OptionError: labels=[7] is not a sequence of names
    """
    if isinstance(given, kind):
        return (given,)
    single = isinstance(given, (str, bytes)) or (isinstance(given, np.ndarray) and given.ndim == 0)
    if isinstance(given, Iterable) and not single:
        found = tuple(given)
        if all(isinstance(one, kind) for one in found):
            return found
    raise OptionError(f"{argument}={given!r:.200} is not a sequence of {what}", argument=argument)


def level_between(level: Any) -> float:
    """A level of confidence, such as 0.95.

    Raises
    ------
    OptionError
        Code ``option``: not a number between 0 and 1.
    """
    if isinstance(level, (int, float, np.number)) and not isinstance(level, bool) and 0.0 < level < 1.0:
        return float(level)
    raise OptionError(f"level={level!r} is not a number between 0 and 1, such as 0.95", argument="level")
