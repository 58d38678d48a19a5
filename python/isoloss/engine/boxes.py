r"""Boxes of starting points: named ranges filled by a low-discrepancy sequence. Public as `isoloss.starts`.

Halton (1960) writes the point number in the bases 2, 3, 5, ... and mirrors the digits at the point; Sobol (1967) does
so in base 2, with matrices that make every block of 2^k points even in many projections at once (direction numbers of
Joe and Kuo 2008). A seed shifts all points around the unit cube (Cranley and Patterson 1976), so that another seed
covers the box as evenly with other points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.checks import whole
from isoloss.errors import LawError, OptionError
from isoloss.units import parse_number

__all__ = ["Box", "halton", "sobol"]

F64 = NDArray[np.float64]
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)
# Primitive polynomials with all their bits, and the first direction numbers, from the second dimension on.
_SOBOL: tuple[tuple[int, tuple[int, ...]], ...] = (
    (3, (1,)),
    (7, (1, 3)),
    (11, (1, 3, 1)),
    (13, (1, 1, 1)),
    (19, (1, 1, 3, 3)),
    (25, (1, 3, 5, 13)),
    (37, (1, 1, 5, 5, 17)),
    (41, (1, 1, 5, 5, 5)),
    (47, (1, 1, 7, 11, 19)),
    (55, (1, 1, 5, 1, 1)),
    (59, (1, 1, 1, 3, 11)),
    (61, (1, 3, 5, 5, 31)),
    (67, (1, 3, 3, 9, 7, 49)),
    (91, (1, 1, 1, 15, 21, 21)),
    (97, (1, 3, 1, 13, 27, 49)),
)
_MOST = len(_PRIMES)
_BITS = 30


@dataclass(frozen=True)
class Box:
    """Starting points spread over named ranges; made by `halton` and `sobol`.

    Attributes
    ----------
    n : int
        Number of points.
    ranges : mapping of str to (low, high)
        By parameter, natural values.
    sequence : {"halton", "sobol"}
    seed : int
        Shifts the points.
    """

    n: int
    ranges: Mapping[str, tuple[float, float]]
    sequence: str = "halton"
    seed: int = 0

    def __post_init__(self) -> None:
        whole("n", self.n, 1)
        if self.sequence not in ("halton", "sobol"):
            message = f"sequence={self.sequence!r} is neither 'halton' nor 'sobol'"
            raise OptionError(message, argument="sequence")
        if not 1 <= len(self.ranges) <= _MOST:
            message = f"a box has 1 to {_MOST} parameters, not {len(self.ranges)}"
            raise OptionError(message, argument="box")
        checked = {name: _range(name, given) for name, given in self.ranges.items()}
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "ranges", MappingProxyType(checked))

    def unit(self) -> F64:
        """(n, k) points in the unit cube, a column for each name."""
        k = len(self.ranges)
        cube = _halton(self.n, k) if self.sequence == "halton" else _sobol(self.n, k)
        shift = 0.0 if self.seed == 0 else np.random.default_rng(self.seed).random(k)
        return np.asarray((cube + shift) % 1.0)

    def columns(self, positive: Mapping[str, bool]) -> dict[str, F64]:
        """Values by name: evenly in the logarithm where the range of a positive parameter begins above zero."""
        cube = self.unit()
        made = {}
        for k, (name, (low, high)) in enumerate(self.ranges.items()):
            logarithmic = positive.get(name, False) and low > 0.0
            if positive.get(name, False) and low < 0.0:
                message = f"the box starts {name!r} from {low!r}, but it is positive"
                raise LawError(message, code="law-starts", name=name)
            inner = cube[:, k]
            if positive.get(name, False) and low == 0.0:
                # Sequences contain the corner of the cube, but a positive parameter cannot start at zero.
                inner = 0.5 / self.n + inner * (1.0 - 1.0 / self.n)
            made[name] = low * (high / low) ** inner if logarithmic else low + (high - low) * inner
        return made

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        ranges = {name: list(pair) for name, pair in self.ranges.items()}
        return {"n": self.n, "ranges": ranges, "sequence": self.sequence, "seed": self.seed}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Box:
        """Inverse of `to_dict`."""
        ranges = {name: (float(low), float(high)) for name, (low, high) in data["ranges"].items()}
        return cls(int(data["n"]), ranges, sequence=data["sequence"], seed=int(data["seed"]))

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view of a mapping cannot be pickled.
        return Box.from_dict, (self.to_dict(),)

    def __hash__(self) -> int:
        return hash((self.n, tuple(self.ranges.items()), self.sequence, self.seed))

    def __str__(self) -> str:
        inside = ", ".join(f"{name} {low:g}..{high:g}" for name, (low, high) in self.ranges.items())
        return f"{self.n:,} {self.sequence.capitalize()} points over {inside}"


def halton(n: int, box: Mapping[str, tuple[float, float]], *, seed: int = 0) -> Box:
    """Starting points over a box by the Halton sequence; good for any number of points.

    Parameters
    ----------
    n : int
        Number of points.
    box : mapping of str to (low, high)
        Ranges by parameter, up to 16. Parameters with ``positive`` are spread evenly in the logarithm where `low` is
        above zero, others evenly. Parameters left out follow the automatic rule: linear ones by least squares at each
        point.
    seed : int
        Shifts the points; 0 takes the sequence as it is.

    Returns
    -------
    Box
        To be passed as ``isoloss.fit(..., starts=...)``.

    Raises
    ------
    OptionError
        Code ``option``: not a number of points, or too many parameters.
    LawError
        Code ``law-starts``: a range is not finite or empty; at the fit, code ``law-unknown-name`` for a name that is no
        parameter.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
    >>> box = iso.starts.halton(50, {"alpha": (0.1, 1.0), "beta": (0.1, 1.0)})
    >>> iso.fit("chinchilla", runs, starts=box).basins.starts
    50
    """
    return Box(n, dict(box), sequence="halton", seed=seed)


def sobol(n: int, box: Mapping[str, tuple[float, float]], *, seed: int = 0) -> Box:
    """Starting points over a box by the Sobol sequence; most even where `n` is a power of two.

    Parameters, Returns and Raises as in `halton`.

    Examples
    --------
    >>> import isoloss as iso
    >>> print(iso.starts.sobol(64, {"A": (1, 1e4), "alpha": (0, 2)}))
    64 Sobol points over A 1..10000, alpha 0..2
    """
    return Box(n, dict(box), sequence="sobol", seed=seed)


def _range(name: str, given: Any) -> tuple[float, float]:
    try:
        low, high = (parse_number(end) for end in given)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        message = f"the box gives {name!r} the range {given!r}, which is not (low, high) with low < high"
        raise LawError(message, code="law-starts", name=name)
    return float(low), float(high)


def _halton(n: int, dimensions: int) -> F64:
    """(n, dimensions): the radical inverses of 1, 2, ..., n in the first primes."""
    points = np.zeros((n, dimensions))
    for k in range(dimensions):
        rest, place = np.arange(1, n + 1), 1.0
        while rest.any():
            place /= _PRIMES[k]
            points[:, k] += place * (rest % _PRIMES[k])
            rest = rest // _PRIMES[k]
    return points


def _sobol(n: int, dimensions: int) -> F64:
    """(n, dimensions) points of the sequence in Gray-code order, from its corner 0 on."""
    if n > 2**_BITS:
        message = f"n={n} is more than the {2**_BITS:,} points of the sequence"
        raise OptionError(message, argument="n")
    points = np.zeros((n, dimensions), dtype=np.int64)
    number = np.arange(n)
    gray = number ^ (number >> 1)
    for k in range(dimensions):
        for bit, direction in enumerate(_directions(k)):
            points[:, k] ^= np.where((gray >> bit) & 1, direction, 0)
    return points / 2.0**_BITS


def _directions(dimension: int) -> list[int]:
    """The direction numbers of one dimension, as integers of `_BITS` bits."""
    if dimension == 0:
        return [1 << (_BITS - 1 - i) for i in range(_BITS)]
    polynomial, first = _SOBOL[dimension - 1]
    degree = len(first)
    made = [m << (_BITS - 1 - i) for i, m in enumerate(first)]
    for i in range(degree, _BITS):
        value = made[i - degree] ^ (made[i - degree] >> degree)
        for j in range(1, degree):
            if (polynomial >> (degree - j)) & 1:
                value ^= made[i - j]
        made.append(value)
    return made
