"""Figures: what is drawn is what was fitted, and what is drawn can be seen."""

import sys

import numpy as np
import pytest

import isoloss as iso
from isoloss import simulate

mpl = pytest.importorskip("matplotlib")
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.colors import to_rgb  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

AT = 1e24


@pytest.fixture(scope="module")
def fitted():
    runs = iso.demo.best_per_cell(iso.read(simulate.sweep(seed=2)))
    return iso.fit("chinchilla", runs, seed=0)


@pytest.fixture(scope="module")
def draws(fitted):
    return fitted.bootstrap(200, seed=0, method="case")


@pytest.fixture
def axes():
    return Figure(figsize=(6, 4.4), dpi=100, layout="constrained").subplots()


def pixels(axes):
    """Render the whole figure; returns (height, width, 3) in 0..1 with row 0 at the top."""
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3] / 255.0


def colour_at(image, axes, x, y):
    column, row = axes.transData.transform((x, y))
    return image[image.shape[0] - 1 - round(row), round(column)]


def line_named(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line


def test_curves_are_the_fit_at_each_size(fitted, axes):
    iso.plot.loss_against_compute(fitted, ax=axes)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    curves = [line for line in axes.lines if line.get_label() != "compute-optimal"]
    sizes = np.unique(fitted.runs["N"])
    assert len(curves) == len(sizes)
    for curve, N in zip(curves, sizes, strict=True):
        C, loss = curve.get_data()
        np.testing.assert_allclose(loss, fitted.predict(N=np.full_like(C, N), D=C / (6 * N)))
    (points,) = axes.collections
    np.testing.assert_array_equal(points.get_offsets(), np.column_stack([fitted.runs["C"], fitted.runs["loss"]]))


def test_many_sizes_are_thinned_to_the_asked_number(fitted, axes):
    iso.plot.loss_against_compute(fitted, sizes=3, ax=axes)
    assert len(axes.lines) == 3 + 1


def test_frontier_is_the_optimum_of_the_fit_and_reaches_the_budget(fitted, axes):
    iso.plot.loss_against_compute(fitted, at=AT, ax=axes)
    C, loss = line_named(axes, "compute-optimal").get_data()
    assert C[-1] == pytest.approx(AT)
    for budget, best in zip(C, loss, strict=True):
        N = np.geomspace(1e6, 1e13, 4001)
        least = np.min(fitted.predict(N=N, D=budget / (6 * N)))
        assert best == pytest.approx(least, rel=1e-6)
    assert loss[-1] < fitted.runs["loss"].min()


def test_band_lies_around_the_frontier(fitted, draws, axes):
    iso.plot.loss_against_compute(fitted, draws=draws, at=AT, ax=axes)
    band = axes.collections[-1].get_paths()[0].vertices
    C, loss = line_named(axes, "compute-optimal").get_data()
    for budget, best in zip(C, loss, strict=True):
        low, high = np.quantile(
            [_least(dict(zip(draws.names, row, strict=True)), budget) for row in draws.params], [0.025, 0.975]
        )
        edges = band[np.isclose(band[:, 0], budget), 1]
        assert edges.min() == pytest.approx(low, rel=1e-6)
        assert edges.max() == pytest.approx(high, rel=1e-6)
        assert low < best < high


def _least(p, budget):
    """Hoffmann et al. 2022, equation 4: the loss at the closed-form optimum."""
    total = p["alpha"] + p["beta"]
    N = (p["alpha"] * p["A"] / (p["beta"] * p["B"])) ** (1 / total) * (budget / 6) ** (p["beta"] / total)
    return p["E"] + p["A"] / N ** p["alpha"] + p["B"] / (budget / (6 * N)) ** p["beta"]


def test_contours_are_curves_of_equal_loss(fitted, axes):
    iso.plot.isoloss_contours(fitted, at=AT, levels=[2.2, 2.6, 3.0], ax=axes)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    (contours,) = [c for c in axes.collections if hasattr(c, "levels")]
    assert list(contours.levels) == [2.2, 2.6, 3.0]
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        C, N = path.vertices.T
        assert len(C) > 20
        np.testing.assert_allclose(fitted.predict(N=N, D=C / (6 * N)), level, rtol=2e-3)


def test_contours_are_vertical_where_the_optimum_crosses_them(fitted, axes):
    """At the optimal N the loss does not change with N at fixed C: the contour turns there."""
    iso.plot.isoloss_contours(fitted, levels=[2.6], ax=axes)
    (contours,) = [c for c in axes.collections if hasattr(c, "levels")]
    C, N = contours.get_paths()[0].vertices.T
    turn = np.argmin(C)
    frontier_C, frontier_N = line_named(axes, "compute-optimal N").get_data()
    expected = np.exp(np.interp(np.log(C[turn]), np.log(frontier_C), np.log(frontier_N)))
    assert N[turn] == pytest.approx(expected, rel=0.15)


def test_default_levels_span_the_runs_and_the_plan(fitted, axes):
    iso.plot.isoloss_contours(fitted, at=AT, ax=axes)
    (contours,) = [c for c in axes.collections if hasattr(c, "levels")]
    levels = np.asarray(contours.levels)
    assert 9 <= len(levels) <= 12
    assert np.all(np.diff(levels) > 0)
    assert np.all(levels == np.round(levels, 2))
    frontier = line_named(axes, "compute-optimal N").get_data()
    N, D = frontier[1], frontier[0] / (6 * frontier[1])
    along = fitted.predict(N=N, D=D)
    assert along.min() < levels[0] < levels[-1] < along.max() + 0.25
    crossings = np.interp(levels, along[::-1], np.log(frontier[0])[::-1])
    steps = -np.diff(crossings)
    assert steps.max() < 3 * np.median(steps)  # about evenly spread along the optimum


def test_the_star_is_seen_at_the_plan(fitted, axes):
    iso.plot.isoloss_contours(fitted, at=AT, ax=axes)
    image = pixels(axes)
    N = fitted.allocate(C=AT).N
    np.testing.assert_allclose(colour_at(image, axes, AT, N), to_rgb("#D55E00"), atol=0.02)
    without = Figure(figsize=(6, 4.4), dpi=100, layout="constrained").subplots()
    iso.plot.isoloss_contours(fitted, ax=without)
    assert without.get_xlim()[1] < AT


def test_runs_are_seen_in_colours_that_tell_sizes_apart(fitted, axes):
    iso.plot.loss_against_compute(fitted, ax=axes)
    image = pixels(axes)
    sizes = np.unique(fitted.runs["N"])
    seen = []
    for N in sizes:
        one = fitted.runs["N"] == N
        C, loss = fitted.runs["C"][one][-1], fitted.runs["loss"][one][-1]
        seen.append(colour_at(image, axes, C, loss))
    seen = np.array(seen)
    lightness = seen @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(lightness) > 0.01)  # ordered in grey as well
    assert lightness.max() < 0.85  # and none too pale for white paper


