"""How much memory a call may still take, and a refusal of what is larger before it begins.

Systems promise more memory than they have, and end the process that takes them at their word; so a call whose results
would not fit is better refused by its size than by a failed allocation.
"""

from __future__ import annotations

import os
from pathlib import Path

from isoloss.errors import OutOfMemoryError
from isoloss.units import format_number

__all__ = ["available", "require"]

_SMALL = 2.0**26
"""Fewer bytes are asked for without a look at what is free."""
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def available() -> float:
    """Bytes that this process may still take: of the machine, of its control group, of its limit of addresses.

    Infinite where the system does not say.
    """
    return min(_of_machine(), _of_group(), _of_addresses())


def require(size: float, what: str, advice: str) -> None:
    """Refuse what takes more memory than there is.

    Parameters
    ----------
    size : float
        Bytes, at the least.
    what : str
        What takes them, for the message.
    advice : str
        What the caller can do.

    Raises
    ------
    OutOfMemoryError
    """
    if size < _SMALL:
        return
    free = available()
    if size > free:
        raise OutOfMemoryError(f"{what} take at least {_shown(size)}, and {_shown(free)} are free: {advice}")


def _shown(size: float) -> str:
    step = 0
    while size >= 1000.0 and step < len(_UNITS) - 1:
        size, step = size / 1000.0, step + 1
    return f"{format_number(size, 3)} {_UNITS[step]}"


def _of_machine() -> float:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return 1024.0 * float(line.split()[1])
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # not a POSIX system, or one that does not tell
        return float("inf")


def _of_group() -> float:
    """Of the control group, as containers set it."""
    limit, used = (_lines(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if not limit or not used or limit[0] == "max":
        return float("inf")
    # Pages of files count as used and are given back when asked for.
    stat = dict(line.split() for line in _lines("/sys/fs/cgroup/memory.stat") if len(line.split()) == 2)
    return float(limit[0]) - float(used[0]) + float(stat.get("inactive_file", 0))


def _of_addresses() -> float:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return float("inf")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _lines("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not pages:
        return float("inf")
    return float(limit) - float(pages[0].split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
