"""Figures of a fitted hyper-parameter law: landscapes, slices, the optimum against N and D, and searches.

Every function draws into axes it is given, or makes its own, and returns them; learning rates, batches, N and D are on
logarithmic axes. matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.errors import DataError, OptionError
from isoloss.hparams.plateau import positive, relative
from isoloss.hparams.predictions import check_identified
from isoloss.hparams.published import published
from isoloss.hparams.sweep import Sweep
from isoloss.plot import INK, MUTED, new_axes
from isoloss.plot import _plain as plain_axes
from isoloss.units import format_number, format_si, parse_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from isoloss.hparams.law import HParamLaw

__all__ = ["HParamPlots", "parallel_coordinates"]

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_LEVELS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # per cent
_MARKS = ("s", "^", "v", "P", "X", "h")


@dataclass(frozen=True, slots=True)
class HParamPlots:
    """Figures of one fitted law, as ``hp.plot.landscape()``; made by `HParamLaw.plot`."""

    hp: HParamLaw

    def landscape(
        self,
        *,
        N: Any = None,
        D: Any = None,
        within: float | str = 0.0025,
        laws: Sequence[str] = ("steplaw",),
        ax: Axes | None = None,
        columns: int = 4,
    ) -> Any:
        """Loss over learning rate and batch: measured runs, contours of the surface, plateau and predictions.

        Parameters
        ----------
        N, D : float or text, optional
            Draw the cell nearest to them, and say so where it is not the one asked for; without them, all cells side
            by side.
        within : float or text
            Of the plateau, drawn as a thick line.
        laws : sequence of str
            Published laws to mark, as `isoloss.hparams.published_named` knows them.
        ax : matplotlib.axes.Axes, optional
            For one cell.
        columns : int
            Panels in a row, for all cells.

        Returns
        -------
        matplotlib.axes.Axes, or an array of them for all cells
            Runs are coloured by their excess over the best of the cell, diverged ones are grey crosses, the best is a
            star; a diamond with bars is the prediction with its 95 % interval.

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        OptionError
            `N` without `D`, or `ax` for all cells.

        Examples
        --------
        >>> import isoloss as iso
        >>> hp = iso.fit_hparams(
        ...     iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160])),
        ...     draws=50,
        ...     threshold=0.01,
        ... )
        >>> axes = hp.plot.landscape(N="1B", D="20B")
        >>> axes.get_xscale(), axes.get_ylabel()
        ('log', 'batch (tokens)')
        """
        width = relative("within", within)
        if (N is None) != (D is None):
            raise OptionError("landscape: give N and D, or neither", argument="D" if D is None else "N")
        if N is not None:
            c, title = self._cell(N, D)
            axes = new_axes() if ax is None else ax
            self._landscape(axes, c, width, laws)
            axes.set_title(title, fontsize=10.5, loc="left")
            axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.06), ncols=4, frameon=False, fontsize=7.5)
            return axes
        if ax is not None:
            raise OptionError("landscape: ax takes one cell; give N and D", argument="ax")
        count = self.hp.sweep.cells
        rows = -(-count // columns)
        grid = _panels(rows, min(columns, count), 3.0, 2.5).ravel()
        for c in range(count):
            self._landscape(grid[c], c, width, laws, small=True)
        for spare in grid[count:]:
            spare.set_visible(False)
        handles, labels = grid[0].get_legend_handles_labels()
        grid[0].figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
        return grid[:count]

    def _cell(self, N: Any, D: Any) -> tuple[int, str]:
        """The cell nearest to what was asked for, and a title that tells the two apart where they differ."""
        sweep, size, data = self.hp.sweep, float(positive("N", N)), float(positive("D", D))
        c = sweep.nearest(size, data)
        asked, found = (f"N {format_si(n)} D {format_si(d)}" for n, d in ((size, data), (sweep.N[c], sweep.D[c])))
        return c, sweep.name(c) if asked == found else f"{sweep.name(c)}, the cell nearest to {asked}"

    def _landscape(self, axes: Axes, c: int, within: float, laws: Sequence[str], *, small: bool = False) -> None:
        from matplotlib.colors import LogNorm

        hp, sweep = self.hp, self.hp.sweep
        N, D = float(sweep.N[c]), float(sweep.D[c])
        plain_axes(axes)
        axes.set(xscale="log", yscale="log")
        _log_ticks(axes.xaxis, counts=False)
        _log_ticks(axes.yaxis, counts=True)
        rows = sweep.rows(c)
        lr, batch, excess = np.exp(sweep.ln_lr[rows]), np.exp(sweep.ln_batch[rows]), 100.0 * sweep.excess[rows]
        pad = 1.25
        box = (lr.min() / pad, lr.max() * pad, batch.min() / pad, batch.max() * pad)
        axes.set(xlim=box[:2], ylim=box[2:])
        x, y = hp.joint.shape.optimum(N, D)
        grid_lr, grid_batch = np.geomspace(*box[:2], 161), np.geomspace(*box[2:], 161)
        surface = 100.0 * hp.joint.shape.excess(np.log(grid_lr)[None, :] - x, np.log(grid_batch)[:, None] - y)
        # Only where the surface was fitted, and a little beyond.
        reach = max(2.0 * 100.0 * hp.joint.choice.threshold, 100.0 * within)
        levels = [level for level in _LEVELS if level <= reach]
        lines = axes.contour(
            grid_lr, grid_batch, surface, levels=levels, colors=MUTED, linewidths=0.6, linestyles="-", zorder=1
        )
        axes.clabel(lines, fmt=lambda level: f"{level:g} %", fontsize=6)
        seen = ~sweep.diverged[rows]
        axes.scatter(
            lr[seen], batch[seen], c=np.clip(excess[seen], 0.05, 25.0), norm=LogNorm(0.05, 25.0), cmap="viridis_r",
            s=9 if small else 22, lw=0, zorder=3,
        )  # fmt: skip
        if not seen.all():
            axes.scatter(lr[~seen], batch[~seen], marker="x", color="#9A9A9A", s=6 if small else 16, lw=0.7, zorder=2,
                         label="diverged")  # fmt: skip
        flat = hp.plateau(N=N, D=D, within=within)
        axes.plot(*flat.outline.T, color=BLUE, lw=1.6, zorder=4, label=f"plateau, {100 * within:g} %")
        best = sweep.best[c]
        axes.plot(np.exp(sweep.ln_lr[best]), np.exp(sweep.ln_batch[best]), "*", color=ORANGE, ms=8 if small else 13,
                  mec="white", mew=0.6, zorder=6, ls="", label="best run")  # fmt: skip
        said = hp.predict(N=N, D=D)
        spread = [
            np.array([[v - low], [high - v]]) if np.isfinite(low) else None
            for v, (low, high) in ((said.lr, said.lr_interval), (said.batch, said.batch_interval))
        ]
        axes.errorbar(said.lr, said.batch, xerr=spread[0], yerr=spread[1], fmt="D", color=BLUE, ms=4 if small else 6,
                      mec="white", mew=0.6, lw=1.0, zorder=7, label=f"prediction ({said.recipe})")  # fmt: skip
        for k, name in enumerate(laws):
            at = _published_at(name, N, D, float(hp.joint.floor[c]))
            if at is not None:
                axes.plot(*at, _MARKS[k % len(_MARKS)], color=PURPLE, ms=4 if small else 7, mec="white", mew=0.6, ls="",
                          zorder=6, label=name)  # fmt: skip
        axes.set_title(sweep.name(c), fontsize=8.5 if small else 10.5, loc="left")
        axes.set_xlabel("peak learning rate", fontsize=8 if small else None)
        axes.set_ylabel("batch (tokens)", fontsize=8 if small else None)
        if small:
            axes.tick_params(labelsize=7)

    def slices(self, *, N: Any, D: Any, ax: Sequence[Axes] | None = None) -> NDArray[Any]:
        """Excess loss against learning rate at the best batch, and against batch at the best learning rate.

        Parameters
        ----------
        N, D : float or text
            The nearest cell is drawn, and named where it is not the one asked for.
        ax : two matplotlib.axes.Axes, optional

        Returns
        -------
        (2,) ndarray of matplotlib.axes.Axes
            Points are the runs of the nearest batch, or learning rate, of the grid; the line is the surface at that
            value with a 95 % band for the surface of one cell, both counted from the least value of the surface.

        Examples
        --------
        >>> import isoloss as iso
        >>> hp = iso.fit_hparams(
        ...     iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160])),
        ...     draws=50,
        ...     threshold=0.01,
        ... )
        >>> [axes.get_xlabel() for axes in hp.plot.slices(N="1B", D="20B")]
        ['peak learning rate', 'batch (tokens)']
        """
        hp, sweep = self.hp, self.hp.sweep
        c, title = self._cell(N, D)
        panels = _panels(1, 2, 4.6, 3.6).ravel() if ax is None else np.array(list(ax), dtype=object)
        rows = sweep.rows(c)
        rows = rows[~sweep.diverged[rows]]
        excess = 100.0 * (sweep.loss[rows] / hp.joint.floor[c] - 1.0)
        own = (sweep.ln_lr[rows], sweep.ln_batch[rows])
        best = [float(v) for v in hp.joint.shape.optimum(sweep.N[c], sweep.D[c])]
        for k, (axes, name) in enumerate(zip(panels, ("peak learning rate", "batch (tokens)"), strict=True)):
            plain_axes(axes)
            along, across = own[k], own[1 - k]
            held = float(across[np.argmin(np.abs(across - best[1 - k]))])
            near = np.abs(across - held) < 0.02
            grid = np.linspace(along.min(), along.max(), 121)
            lr, batch = (np.exp(grid), np.exp(held)) if k == 0 else (np.exp(held), np.exp(grid))
            found = hp.regret(lr, batch, sweep.N[c], sweep.D[c])
            axes.plot(np.exp(grid), 100.0 * found.estimate, color=BLUE, lw=1.6, zorder=3, label="surface")
            if np.all(np.isfinite(found.low)):
                low, high = 100.0 * found.low, 100.0 * found.high
                axes.fill_between(np.exp(grid), low, high, color=BLUE, alpha=0.18, lw=0, label="95 %")
            axes.plot(np.exp(along[near]), excess[near], "o", color=ORANGE, ms=4, ls="", zorder=4, label="runs")
            axes.set_xscale("log")
            _log_ticks(axes.xaxis, counts=k == 1)
            axes.set_xlabel(name)
            axes.set_ylabel("loss above the least (%)")
            top = max(1.5 * float(np.max(excess[near])), 0.5) if near.any() else 2.0
            axes.set_ylim(min(0.0, float(excess[near].min()) if near.any() else 0.0) - 0.1, min(top, 6.0))
            other = f"batch {format_si(np.exp(held))}" if k == 0 else f"lr {np.exp(held):.3g}"
            axes.set_title(f"{title}\n{other}", fontsize=9.5, loc="left")
            axes.legend(frameon=False, fontsize=8)
        return panels

    def optimum(self, *, ax: Sequence[Axes] | None = None) -> NDArray[Any]:
        """Best learning rate and batch against N and against D: cells, power law and its interval.

        Parameters
        ----------
        ax : four matplotlib.axes.Axes, optional

        Returns
        -------
        (4,) ndarray of matplotlib.axes.Axes
            Learning rate against N and D, then batch. Each point is a cell's own optimum with its 95 % interval, moved
            along the power law to the geometric mean of the other variable, so that all cells lie on one line. The
            light band is for the optimum of one cell, the dark one for the power law. Where the cells cannot tell an
            exponent, the other variable moves along with this one, or the law is left out.

        Examples
        --------
        >>> import isoloss as iso
        >>> hp = iso.fit_hparams(
        ...     iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160])),
        ...     draws=50,
        ...     threshold=0.01,
        ... )
        >>> {axes.get_xscale() for axes in hp.plot.optimum()}
        {'log'}
        """
        hp, sweep = self.hp, self.hp.sweep
        panels = _panels(2, 2, 4.4, 3.2).ravel() if ax is None else np.array(list(ax), dtype=object)
        columns = {"N": sweep.N, "D": sweep.D}
        own = np.flatnonzero(np.isfinite(hp.between.optimum).all(axis=1))
        index = 0
        for k, label in enumerate(("peak learning rate", "batch (tokens)")):
            for name, other in (("N", "D"), ("D", "N")):
                axes = panels[index]
                index += 1
                plain_axes(axes)
                axes.set(xscale="log", yscale="log", ylabel=label)
                _log_ticks(axes.xaxis, counts=True)
                _log_ticks(axes.yaxis, counts=k == 1)
                axes.set_xlabel("N (parameters)" if name == "N" else "D (tokens)")
                grid = np.geomspace(columns[name].min() / 1.3, columns[name].max() * 1.3, 60)
                path, title = _path(sweep, name, other, grid)
                axes.set_title(title, fontsize=9.5, loc="left")
                if path is not None:
                    self._band(axes, k, grid, **{name: grid, other: path(grid)})
                here = hp.powers.at(sweep.N[own], sweep.D[own])[k]
                along = columns[other][own] if path is None else path(columns[name][own])
                there = hp.powers.at(**{name: columns[name][own], other: along})[k]
                middle = np.exp(hp.between.optimum[own, k]) * there / here
                error = np.exp(1.96 * np.sqrt(hp.between.error[own, k, k]))
                axes.errorbar(columns[name][own], middle, yerr=[middle - middle / error, middle * error - middle],
                              fmt="o", color=ORANGE, ms=4.5, mec="white", mew=0.5, lw=0.8, label="cells")  # fmt: skip
        panels[0].legend(frameon=False, fontsize=8)
        return panels

    def _band(self, axes: Axes, k: int, grid: F64, N: F64, D: F64) -> None:
        """The power law of the learning rate (k = 0) or batch, with what it leaves open for itself and for one cell."""
        for kind, alpha, label in (("new-cell", 0.15, "95 %, one cell"), ("mean", 0.3, "95 %, law")):
            said = self.hp.predict(N=N, D=D, kind=kind)
            centre, (low, high) = (said.lr, said.lr_interval) if k == 0 else (said.batch, said.batch_interval)
            if np.all(np.isfinite(low)):
                axes.fill_between(grid, low, high, color=BLUE, alpha=alpha, lw=0, label=label)
        axes.plot(grid, centre, color=BLUE, lw=1.6, label="power law")


def _path(sweep: Sweep, name: str, other: str, grid: F64) -> tuple[Callable[[F64], F64] | None, str]:
    """The value of the other variable along a grid of one, such that the cells can tell the optimum, and a title."""
    middle = {of: float(np.exp(np.log(column).mean())) for of, column in (("N", sweep.N), ("D", sweep.D))}
    ratio = middle[other] / middle[name]
    paths: tuple[tuple[Callable[[F64], F64], str], ...] = (
        (lambda v: np.full_like(v, middle[other]), f"at {other} {format_si(middle[other])}"),
        (lambda v: v * ratio, f"at {other} / {name} {format_number(ratio, 3)}"),
    )
    for path, title in paths:
        values = {name: grid, other: path(grid)}
        try:
            check_identified(values["N"], values["D"], sweep)
        except DataError:
            continue
        return path, title
    return None, f"the cells do not tell how {name} moves it"


def _log_ticks(axis: Axis, *, counts: bool) -> None:
    """Labels at 1, 2 and 5 of every decade, as many as have room: 200M rather than 2 x 10^8."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=7))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _exact_si(value) if counts else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _exact_si(value: float) -> str:
    """The shortest text that is the number: below one decade ticks stand close, and must not share a label."""
    texts = [format_si(value, digits) for digits in (1, 2, 3, 4)]
    return next((text for text in texts if np.isclose(parse_number(text), value, rtol=1e-9)), texts[-1])


