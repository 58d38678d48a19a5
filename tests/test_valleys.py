"""Profiles and surfaces over several valleys: the lowest is found wherever it is the lowest, as SciPy finds it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

import isoloss as iso
from isoloss.stats import profiles

X = np.linspace(0.0, 10.0, 60)
HILL = iso.law("E + A * exp(-((x - m) / w)**2)", vars=["x"], bounds={"m": (0, 10)}, positive=["w"])


def hills(narrow, broad, noise, seed=0, **options):
    """A peak on one of two hills, narrow at 2 and broad at 6.5: its width decides on which."""
    loss = 2.0 + narrow[0] * np.exp(-(((X - 2.0) / narrow[1]) ** 2)) + broad[0] * np.exp(-(((X - 6.5) / broad[1]) ** 2))
    loss += noise * np.random.default_rng(seed).standard_normal(len(X))
    return iso.fit(HILL, {"x": X, "loss": loss}, objective="squared_raw", **options), loss


def brute(loss, width, height=None):
    """The least sum of squares over the place of the peak: a fine grid, and SciPy from each of its minima."""

    def squares(place):
        peak = np.exp(-(((X - place) / width) ** 2))
        if height is not None:
            return float(np.var(loss - height * peak)) * len(X)
        terms = np.column_stack([np.ones_like(X), peak])
        return float(np.sum((terms @ np.linalg.lstsq(terms, loss, rcond=None)[0] - loss) ** 2))

    grid = np.linspace(0.0, 10.0, 201)
    value = np.array([squares(place) for place in grid])
    inner = np.flatnonzero((value[1:-1] <= value[:-2]) & (value[1:-1] <= value[2:])) + 1
    options = {"xatol": 1e-9}
    tried = [
        optimize.minimize_scalar(squares, bounds=(grid[k - 1], grid[k + 1]), method="bounded", options=options)
        for k in inner
    ]
    best = min(tried, key=lambda made: made.fun)
    ends = min(value[0], value[-1])
    return (best.fun, best.x) if best.fun <= ends else (ends, grid[0] if value[0] == ends else grid[-1])


@pytest.fixture(scope="module")
def one_valley():
    """A fit whose census knows the broad hill alone."""
    return hills((1.0, 0.3), (0.6, 2.0), 0.02, starts=[[2.0, 0.5, 6.5, 1.5]])


def test_a_profile_changes_valleys_where_another_is_lower(one_valley):
    fit, loss = one_valley
    assert all(optimum.params["m"] > 5.0 for optimum in fit.basins.optima)
    widths = np.geomspace(0.1, 5.0, 21)
    made = fit.profile("w", widths)
    expected = [brute(loss, width) for width in widths]
    np.testing.assert_allclose(made.objective, [value for value, _ in expected], rtol=1e-9)
    place = made.params[:, fit.names.index("m")]
    np.testing.assert_allclose(place, [at for _, at in expected], rtol=1e-3)
    assert place[0] == pytest.approx(2.0, abs=0.1)
    assert place[-1] > 5.0


def test_a_surface_changes_valleys_too(one_valley):
    fit, loss = one_valley
    widths, heights = np.geomspace(0.15, 4.0, 7), np.linspace(0.2, 1.2, 6)
    made = fit.profile2("w", "A", (widths, heights))
    expected = [[brute(loss, width, height) for height in heights] for width in widths]
    np.testing.assert_allclose(made.objective, [[value for value, _ in row] for row in expected], rtol=1e-9)
    place = made.params[:, :, fit.names.index("m")]
    assert place.min() < 2.5
    assert place.max() > 6.0


@pytest.mark.parametrize("scout", [0, 4])
def test_a_valley_found_at_one_end_is_followed_past_where_it_is_the_lowest(one_valley, monkeypatch, scout):
    fit, loss = one_valley
    monkeypatch.setattr(profiles, "scouts", lambda shape: np.array([scout]))
    # A user's own starts remember nothing of the narrow hill either.
    alone = replace(fit, reserve=fit.reserve[:0], rivals=0)
    widths = np.geomspace(0.1, 5.0, 21)
    made = alone.profile("w", widths)
    np.testing.assert_allclose(made.objective, [brute(loss, width)[0] for width in widths], rtol=1e-9)


def test_what_is_not_rejected_may_lie_in_pieces():
    fit, _ = hills((0.5, 0.9), (0.5, 1.0), 0.2, seed=4)
    made = fit.profile("m", level=0.99)
    assert len(made.pieces) == 2
    assert made.interval == made.support == (made.pieces[0][0], made.pieces[1][1])
    assert "in 2 pieces: [1.645, 2.400] and [6.034, 6.794]" in str(made)
    limit = profiles.likelihood_limit(fit.problem, 0.99)
    for end in np.ravel(made.pieces):
        held = iso.fit(HILL, fit.runs, objective="squared_raw", fix={"m": end})
        assert 56 * (held.value / fit.value - 1) == pytest.approx(limit, rel=0.02)
    between = (made.values > made.pieces[0][1]) & (made.values < made.pieces[1][0])
    assert between.any()
    assert (56 * (made.objective[between] / fit.value - 1) > limit).all()
    assert len(fit.profile("m", level=0.5).pieces) == 1
    assert made.to_dict()["pieces"] == [list(piece) for piece in made.pieces]
    pytest.importorskip("matplotlib").use("Agg")
    assert len(made.plot().patches) == 2


def test_a_fit_that_missed_the_best_optimum_is_told_so():
    fit, _ = hills((0.5, 0.9), (0.5, 1.0), 0.2, seed=4)
    second = fit.basins.optima[1]
    worse = replace(fit, params=second.params, value=second.value)
    assert "missed a better optimum" not in str(fit.profile("m"))
    assert not fit.profile2("m", "w").missed
    assert "missed a better optimum" in str(worse.profile("w"))
    assert worse.profile2("m", "w").missed
