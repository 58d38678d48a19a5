"""Figures of a comparison of laws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.comparison.scores import errors_of
from isoloss.errors import missing_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.comparison.compare import Comparison

__all__ = ["ComparisonPlots"]


@dataclass(frozen=True, slots=True)
class ComparisonPlots:
    """Reached as ``comparison.plot``."""

    compared: Comparison

    def error_vs_distance(self, ax: Axes | None = None) -> Axes:
        """Held-out error of each law against the distance from the runs it was fitted to.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure if left out.

        Returns
        -------
        matplotlib Axes
            One marker for each held-out rung of each split, one line for each law through their medians.

        Raises
        ------
        MissingExtraError
            Without matplotlib.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise missing_extra("matplotlib", "plot") from None
        made = self.compared
        if ax is None:
            _, ax = plt.subplots(figsize=(7.0, 4.5), layout="constrained")
        loss = made.runs.columns["loss"]
        rungs = made.rollout.rungs(made.runs)
        for score in made.scores:
            points = []
            for split, found in zip(made.splits, made.trials[score.law], strict=True):
                if not found.ok:
                    continue
                errors, far = errors_of(found, loss), split.distance[found.rows]
                for rung in np.unique(rungs[found.rows]):
                    here = rungs[found.rows] == rung
                    points.append((float(np.mean(far[here])), 100.0 * float(np.sqrt(np.mean(errors[here] ** 2)))))
            if not points:
                continue
            x, y = np.array(sorted(points)).T
            style: dict[str, Any] = {"linestyle": "--" if score.baseline else "-", "marker": "o", "markersize": 3}
            ax.plot(x, y, label=score.law, linewidth=1.2, **style)
        ax.set_yscale("log")
        ax.set_xlabel(f"decades of {made.rollout.by} beyond the runs fitted")
        ax.set_ylabel("held-out error of ln loss, root mean square [%]")
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", frameon=False)
        return ax