def _published_at(name: str, N: float, D: float, loss: float) -> tuple[float, float] | None:
    """Both settings of a published law, or None where the paper gives one of them only."""
    for row in published():
        if name in (row.name, row.title):
            lr, batch = (float(v) for v in row.at(N, D, loss))
            return (lr, batch) if np.isfinite(lr) and np.isfinite(batch) else None
    return None


def _panels(rows: int, columns: int, width: float, height: float) -> NDArray[Any]:
    new_axes_figure = _figure(columns * width, rows * height)
    return np.atleast_1d(new_axes_figure.subplots(rows, columns, squeeze=False))


def _figure(width: float, height: float) -> Figure:
    """A figure that is not among the open ones of pyplot; its `savefig` works, and notebooks show it."""
    from isoloss.plot import free_figure

    return free_figure(width, height)


def parallel_coordinates(
    columns: Mapping[str, Any], *, colour: str | None = None, best: int = 0, ax: Axes | None = None
) -> Axes:
    """Parallel coordinates of searched or measured settings: a line a row, an axis a column.

    Parameters
    ----------
    columns : mapping of str to (n,) array_like, or Runs
        Positive columns that span more than a factor of three are on a logarithmic scale.
    colour : str, optional
        Column that colours the lines; the last one by default. Low values are dark and in front.
    best : int
        Draw only so many rows, those with the least value of `colour`; 0 for all.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        Columns differ in length, or hold no finite numbers.
    OptionError
        `colour` names no column.

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss.hparams.plots import parallel_coordinates
    >>> runs = iso.simulate.sweep(settings=3, seed=0)
    >>> axes = parallel_coordinates({name: runs[name] for name in ("N", "D", "lr", "batch", "loss")}, best=50)
    >>> len(axes.collections[0].get_segments())
    50
    """
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    table = {name: np.asarray(columns[name], dtype=np.float64) for name in columns}
    lengths = {len(column) for column in table.values()}
    if len(table) < 2 or len(lengths) != 1 or lengths == {0}:
        raise DataError("parallel coordinates need two or more columns of one length above zero", code="data-shape")
    shade = list(table)[-1] if colour is None else colour
    if shade not in table:
        raise OptionError(f"colour={colour!r} is no column; there are {', '.join(table)}", argument="colour")
    keep = np.all([np.isfinite(column) for column in table.values()], axis=0)
    if not keep.any():
        raise DataError("no row has finite values in every column", code="data-nonfinite")
    order = np.flatnonzero(keep)[np.argsort(-table[shade][keep], kind="stable")]
    order = order[-best:] if best else order
    axes = new_axes() if ax is None else ax
    heights = np.column_stack([_unit(column[order]) for column in table.values()])
    colours = colormaps["viridis"](0.9 * _unit(table[shade][order]))
    places = np.arange(len(table), dtype=np.float64)
    segments = [np.column_stack([places, row]) for row in heights]
    axes.add_collection(LineCollection(segments, colors=colours, linewidths=0.8, alpha=0.75))
    for place, (name, column) in enumerate(table.items()):
        axes.axvline(place, color=INK, lw=0.8, zorder=3)
        shown = column[order]
        for value, at, side in ((shown.min(), -0.03, "top"), (shown.max(), 1.03, "bottom")):
            text = format_si(float(value)) if name in {"N", "D", "batch", "C"} else f"{value:.3g}"
            axes.text(place, at, text, ha="center", va=side, fontsize=8)
    axes.set_xticks(places, list(table))
    axes.set(xlim=(-0.3, len(table) - 0.7), ylim=(-0.12, 1.12), yticks=[])
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    return axes


def _unit(column: F64) -> F64:
    """From 0 at the least to 1 at the greatest value, in logarithms where the span asks for it."""
    if column.min() > 0.0 and column.max() > 3.0 * column.min():
        column = np.log(column)
    span = float(np.ptp(column))
    return (column - column.min()) / span if span > 0.0 else np.full(len(column), 0.5)
