"""Boxes of starting points for `isoloss.fit`: named ranges filled by a low-discrepancy sequence."""

from isoloss.engine.boxes import Box, halton, sobol

__all__ = ["Box", "halton", "sobol"]


def __dir__() -> list[str]:
    """What completion offers: the public names."""
    return sorted(__all__)
