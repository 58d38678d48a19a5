"""Results as plain data: what JSON has, and nothing else.

`store` writes files of its own form, which keep every bit; this is for programs and people that read JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

__all__ = ["plain", "plain_dict"]


def plain(value: Any) -> Any:
    """Reduce to what JSON has: no NumPy, no NaN or infinity (null), no tuples or paths.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.plain import plain
    >>> plain({"N": np.array([1.0, np.nan]), "interval": (0.5, float("inf"))})
    {'N': [1.0, None], 'interval': [0.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, str) else str(value)


def plain_dict(items: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as plain data: what the `to_dict` of a result gives."""
    return {name: plain(item) for name, item in items.items()}
