"""Figures of a fitted law: loss against compute, iso-loss contours, residuals.

Every function draws on the `matplotlib.axes.Axes` it is given, or on new ones, and returns them, so
that figures can be combined and restyled. matplotlib is imported when a figure is drawn, not before
(extra ``plot``). Sizes are coloured with *viridis*, which reads in grey and with every common form
of colour blindness; the fitted optimum is always the one orange (Okabe and Ito's vermilion), and
carries its own line style and marker, so that nothing is told by colour alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import OptionError, missing_extra
from isoloss.units import FLOPS_PER_PARAMETER_TOKEN, format_number, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from isoloss.fit.object import Fit
    from isoloss.stats.draws import Draws

__all__ = ["isoloss_contours", "loss_against_compute", "overview", "residuals"]


def __dir__() -> list[str]:
    """What completion offers: the public names."""
    return sorted(__all__)


F64 = NDArray[np.float64]

PANEL: Final = (6.0, 4.4)
"""Width and height of a figure of one panel."""
OPTIMUM: Final = "#D55E00"
INK: Final = "#222222"
MUTED: Final = "#7A7A7A"


def loss_against_compute(
    fit: "Fit",
    *,
    draws: "Draws | None" = None,
    at: float | None = None,
    sizes: int = 8,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the runs, the fitted curve of each model size, and the compute-optimal frontier.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    draws : Draws, optional
        Bootstrap draws for the 95 % band of the frontier; those attached to the fit by default.
    at : float, optional
        Compute in FLOPs to extend the frontier to and mark with a star.
    sizes : int
        Number of model sizes whose curve is drawn; spread evenly when the runs have more.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Axes with compute (FLOPs) and loss, both logarithmic.

    Raises
    ------
    OptionError
        When the law is not one of N and D alone.
    MissingExtraError
        When matplotlib is not installed.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(settings=1))
    >>> axes = iso.plot.loss_against_compute(iso.fit("chinchilla", runs), at=1e24)
    >>> axes.get_xscale(), axes.get_yscale()
    ('log', 'log')
    """
    axes = _axes(fit, ax)
    _draw_losses(axes, fit, _frontier(fit, draws, at), at, sizes)
    return axes


def _draw_losses(axes: "Axes", fit: "Fit", best: "_Frontier", at: float | None, sizes: int) -> None:
    N, D, C, loss = (np.asarray(fit.runs[name]) for name in ("N", "D", "C", "loss"))
    colour = _size_colours(N)
    # Each size from two to three thousand tokens per parameter, or as far as its runs reach.
    low, high = min(2.0, (D / N).min()), max(3000.0, (D / N).max())
    right = max(best.C[-1], C.max()) * 8.0
    for size in _representative(N, sizes):
        one = FLOPS_PER_PARAMETER_TOKEN * size**2
        curve_C = np.geomspace(one * low, max(min(one * high, right / 3.0), one * low * 2.0), 120)
        curve = _loss(fit, np.full_like(curve_C, size), curve_C)
        axes.plot(curve_C, curve, color=colour(size), lw=1.2, alpha=0.85, zorder=2)
        axes.annotate(
            format_si(size, 2),
            (curve_C[-1], curve[-1]),
            xytext=(3, 0),
            textcoords="offset points",
            ha="left",
            va="center",
            fontsize=7.5,
            color=INK,
        )
    axes.scatter(C, loss, c=[colour(size) for size in N], s=17, lw=0.4, edgecolors="white", zorder=3)
    spread = ""
    if best.bands is not None:
        bottom, top = best.bands["loss"]
        spread = f" [{bottom[-1]:.3f}, {top[-1]:.3f}]"
        axes.fill_between(best.C, bottom, top, color=OPTIMUM, alpha=0.22, lw=0, zorder=1)
    axes.plot(best.C, best.loss, color=OPTIMUM, lw=1.8, ls=(0, (5, 2)), zorder=2.5, label="compute-optimal")
    if at is not None:
        axes.plot(best.C[-1], best.loss[-1], marker="*", ms=13, color=OPTIMUM, mec="white", mew=0.8, zorder=5)
        _note(axes, f"loss {best.loss[-1]:.3f}{spread}\nat {format_number(at, 2)} FLOPs", at, best.loss[-1])
    axes.set_xscale("log")
    axes.set_yscale("log")
    low = min(loss.min(), best.loss[-1] if best.bands is None else best.bands["loss"][0][-1])
    high = loss.max()
    span = np.log(high / low)
    axes.set_ylim(low * np.exp(-0.16 * span), high * np.exp(0.05 * span))
    axes.set_xlim(best.C[0] / 3.0, right)
    _loss_ticks(axes)
    axes.set_xlabel("training compute C = 6ND (FLOPs)")
    axes.set_ylabel("loss (nats per token)")


