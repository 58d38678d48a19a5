"""Where runs came from, and which rows of it were left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DataSource", "Dropped"]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Rows left out: how many, why, and their numbers (0 is the first row of data).

    The numbers are those of the source, or, where runs that had been read were chosen from (`later`), of those runs.
    """

    count: int
    reason: str
    rows: tuple[int, ...] = ()
    later: bool = False

    def __str__(self) -> str:
        return f"{self.count} ({self.reason})"


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where runs came from: a short description, the SHA-256 of the columns in use, and the rows it held.

    `options` are the arguments that `isoloss.read` was called with; None where other arguments would be needed to read
    the source again.
    """

    description: str
    sha256: str
    rows: int
    names: tuple[str, ...] = ()
    options: Mapping[str, Any] | None = field(default=None, hash=False)
