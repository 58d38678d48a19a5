"""Figures and the report of fitted hyper-parameter laws: what is drawn is what was fitted, and can be seen."""

import base64
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

import isoloss as iso
from isoloss import simulate
from isoloss.cli import main
from isoloss.hparams.plots import parallel_coordinates

mpl = pytest.importorskip("matplotlib")
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.colors import to_rgb  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


@pytest.fixture(scope="module")
def hp():
    table = simulate.sweep(N=[2e8, 1e9], tokens_per_parameter=[20, 80, 200], settings=6, step=2**0.5, seed=0)
    table["loss"] = np.where(np.arange(len(table["loss"])) % 36 == 35, 9.0, table["loss"])
    return iso.fit_hparams(iso.read(table), draws=50, threshold=0.015)


@pytest.fixture
def axes():
    return Figure(figsize=(6, 4.4), dpi=100, layout="constrained").subplots()


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3] / 255.0


def colour_at(image, axes, x, y):
    column, row = axes.transData.transform((x, y))
    return image[image.shape[0] - 1 - round(row), round(column)]


def line_named(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line


def cell_of(hp, c=4):
    return {"N": float(hp.sweep.N[c]), "D": float(hp.sweep.D[c])}


def test_a_landscape_shows_runs_plateau_and_prediction_where_they_are(hp, axes):
    hp.plot.landscape(**cell_of(hp), within=0.002, laws=["porian"], ax=axes)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    edge = line_named(axes, "plateau, 0.2 %").get_xydata()
    np.testing.assert_allclose(edge, hp.plateau(**cell_of(hp), within=0.002).outline)
    image = pixels(axes.figure)
    best = hp.predict(**cell_of(hp))
    np.testing.assert_allclose(colour_at(image, axes, best.lr, best.batch), to_rgb("#0072B2"), atol=0.05)
    top = edge[np.argmax(edge[:, 1])]
    np.testing.assert_allclose(colour_at(image, axes, *top), to_rgb("#0072B2"), atol=0.35)  # smoothed at its rim
    star = line_named(axes, "best run").get_xydata()[0]
    row = hp.sweep.best[4]
    assert star == pytest.approx([hp.sweep.runs["lr"][row], hp.sweep.runs["batch"][row]])
    (crosses,) = [c for c in axes.collections if c.get_label() == "diverged"]
    assert len(crosses.get_offsets()) == 1
    published = line_named(axes, "porian").get_xydata()[0]
    assert published[0] == pytest.approx(3.7 * cell_of(hp)["N"] ** -0.36)


def test_titles_tell_the_cell_drawn_from_the_one_asked_for(hp, axes):
    cell = cell_of(hp)
    shown = hp.sweep.name(4)
    assert hp.plot.landscape(**cell, ax=axes).get_title(loc="left") == shown
    asked = {"N": 1.3 * cell["N"], "D": cell["D"]}
    told = f"{shown}, the cell nearest to N 1.30B D 80.0B"
    assert hp.plot.landscape(**asked).get_title(loc="left") == told
    for panel in hp.plot.slices(**asked):
        assert panel.get_title(loc="left").splitlines()[0] == told


def test_contours_are_levels_of_the_surface(hp, axes):
    hp.plot.landscape(**cell_of(hp), ax=axes)
    (contours,) = [c for c in axes.collections if hasattr(c, "levels")]
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        if len(path.vertices) > 20:
            lr, batch = path.vertices.T
            cost = hp.regret(lr, batch, **cell_of(hp)).estimate
            np.testing.assert_allclose(100 * cost, level, rtol=0.05)


def test_every_cell_gets_a_panel_and_ink(hp):
    panels = hp.plot.landscape(columns=3)
    assert len(panels) == hp.sweep.cells
    figure = panels[0].figure
    image = pixels(figure)
    for axes in panels:
        box = axes.get_window_extent()
        inside = image[image.shape[0] - round(box.y1) : image.shape[0] - round(box.y0), round(box.x0) : round(box.x1)]
        assert (inside.min(axis=2) < 0.9).mean() > 0.02
    with pytest.raises(iso.IsolossError, match="ax takes one cell"):
        hp.plot.landscape(ax=panels[0])
    with pytest.raises(iso.IsolossError, match="give N and D"):
        hp.plot.landscape(N=1e9)


def test_no_tick_label_runs_into_its_neighbour(hp):
    for panels in (hp.plot.optimum(), hp.plot.slices(**cell_of(hp)), [hp.plot.landscape(**cell_of(hp))]):
        figure = panels[0].figure
        pixels(figure)
        for axes in panels:
            shown = [t.get_window_extent() for t in axes.get_xticklabels() if t.get_text() and t.get_visible()]
            inside = sorted((b.x0, b.x1) for b in shown if axes.bbox.x0 - 1 <= (b.x0 + b.x1) / 2 <= axes.bbox.x1 + 1)
            assert all(a[1] <= b[0] + 1 for a, b in pairwise(inside))


def test_slices_are_the_surface_with_a_band_and_the_runs(hp):
    left, right = hp.plot.slices(**cell_of(hp))
    assert (left.get_xscale(), right.get_xscale()) == ("log", "log")
    lr, excess = line_named(left, "surface").get_data()
    runs = line_named(left, "runs").get_xydata()
    held = [
        b for b in np.unique(hp.sweep.runs["batch"]) if f"batch {iso.units.format_si(b)}" in left.get_title(loc="left")
    ]
    expected = hp.regret(lr, held[0], **cell_of(hp))
    np.testing.assert_allclose(excess, 100 * expected.estimate, rtol=1e-9)
    (band,) = [c for c in left.collections if c.get_label() == "95 %"]
    vertices = band.get_paths()[0].vertices
    assert vertices[:, 1].max() == pytest.approx(100 * np.max(expected.high), rel=1e-6)
    assert len(runs) == 6


def test_ticks_of_less_than_a_decade_differ(hp):
    axes = hp.plot.optimum()[2]
    axes.set_ylim(4.6e5, 5.4e5)
    axes.figure.canvas.draw()
    shown = [tick.get_text() for tick in axes.get_yticklabels()]
    assert len(shown) > 3
    assert len(set(shown)) == len(shown)
    assert "500K" in shown


def test_the_optimum_follows_the_power_law(hp):
    panels = hp.plot.optimum()
    grid, centre = line_named(panels[0], "power law").get_data()
    middle = float(np.exp(np.log(hp.sweep.D).mean()))
    np.testing.assert_allclose(centre, hp.predict(N=grid, D=middle).lr)
    slope = np.diff(np.log(centre)) / np.diff(np.log(grid))
    np.testing.assert_allclose(slope, hp.powers.exponents["lr_N"])


def test_parallel_coordinates_put_low_losses_in_front(axes):
    columns = {"lr": [1e-4, 1e-2, 1e-3], "batch": [1e5, 1e6, 1e7], "loss": [2.0, 2.2, 2.1]}
    parallel_coordinates(columns, ax=axes)
    (lines,) = axes.collections
    heights = np.array(lines.get_segments())[:, :, 1]
    np.testing.assert_allclose(heights[-1], [0.0, 0.0, 0.0], atol=1e-12)  # the least loss comes last, on top
    np.testing.assert_allclose(heights[0], [1.0, 0.5, 1.0])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["lr", "batch", "loss"]
    assert (pixels(axes.figure).min(axis=2) < 0.9).mean() > 0.005
    with pytest.raises(iso.DataError):
        parallel_coordinates({"lr": [1.0, 2.0], "loss": [1.0]})
    with pytest.raises(iso.IsolossError, match="is no column"):
        parallel_coordinates(columns, colour="value")


class Page(HTMLParser):
    """Tags, images and words of a page; void elements apart, every tag is closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.images, self.words, self.links = [], [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "img":
            self.images.append(given["src"])
        self.links += [v for k, v in given.items() if k in ("href", "src") and not v.startswith("data:")]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report(hp, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "hp.html"
    hp.report(path, at=(7e9, 1.4e12), within="0.2%")
    return path


def test_the_report_is_whole_and_asks_for_nothing(hp, report):
    text = report.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.links == []
    assert "<script" not in text
    assert len(page.images) == 3
    for source in page.images:
        assert base64.b64decode(source.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG\r\n\x1a\n")
    words = " ".join(page.words)
    assert str(hp.predict(N=7e9, D=1.4e12)).split("\n")[0] in words
    assert hp.sweep.runs.source.sha256 in words
    assert "threshold" in words


def test_the_command_writes_the_same_page(hp, tmp_path, capsys):
    saved, one, other = tmp_path / "hp.json", tmp_path / "one.html", tmp_path / "other.html"
    hp.save(saved)
    iso.load(saved).report(one)
    assert main(["report", str(saved), "--html", str(other)]) == 0
    assert "saved" in capsys.readouterr().out
    assert one.read_bytes() == other.read_bytes()
    assert main(["report", str(saved), "--html", str(other), "--level", "0.9"]) == 2
    assert "95 %" in capsys.readouterr().err
    assert main(["checklist", str(saved)]) == 2
    assert "does not hold a fit but a HParamLaw" in capsys.readouterr().err


def test_the_report_opens_in_a_browser_without_errors_or_requests(report, tmp_path):
    browser = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if browser is None:
        pytest.skip("no Chromium on this machine")
    shot, log = tmp_path / "page.png", tmp_path / "net.json"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,1400", f"--user-data-dir={tmp_path}"]
    watch = ["--enable-logging=stderr", "--v=0", f"--log-net-log={log}", f"--screenshot={shot}"]
    done = subprocess.run(
        [browser, *options, *quiet, *watch, report.as_uri()], check=True, capture_output=True, text=True, timeout=120
    )
    assert "CONSOLE" not in done.stderr
    asked = {url for url in re.findall(r'"url":"([^"]+)"', log.read_text(errors="replace")) if url.startswith("http")}
    assert {
        url for url in asked if "google" not in url and "gvt1" not in url
    } == set()  # the browser's own are no page's
    image = mpl.image.imread(shot)[:, :, :3]
    assert image.shape[0] == 1400
    dark = (image.min(axis=2) < 0.5).mean(axis=1)
    assert (dark > 0.001).mean() > 0.3  # words and pictures down the whole page
    assert dark.mean() > 0.005
