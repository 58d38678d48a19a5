"""What fitted curves have in common: the warm-up's share and the lowest learning rate they saw."""

from __future__ import annotations

import numpy as np

from isoloss.curves.object import Curves

__all__ = ["least_lr", "share_of_warmup"]


def share_of_warmup(curves: Curves) -> float:
    """Median share of the steps that is warm-up."""
    return float(np.median([curve.schedule.warmup / curve.schedule.steps for curve in curves]))


def least_lr(curves: Curves) -> float:
    """The lowest learning rate after the warm-up at which a loss was logged."""
    lows = [float(curve.lr[curve.step > curve.schedule.warmup].min(initial=np.inf)) for curve in curves]
    least = min(lows)
    return least if np.isfinite(least) else 0.0