def isoloss_contours(
    fit: "Fit",
    *,
    draws: "Draws | None" = None,
    at: float | None = None,
    levels: int | Sequence[float] = 12,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw curves of equal fitted loss over compute and model size, with the optimum through them.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    draws : Draws, optional
        Bootstrap draws for the 95 % band of the optimal size; those attached to the fit by default.
    at : float, optional
        Compute in FLOPs to extend the axes to and mark with a star.
    levels : int or sequence of float
        Loss values to draw, or about how many.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Axes with compute (FLOPs) and N, both logarithmic.

    Raises
    ------
    OptionError
        When the law is not one of N and D alone.
    MissingExtraError
        When matplotlib is not installed.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(settings=1))
    >>> axes = iso.plot.isoloss_contours(iso.fit("chinchilla", runs))
    >>> axes.get_xscale(), axes.get_yscale()
    ('log', 'log')
    """
    axes = _axes(fit, ax)
    _draw_contours(axes, fit, _frontier(fit, draws, at), at, levels)
    return axes


def _draw_contours(
    axes: "Axes", fit: "Fit", best: "_Frontier", at: float | None, levels: int | Sequence[float]
) -> None:
    N, C, loss = (np.asarray(fit.runs[name]) for name in ("N", "C", "loss"))
    grid_C = np.geomspace(C.min() / 2.0, max(C.max(), best.C[-1]) * 2.0, 160)
    grid_N = np.geomspace(min(N.min(), best.N.min()) / 2.0, max(N.max(), best.N.max()) * 6.0, 160)
    mesh_C, mesh_N = np.meshgrid(grid_C, grid_N)
    surface = _loss(fit, mesh_N.ravel(), mesh_C.ravel()).reshape(mesh_C.shape)
    heights = _levels(levels, best.loss)
    shades, norm = _shades(), _log_norm([*heights, *loss])
    contours = axes.contour(mesh_C, mesh_N, surface, heights, cmap=shades, norm=norm, linewidths=1.1, zorder=1)
    _label(axes, contours, best, (grid_C[0], grid_C[-1], grid_N[0], grid_N[-1]))
    axes.scatter(C, N, c=loss, cmap=shades, norm=norm, s=17, lw=0.4, edgecolors="white", zorder=3)
    spread = ""
    if best.bands is not None:
        low, high = best.bands["N"]
        spread = f"\n[{format_si(low[-1])}, {format_si(high[-1])}]"
        axes.fill_between(best.C, low, high, color=OPTIMUM, alpha=0.22, lw=0, zorder=2)
    axes.plot(best.C, best.N, color=OPTIMUM, lw=1.8, ls=(0, (5, 2)), zorder=2.5, label="compute-optimal N")
    if at is not None:
        axes.plot(best.C[-1], best.N[-1], marker="*", ms=13, color=OPTIMUM, mec="white", mew=0.8, zorder=5)
        text = f"N {format_si(best.N[-1])}{spread}\nD {format_si(best.D[-1])}"
        _note(axes, text, at, best.N[-1], drop=22.0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(grid_C[0], grid_C[-1])
    axes.set_ylim(grid_N[0], grid_N[-1])
    axes.set_xlabel("training compute C = 6ND (FLOPs)")
    axes.set_ylabel("model size N (parameters)")


def residuals(fit: "Fit", *, against: str = "C", ax: "Axes | None" = None) -> "Axes":
    """Draw the relative error of the fit, in per cent, against one column of the runs.

    Parameters
    ----------
    fit : Fit
        Any fit.
    against : str
        Column on the horizontal axis, which is logarithmic.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Axes with the column and ``100 (loss / fitted - 1)``.

    Raises
    ------
    OptionError
        When the runs have no such column.
    MissingExtraError
        When matplotlib is not installed.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(settings=1))
    >>> axes = iso.plot.residuals(iso.fit("chinchilla", runs), against="N")
    >>> axes.get_xlabel()
    'N'
    """
    if against not in fit.runs.names:
        raise OptionError(
            f"the runs have no column {against!r}; they have {', '.join(fit.runs.names)}",
        )
    axes = new_axes() if ax is None else ax
    fitted = np.asarray(fit.predict(fit.runs))
    error = 100.0 * (np.asarray(fit.runs["loss"]) / fitted - 1.0)
    axes.axhline(0.0, color=MUTED, lw=0.9, zorder=1)
    axes.scatter(fit.runs[against], error, s=17, color="#0072B2", lw=0.4, edgecolors="white")
    axes.set_xscale("log")
    axes.set_xlabel(against)
    axes.set_ylabel("observed over fitted loss (%)")
    _plain(axes)
    return axes


def overview(
    fit: "Fit",
    *,
    draws: "Draws | None" = None,
    at: float | None = None,
    title: str | None = None,
    figure: "Figure | None" = None,
) -> "tuple[Axes, Axes]":
    """Draw `loss_against_compute` and `isoloss_contours` side by side.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    draws : Draws, optional
        Bootstrap draws for the 95 % bands; those attached to the fit by default.
    at : float, optional
        Compute in FLOPs to plan for.
    title : str, optional
        Line above both panels.
    figure : matplotlib.figure.Figure, optional
        Figure to fill; a new one by default.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        The two panels; ``axes[0].figure.savefig("fit.png")`` saves them.

    Raises
    ------
    OptionError
        When the law is not one of N and D alone.
    MissingExtraError
        When matplotlib is not installed.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(settings=1))
    >>> left, right = iso.plot.overview(iso.fit("chinchilla", runs), at=1e24)
    >>> left.get_ylabel(), right.get_ylabel()
    ('loss (nats per token)', 'model size N (parameters)')
    """
    figure = free_figure() if figure is None else figure
    left, right = figure.subplots(1, 2)
    best = _frontier(fit, draws, at)  # once for both panels: its bands take a while
    _draw_losses(_axes(fit, left), fit, best, at, sizes=8)
    _draw_contours(_axes(fit, right), fit, best, at, levels=12)
    left.set_title("Loss against compute", loc="left", fontsize=10.5)
    right.set_title("Fitted iso-loss contours (nats per token)", loc="left", fontsize=10.5)
    left.legend(loc="lower left", frameon=False, fontsize=8.5)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return left, right


def free_figure(width: float = 11.0, height: float = 4.6) -> "Figure":
    """Make an empty figure, of the size for two panels, apart from pyplot's list of open ones."""
    _require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _require_matplotlib() -> None:
    try:
        import matplotlib as mpl  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing_extra("matplotlib", "plot") from error


