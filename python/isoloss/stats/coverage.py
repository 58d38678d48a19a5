"""What was measured about the intervals of a study like yours; `isoloss.stats.studies` measures it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isoloss.errors import OptionError
from isoloss.plain import plain_dict

__all__ = ["Coverage", "Row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Coverage of one kind of interval.

    Attributes
    ----------
    interval : str
        A kind of `isoloss.stats.intervals`, ``"wald"`` or ``"profile"``.
    covered : mapping of str to float
        Share of the studies whose interval contains the truth, by parameter, ``"loss"`` and ``"new run"``.
    width : mapping of str to float
        Median width; NaN for profile intervals, whose ends are not computed.
    studies : int
        Studies that gave this interval.
    """

    interval: str
    covered: Mapping[str, float]
    width: Mapping[str, float]
    studies: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Coverage:
    """Measured coverage of the intervals for one design; made by `Fit.coverage`.

    Attributes
    ----------
    level : float
        What the intervals claim.
    method, by : str
        How runs were resampled.
    default : str
        The kind of interval that such draws give by default.
    rows : tuple of Row
    studies, draws : int
        Simulated studies, and draws of each.
    failed : int
        Studies whose fit did not converge; they are left out.
    truth : mapping of str to float
        What the losses were simulated from.
    """

    level: float
    method: str
    by: str
    default: str
    rows: tuple[Row, ...]
    studies: int
    draws: int
    failed: int
    truth: Mapping[str, float]

    def __getitem__(self, interval: str) -> Row:
        for row in self.rows:
            if row.interval == interval:
                return row
        message = f"no interval {interval!r} among {', '.join(row.interval for row in self.rows)}"
        raise OptionError(message, argument="interval")

    @property
    def error(self) -> float:
        """Standard error of a share at the level claimed."""
        return math.sqrt(self.level * (1.0 - self.level) / max(self.studies - self.failed, 1))

    def __str__(self) -> str:
        names = list(dict.fromkeys(name for row in self.rows for name in row.covered))
        table = [["coverage, %", *names]]
        for row in self.rows:
            mark = " (default)" if row.interval == self.default else ""
            cells = [f"{100 * row.covered[name]:.1f}" if name in row.covered else "" for name in names]
            # Only some studies had this interval, and those are no fair sample of all.
            part = f" in {row.studies:,} studies" if row.studies < self.studies - self.failed else ""
            table.append([row.interval + mark + part, *cells])
        widths = [max(len(line[k]) for line in table) for k in range(len(names) + 1)]
        head = (
            f"{self.studies:,} studies of {100 * self.level:g} % intervals, {self.draws:,} {self.method} draws each by "
        )
        lines = [f"{head}{self.by}; standard error {100 * self.error:.1f} %"]
        lines += [
            "  ".join([f"{line[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(line[1:], widths[1:], strict=True))])
            for line in table
        ]
        if self.failed:
            lines.append(f"{self.failed:,} studies did not converge and are left out")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Coverage({self.studies:,} studies, {self.method} by {self.by}: {len(self.rows)} intervals)"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        names = ("level", "method", "by", "default", "studies", "draws", "failed")

        return plain_dict(
            {
                **{name: getattr(self, name) for name in names},
                "truth": dict(self.truth),
                "rows": [
                    {
                        "interval": row.interval,
                        "covered": row.covered,
                        "width": row.width,
                        "studies": row.studies,
                    }
                    for row in self.rows
                ],
            }
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Coverage:
        """Inverse of `to_dict`."""

        def filled(values: Mapping[str, float | None]) -> dict[str, float]:
            return {name: math.nan if value is None else float(value) for name, value in values.items()}

        rows = tuple(
            Row(
                interval=row["interval"],
                covered=filled(row["covered"]),
                width=filled(row["width"]),
                studies=int(row["studies"]),
            )
            for row in data["rows"]
        )
        names = ("level", "method", "by", "default", "studies", "draws", "failed", "truth")
        return cls(rows=rows, **{name: data[name] for name in names})