@pytest.mark.parametrize("budget", [1e22, 1e24, 1e26])
def test_overview_keeps_every_word_inside_the_figure(fitted, draws, budget):
    figure = Figure(figsize=(11, 4.6), dpi=80, layout="constrained")
    panels = iso.plot.overview(fitted, draws=draws, at=budget, title="A title", figure=figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    everything = figure.bbox
    for axes in panels:
        for text in axes.findobj(mpl.text.Text):
            if not (text.get_text() and text.get_visible()):
                continue
            box = text.get_window_extent()
            if axes.bbox.overlaps(box) or text in axes.texts:
                assert everything.x0 <= box.x0
                assert box.x1 <= everything.x1
                assert box.y1 <= everything.y1
    ink = np.asarray(canvas.buffer_rgba())[:, :, :3].min(axis=2) < 250
    half = ink.shape[1] // 2
    assert ink[:, :half].mean() > 0.03
    assert ink[:, half:].mean() > 0.03


def test_residuals_are_relative_errors(fitted, axes):
    iso.plot.residuals(fitted, against="D", ax=axes)
    points = axes.collections[-1].get_offsets()
    runs = fitted.runs
    expected = 100 * (runs["loss"] / fitted.predict(N=runs["N"], D=runs["D"]) - 1)
    np.testing.assert_allclose(points, np.column_stack([runs["D"], expected]))
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "D"


def test_new_axes_are_made_when_none_are_given(fitted):
    from matplotlib import pyplot as plt

    with mpl.rc_context({"backend": "agg"}):
        axes = iso.plot.residuals(fitted)
        assert axes.figure.number in plt.get_fignums()
        plt.close(axes.figure)


def test_unknown_column_is_named(fitted, axes):
    with pytest.raises(iso.IsolossError, match="'width'"):
        iso.plot.residuals(fitted, against="width", ax=axes)


def test_a_law_of_other_variables_is_refused(axes):
    C = np.geomspace(1e18, 1e22, 12)
    law = iso.law("E + A / C**gamma", positive=["E", "A"], bounds={"gamma": (0, 1)})
    fitted = iso.fit(law, {"C": C, "loss": 1.7 + 40 * C**-0.1})
    with pytest.raises(iso.IsolossError, match="law of N and D"):
        iso.plot.loss_against_compute(fitted, ax=axes)


def test_without_matplotlib_the_message_says_what_to_install(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"isoloss\[plot\]"):
        iso.plot.residuals(fitted)
