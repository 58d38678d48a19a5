"""Words of the command line turned into values: assignments, numbers, bootstrap specifications."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from isoloss.checks import level_between
from isoloss.errors import OptionError, did_you_mean
from isoloss.gridsearch.grids import geomspace, linspace
from isoloss.plan.flops import Transformer
from isoloss.units import parse_number

__all__ = [
    "Resampling",
    "UsageError",
    "assignments",
    "axes",
    "bootstrap",
    "bounds",
    "check_level",
    "definitions",
    "number",
    "numbers",
    "points",
    "roles",
    "transformer",
    "words",
]


class UsageError(Exception):
    """A command line that cannot be understood; the message names the offending words."""


class Resampling(NamedTuple):
    """How many bootstrap draws, and of what."""

    draws: int
    method: str
    """As `isoloss.Fit.bootstrap` takes it."""
    by: str | None
    """``"group"`` or ``"row"``; None leaves it to the runs: groups where they have them."""


def number(text: str, option: str) -> float:
    """Read one number such as ``7B``, ``1.4T`` or ``1e24``."""
    try:
        return float(parse_number(text))
    except ValueError as error:
        raise UsageError(f"{option}: {text!r} is not a number (try 7B, 1.4T or 1e24)") from error


def assignments(items: Iterable[str], option: str, value: str = "VALUE") -> dict[str, str]:
    """Read ``NAME=VALUE`` items; each may hold several, separated by commas."""
    found: dict[str, str] = {}
    for item in items:
        for part in item.split(","):
            name, equals, given = (word.strip() for word in part.partition("="))
            if not (name and equals and given):
                raise UsageError(f"{option}: expected NAME={value}, not {part.strip()!r}")
            if name in found:
                raise UsageError(f"{option}: {name} is given twice")
            found[name] = given
    return found


def roles(items: Iterable[str]) -> dict[str, str]:
    """Read ``--role NAME=COLUMN``; a column's name may hold anything after the first ``=``."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, column = item.partition("=")
        if not (name.strip() and equals and column):
            raise UsageError(f"--role: expected NAME=COLUMN, not {item!r}")
        if name.strip() in found:
            raise UsageError(f"--role: {name.strip()} is given twice")
        found[name.strip()] = column
    return found


def numbers(items: Iterable[str], option: str) -> dict[str, float]:
    """Read ``NAME=NUMBER`` items."""
    return {name: number(value, f"{option} {name}") for name, value in assignments(items, option).items()}


def points(items: Iterable[str]) -> list[dict[str, float]]:
    """Read ``--at N=70e9,D=1.4e12``: every item is one point."""
    return [numbers([item], "--at") for item in items]


def bounds(items: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Read ``NAME=LOW:HIGH`` items; an empty side is unbounded."""
    found = {}
    for name, text in assignments(items, "--bounds", "LOW:HIGH").items():
        low, colon, high = text.partition(":")
        if not colon:
            raise UsageError(f"--bounds {name}: expected LOW:HIGH, not {text!r}")
        found[name] = (
            number(low, f"--bounds {name}") if low else float("-inf"),
            number(high, f"--bounds {name}") if high else float("inf"),
        )
    return found


def axes(items: Iterable[str]) -> dict[str, Any]:
    """Read ``--axis N=1e8:1e12:100log`` (or ``100lin``), ``lr=1e-3,2e-3`` and ``D=1.4T``: every item is one axis."""
    found: dict[str, Any] = {}
    for item in items:
        name, equals, text = (word.strip() for word in item.partition("="))
        if not (name and equals and text):
            raise UsageError(f"--axis: expected NAME=LOW:HIGH:COUNTlog or NAME=VALUE,VALUE, not {item!r}")
        if name in found:
            raise UsageError(f"--axis: {name} is given twice")
        found[name] = _axis(name, text)
    return found


def _axis(name: str, text: str) -> Any:
    option = f"--axis {name}"
    parts = text.split(":")
    if len(parts) == 1:
        return [number(word, option) for word in text.split(",") if word.strip()]
    if len(parts) != 3:
        raise UsageError(f"{option}: expected LOW:HIGH:COUNTlog or LOW:HIGH:COUNTlin, not {text!r}")
    kind = next((kind for kind in ("log", "lin") if parts[2].endswith(kind)), "")
    count = number(parts[2].removesuffix(kind), option)
    if count != int(count) or not kind:
        raise UsageError(f"{option}: {parts[2]!r} is not a number of steps followed by log or lin, as 100log")
    ends = number(parts[0], option), number(parts[1], option)
    return (geomspace if kind == "log" else linspace)(*ends, int(count))


def definitions(items: Iterable[str]) -> dict[str, str]:
    """Read ``--define cost="6*N*D"`` items: a name, and the text of an expression."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, text = (word.strip() for word in item.partition("="))
        if not (name and equals and text):
            raise UsageError(f"--define: expected NAME=EXPRESSION, not {item!r}")
        found[name] = text
    return found


def bootstrap(text: str) -> Resampling:
    """Read ``4000``, ``case:4000`` (rows drawn with replacement) or ``run:4000`` (whole groups)."""
    kind, colon, count = text.rpartition(":")
    if colon and kind not in {"case", "run"}:
        raise UsageError(f"--bootstrap: expected N, case:N or run:N, not {text!r}")
    draws = number(count, "--bootstrap")
    if draws < 1 or draws != int(draws):
        raise UsageError(f"--bootstrap: the number of draws must be 1 or more, not {count!r}")
    method, by = {"run": ("auto", "group"), "case": ("case", "row"), "": ("auto", None)}[kind]
    return Resampling(int(draws), method, by)


def transformer(text: str) -> Transformer:
    """Read ``layers=80,vocab=32000,seq=4096``: the arguments of `isoloss.Transformer`; ``gated=yes`` for true ones."""
    given: dict[str, Any] = {}
    for name, value in assignments([text], "--transformer").items():
        if name not in Transformer.__dataclass_fields__:
            raise UsageError(f"--transformer: {name}{did_you_mean(name, Transformer.__dataclass_fields__)}")
        if name in ("convention", "n_counts"):
            given[name] = value
        elif name in ("gated", "tied"):
            if value not in ("yes", "no"):
                raise UsageError(f"--transformer {name}: yes or no, not {value!r}")
            given[name] = value == "yes"
        else:
            given[name] = number(value, f"--transformer {name}")
    lacking = [name for name in ("vocab", "seq") if name not in given]
    if lacking:
        raise UsageError(f"--transformer: {' and '.join(lacking)} missing, as layers=80,vocab=32000,seq=4096")
    return Transformer(**given)


def check_level(level: float) -> None:
    """Refuse a confidence level that is a percentage, or none at all."""
    try:
        level_between(level)
    except OptionError as error:
        raise UsageError(f"--{error}") from error


def words(items: Iterable[str]) -> list[str]:
    """Split items at commas and drop the empty ones."""
    return [word.strip() for item in items for word in item.split(",") if word.strip()]
