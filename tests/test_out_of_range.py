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
