"""Fits that leave the range of numbers: they say so, and show the best point within it."""

import numpy as np
import pytest

import isoloss as iso
from isoloss.engine.status import Status

LAW = iso.law("E + A * x**-alpha", vars=["x"], positive=["E", "A"])
X = np.geomspace(1e8, 1e10, 12)
START = np.array([2.0, 1e4, 0.5])


def spiked(seed: int = 0):
    """Noise about a constant, and a first point that stands out: the term wants to be felt there alone."""
    y = 2.0 + 0.01 * np.random.default_rng(seed).standard_normal(len(X))
    y[0] += 0.5
    return y


def solve(y, **options):
    return iso.fit_many(LAW, {"x": X}, y, starts=START, **options)


@pytest.mark.parametrize("objective", [iso.SquaredError("raw"), iso.Huber(1e-3, space="raw"), iso.AbsoluteError("raw")])
def test_a_spike_gets_finite_parameters_and_the_objective_of_those(objective):
    y = spiked()
    table = solve(y[None], objective=objective)
    assert Status(int(table.status[0])) is Status["OUT_OF_RANGE"]
    assert not table.success[0]
    E, A, alpha = table.params[0]
    assert np.isfinite(table.params).all()
    shown = objective.losses(E + A * X**-alpha, y).sum()
    assert table.value[0] == pytest.approx(shown, rel=1e-9)
    # A spike over the first point is as good as no such point at all; a constant for all points is far worse.
    rest = iso.fit_many(iso.law("E + 0 * x", vars=["x"]), {"x": X[1:]}, y[None, 1:], starts=[2.0], objective=objective)
    assert table.value[0] == pytest.approx(rest.value[0], rel=1e-4)


def test_in_a_panel_and_under_weights_it_is_the_fit_of_its_own_rows():
    y = np.array([2.0 + 1e3 * X**-0.4, spiked(2), spiked(3)])
    weights = np.ones_like(y)
    weights[1, 3:6] = 2.0
    weights[2, 0] = 0.0
    panel = iso.fit_many(LAW, {"x": np.tile(X, (3, 1))}, y, weights=weights, starts=START, objective="squared_raw")
    alone = solve(y[1:2], weights=weights[1:2], objective="squared_raw")
    names = [Status(int(code)).name for code in panel.status]
    assert names[:2] == ["CONVERGED", "OUT_OF_RANGE"]
    assert names[2] != "OUT_OF_RANGE"  # without its first point there is nothing to be a spike over
    assert np.array_equal(panel.params[1], alone.params[0])
    assert panel.value[1] == alone.value[0]


def test_one_fit_says_so_too():
    fit = iso.fit(LAW, {"x": X, "loss": spiked()}, objective="squared_raw")
    assert not fit.success
    assert all(np.isfinite(value) for value in fit.params.values())
    assert any("range of numbers" in notice.message for notice in fit.warnings)


@pytest.mark.parametrize("objective", ["squared_raw", iso.Huber(delta="auto", space="raw")])
def test_many_are_brought_back_together_as_each_alone(objective):
    y = np.array([spiked(seed) for seed in range(40)])
    weights = np.where(np.arange(40)[:, None] % 2, 1.0, np.linspace(0.5, 1.0, len(X)))
    shared = solve(y, weights=weights, objective=objective)
    panel = iso.fit_many(LAW, {"x": np.tile(X, (40, 1))}, y, weights=weights, starts=START, objective=objective)
    lost = shared.status == Status["OUT_OF_RANGE"]
    assert 4 < lost.sum() < 40
    for b in [*np.flatnonzero(lost)[:4], *np.flatnonzero(~lost)[:2]]:
        alone = solve(y[b : b + 1], weights=weights[b : b + 1], objective=objective)
        assert alone.status[0] == shared.status[b]
        assert np.array_equal(alone.params[0], shared.params[b])
        assert alone.value[0] == shared.value[b]
    assert np.isfinite(panel.params).all()
    assert np.array_equal(panel.status == Status["OUT_OF_RANGE"], lost)
    np.testing.assert_allclose(panel.value, shared.value, rtol=1e-6)


def test_own_bounds_beyond_the_range_are_kept_to():
    far = iso.law("E + A * x**-alpha", vars=["x"], positive=["E", "A"], bounds={"A": (1e200, 1e305)})
    table = iso.fit_many(far, {"x": X}, spiked()[None], starts=[2.0, 1e250, 28.0], objective="squared_raw")
    assert 1e200 <= table.params[0, 1] <= 1e305