def new_axes() -> "Axes":
    """Axes of a new figure."""
    _require_matplotlib()
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=PANEL, layout="constrained")[1]


def _axes(fit: "Fit", ax: "Axes | None") -> "Axes":
    if set(fit.law.variables) != {"N", "D"}:
        raise OptionError(
            f"this figure needs a law of N and D; {fit.law.name} is one of {', '.join(fit.law.variables)}",
        )
    axes = new_axes() if ax is None else ax
    _plain(axes)
    return axes


def _plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, which="major", color="#E6E6E6", lw=0.6, zorder=0)
    axes.set_axisbelow(True)


def _loss(fit: "Fit", N: F64, C: F64) -> F64:
    loss: F64 = np.asarray(fit.predict(N=N, D=C / (FLOPS_PER_PARAMETER_TOKEN * N)), dtype=float)
    return loss


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frontier:
    """Compute-optimal N, D and loss over 31 budgets, the last of which is the planned one."""

    C: F64
    N: F64
    D: F64
    loss: F64
    bands: dict[str, tuple[F64, F64]] | None
    """95 % intervals of N and loss over the draws."""


def _frontier(fit: "Fit", draws: "Draws | None", at: float | None) -> _Frontier:
    draws = fit.draws if draws is None else draws
    C = np.asarray(fit.runs["C"])
    budgets = np.geomspace(C.min(), C.max() if at is None else max(float(at), C.min() * 1.01), 31)
    # Without draws for the line, and one budget at a time for the bands: all at once is a lot of memory.
    plan = replace(fit, draws=None).allocate(budgets)
    bands = None
    if draws is not None:
        each = [fit.allocate(float(budget), draws=draws).intervals for budget in budgets]
        bands = {
            name: (np.array([item[name][0] for item in each]), np.array([item[name][1] for item in each]))
            for name in ("N", "loss")
        }
    return _Frontier(C=budgets, N=np.asarray(plan.N), D=np.asarray(plan.D), loss=np.asarray(plan.loss), bands=bands)


