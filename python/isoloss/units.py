"""Numbers as people write them, the names of the field's quantities, and C = 6ND.

``7B`` is 7e9 and ``1.4T`` is 1.4e12, on the command line, in files and as arguments. A *role* is a quantity whose
name, unit and sign isoloss knows; any other name is a plain column.

The compute of a dense transformer is taken as C = 6 N D FLOPs (Kaplan et al. 2020, arXiv:2001.08361): two of the
three complete the third.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FLOPS_PER_PARAMETER_TOKEN",
    "FORMULAS",
    "ROLES",
    "Role",
    "complete_compute",
    "format_number",
    "format_range",
    "format_si",
    "parse_number",
    "real_numbers",
]

F64 = NDArray[np.float64]

FLOPS_PER_PARAMETER_TOKEN = 6.0
"""FLOPs per parameter and token, forward and backward pass together."""


@dataclass(frozen=True, slots=True)
class Role:
    """A quantity of the field: what it is, in which unit, and whether it must be above zero."""

    name: str
    unit: str
    meaning: str
    positive: bool = True


ROLES: Mapping[str, Role] = MappingProxyType(
    {
        role.name: role
        for role in (
            Role("N", "parameters", "model size"),
            Role("D", "tokens", "training tokens seen, repeats counted"),
            Role("C", "FLOPs", "training compute"),
            Role("lr", "1", "peak learning rate"),
            Role("batch", "tokens", "batch size"),
            Role("S", "steps", "optimiser steps"),
            Role("U", "tokens", "unique training tokens"),
            Role("loss", "nats per token", "loss to be explained", positive=False),
            Role("weight", "1", "weight of the run in the objective", positive=False),
            Role("trials", "1", "trials behind a pass fraction; read by the binomial objective", positive=False),
        )
    }
)
"""The roles by name. A law given as text takes those among them that it mentions as its variables, except the
loss and the weight, which are never variables of a law."""

FORMULAS: Mapping[str, str] = MappingProxyType({"C": "6 N D", "D": "C / (6 N)", "N": "C / (6 D)"})
"""How each of N, D and C follows from the other two."""

_SUFFIXES = {"": 0, "k": 3, "m": 6, "b": 9, "g": 9, "t": 12, "p": 15}
_NUMBER = re.compile(
    r"\s*([+-]?(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+))(?:[eE]([+-]?\d+))?\s*([kKmMbBgGtTpP]?)\s*",
    re.ASCII,
)


def real_numbers(name: str, values: Any, *, copy: bool = False) -> F64:
    """Values as float64, in whatever layout and byte order they come.

    Parameters
    ----------
    name : str
        What the values are called in an error.
    values : array_like or str
        Masked elements become NaN; a text is read by `parse_number`.
    copy : bool
        Whether the result must be an array of its own.

    Returns
    -------
    array of float64

    Raises
    ------
    DataError
        Codes ``data-nonnumeric``, ``number-syntax``: something is no real number. NumPy itself would drop imaginary
        parts and count the days of dates.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.units import real_numbers
    >>> real_numbers("N", np.array([1, 2], dtype=">i4"))
    array([1., 2.])
    >>> real_numbers("N", [1 + 2j])
    Traceback (most recent call last):
    isoloss.errors.DataError: N is of type complex128, which holds no real numbers
    """
    try:
        if isinstance(values, str):
            values = parse_number(values, name)
        elif isinstance(values, np.ma.MaskedArray):
            values = np.ma.filled(values.astype(np.float64), np.nan)
        array = np.asarray(values)
        if array.dtype.kind not in "biufOUS":
            message = f"{name} is of type {array.dtype}, which holds no real numbers"
            raise DataError(message, code="data-nonnumeric", column=name)
        return np.array(array, dtype=np.float64) if copy else np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        message = f"{name} is not an array of numbers with rows of one length: {error}"
        raise DataError(message, code="data-nonnumeric", column=name) from None
    except OverflowError:
        message = f"{name} holds an integer beyond the range of doubles, 1.8e308"
        raise DataError(message, code="data-nonfinite", column=name) from None


def parse_number(text: str | float, name: str = "") -> float:
    """A number written by a person.

    Parameters
    ----------
    text : str or number
        ``7B``, ``1.4T``, ``1e24``, ``1_000``; suffixes K, M, B (or G), T and P in either case. A number passes
        through.
    name : str
        What it is called in an error.

    Returns
    -------
    float

    Raises
    ------
    DataError
        Code ``number-syntax``: not a number.

    Examples
    --------
    >>> from isoloss.units import parse_number
    >>> parse_number("7B"), parse_number("1.4T"), parse_number("1e24")
    (7000000000.0, 1400000000000.0, 1e+24)
    """
    if not isinstance(text, str):
        return _as_float(text, name)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise DataError(_no_number(text, name), code="number-syntax", value=text)
    digits, exponent, suffix = match.groups()
    # Through one decimal literal, so that 1.1B is the double nearest to 1.1e9 rather than 1.1 * 1e9.
    power = int(exponent or 0) + _SUFFIXES[suffix.lower()]
    return float(f"{digits}e{power}")


def _no_number(given: Any, name: str) -> str:
    return f"{f'{name}: ' if name else ''}{given!r:.80} is not a number; write 7e9, 7B or 1.4T"


def _as_float(number: Any, name: str) -> float:
    """What passes for a number; beyond the range of doubles it is infinite, as it is in a text."""
    if number is np.ma.masked:
        return math.nan
    try:
        if np.ndim(number) or isinstance(number, (bytes, np.bytes_)):
            raise TypeError
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
    except (TypeError, ValueError):
        raise DataError(_no_number(number, name), code="number-syntax", value=str(number)[:80]) from None


def format_number(value: float, digits: int = 4) -> str:
    """A number to so many significant digits, without a padded exponent.

    Parameters
    ----------
    value : float
    digits : int
        Significant digits.

    Examples
    --------
    >>> from isoloss.units import format_number
    >>> [format_number(x) for x in (0.34731049, 2143.417, 1.018274e-3, 5.76e23)]
    ['0.3473', '2143', '0.001018', '5.76e23']
    """
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value == 0.0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    magnitude = int(exponent)
    if -4 <= magnitude < max(digits, 6):
        return f"{value:.{max(digits - 1 - magnitude, 0)}f}"
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{magnitude}"


def format_si(value: float, digits: int = 3) -> str:
    """A count with the suffix K, M, B or T.

    Parameters
    ----------
    value : float
    digits : int
        Significant digits.

    Examples
    --------
    >>> from isoloss.units import format_si
    >>> [format_si(x) for x in (70e9, 1.4e12, 999.96e6, 512, 8, 1e24)]
    ['70.0B', '1.40T', '1.00B', '512', '8', '1e24']
    """
    if abs(value) < 1e3 and float(value).is_integer():
        return str(int(value))
    if not math.isfinite(value) or abs(value) < 1e3 or abs(value) >= 1e15:
        return format_number(value, digits)
    # Rounding first lets 999.96e6 carry into the next suffix.
    rounded = float(f"{value:.{digits - 1}e}")
    for suffix, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(rounded) >= scale:
            if abs(rounded) >= 1e15:
                break
            whole = len(str(int(abs(rounded) / scale)))
            return f"{rounded / scale:.{max(digits - whole, 0)}f}{suffix}"
    return format_number(value, digits)


def format_range(name: str, low: float, high: float) -> str:
    """The range of a column in the style that suits its name.

    Examples
    --------
    >>> from isoloss.units import format_range
    >>> format_range("N", 44e6, 16e9), format_range("loss", 2.01, 3.9)
    ('44.0M .. 16.0B', '2.01 .. 3.9')
    """
    show = format_si if name in {"N", "D", "U", "batch", "S"} else _trimmed
    return show(low) if low == high else f"{show(low)} .. {show(high)}"


def _trimmed(value: float) -> str:
    text = format_number(value, 4)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


Quantity = TypeVar("Quantity", float, NDArray[np.float64])


def complete_compute(values: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Add whichever of N, D and C follows from the other two by C = 6 N D.

    Parameters
    ----------
    values : mapping
        Any columns or numbers; N in parameters, D in tokens, C in FLOPs.

    Returns
    -------
    dict
        The same values and the derived one. Nothing is added when fewer than two, or all three, are present.

    Examples
    --------
    >>> from isoloss.units import complete_compute
    >>> complete_compute({"N": 70e9, "D": 1.4e12})["C"]
    5.88e+23
    """
    done = dict(values)
    # What leaves the range of doubles becomes infinite or zero; whoever uses the result refuses that by name.
    with np.errstate(all="ignore"):
        if "C" not in done and "N" in done and "D" in done:
            done["C"] = FLOPS_PER_PARAMETER_TOKEN * done["N"] * done["D"]
        elif "D" not in done and "N" in done and "C" in done:
            done["D"] = done["C"] / (FLOPS_PER_PARAMETER_TOKEN * done["N"])
        elif "N" not in done and "D" in done and "C" in done:
            done["N"] = done["C"] / (FLOPS_PER_PARAMETER_TOKEN * done["D"])
    return done
