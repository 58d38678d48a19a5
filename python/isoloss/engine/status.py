"""Why a solver stopped, in one enumeration.

The codes, their messages and which of them count as success are stated once, in the Rust core (``_core.STATUS``);
this enumeration is built from that table, so that the two cannot drift apart. Arrays of results carry the integer
codes; `Status(code)` turns one into a member.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from isoloss import _core

__all__ = ["Status", "succeeded"]


class Status(IntEnum):
    """How one fit ended; members are built from the table of the compiled core.

    Attributes
    ----------
    message : str
        One sentence for a person.
    success : bool
        Whether the parameters are an optimum to working precision.

    Examples
    --------
    >>> from isoloss.engine.status import Status
    >>> any(status.success for status in Status), all(status.message for status in Status)
    (True, True)
    """

    # The members are the rows of a table known only at run time; `vars()` in the body of an enumeration is the
    # documented way to write them.
    _ignore_ = ["_code", "_row"]  # noqa: RUF012 - the enumeration machinery consumes it
    for _code, _row in enumerate(_core.STATUS):
        vars()[_row[0].upper().replace("-", "_")] = _code

    @property
    def message(self) -> str:
        """One sentence for a person."""
        return _core.STATUS[self.value][2]

    @property
    def success(self) -> bool:
        """Whether the parameters are an optimum to working precision."""
        return _core.STATUS[self.value][1]


_SUCCESS = np.array([row[1] for row in _core.STATUS], dtype=np.bool_)


def succeeded(status: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of an array of status codes count as success; same shape."""
    return np.asarray(_SUCCESS[status])