def _representative(N: F64, count: int) -> F64:
    """Distinct sizes (0.1 % apart counts as the same); at most `count`, spread evenly."""
    distinct: F64 = np.unique(N)
    distinct = distinct[np.r_[True, np.diff(np.log(distinct)) > 1e-3]]
    if distinct.size <= count:
        return distinct
    some: F64 = distinct[np.unique(np.linspace(0, distinct.size - 1, count).round().astype(int))]
    return some


def _size_colours(N: F64) -> Any:
    from matplotlib import colormaps

    ramp, low, high = colormaps["viridis"], np.log(N.min()), np.log(N.max())
    span = max(high - low, 1e-9)
    # Stop before the palest yellow: it vanishes on white.
    return lambda size: ramp(0.9 * (np.log(size) - low) / span)


def _shades() -> Any:
    """Viridis from pale (low loss) to dark, without the yellow that vanishes on white."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis"](np.linspace(0.88, 0.0, 256)))


def _log_norm(values: Sequence[float]) -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm(min(values), max(values))


def _levels(levels: int | Sequence[float], along_optimum: F64) -> list[float]:
    """Round loss values whose contours cross the optimal line at about even distances."""
    if not isinstance(levels, int):
        return sorted(float(level) for level in levels)
    place = np.linspace(0.02, 0.97, levels) * (along_optimum.size - 1)
    raw = np.interp(place, np.arange(along_optimum.size), along_optimum)
    gaps = np.abs(np.gradient(raw)) if levels > 1 else np.array([0.1])
    rounded = set()
    for level, gap in zip(raw, gaps, strict=True):
        # The coarsest decimal grid that moves a level by at most a third of the way to the next.
        grid = next((g for g in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005) if g <= 0.67 * gap), 0.001)
        rounded.add(round(round(level / grid) * grid, 3))
    return sorted(level for level in rounded if level > along_optimum.min() * 1.001)


def _decimal(level: float) -> str:
    """Up to three decimals, at least one: 2.0, 2.15."""
    text = f"{level:.3f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _label(axes: "Axes", contours: Any, best: _Frontier, view: tuple[float, float, float, float]) -> None:
    """Write each level where its contour is at 4.5 times the optimal size: clear of the runs."""
    left, right, bottom, top = np.log(view)
    margin_x, margin_y = 0.04 * (right - left), 0.03 * (top - bottom)
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        C, N = path.vertices.T
        x, y = np.log(C), np.log(N)
        away = np.abs(y - np.interp(x, np.log(best.C), np.log(best.N)) - np.log(4.5))
        seen = (x > left + margin_x) & (x < right - margin_x) & (y > bottom + margin_y) & (y < top - margin_y)
        if not seen.any():
            continue
        nearest = int(np.argmin(np.where(seen, away, np.inf)))
        axes.text(
            float(C[nearest]),
            float(N[nearest]),
            _decimal(level),
            fontsize=7.5,
            color=INK,
            ha="center",
            va="center",
            clip_on=True,
            path_effects=[_halo()],
            zorder=2,
        )


def _halo() -> Any:
    """White edge around letters, so that lines beneath do not cross them."""
    from matplotlib.patheffects import withStroke

    return withStroke(linewidth=3, foreground="white")


def _note(axes: "Axes", text: str, x: float, y: float, *, drop: float = 9.0) -> None:
    """Write below the star and to its left, `drop` points down: past the optimal line."""
    axes.annotate(
        text,
        (x, y),
        xytext=(4, -drop),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8.5,
        color=INK,
        zorder=6,
        path_effects=[_halo()],
    )


def _loss_ticks(axes: "Axes") -> None:
    """Plain numbers on a logarithmic loss axis, which seldom spans a decade."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.yaxis.set_minor_locator(NullLocator())
