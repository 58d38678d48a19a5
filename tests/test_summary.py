"""The printed summary: every part that the documentation promises, within the width of a terminal."""

import numpy as np
import pytest

import isoloss as iso

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1500.0, "beta": 0.36}


def runs(**options):
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e9, 1e12, 6)))
    loss = iso.laws.get("chinchilla").bind(TRUTH)(N=N, D=D)
    noisy = loss * np.exp(0.01 * np.random.default_rng(0).standard_normal(36))
    return iso.read({"N": N, "D": D, "loss": noisy, "run": np.arange(36) // 2}, **options)


def test_all_sections_are_there():
    fit = iso.fit("chinchilla", runs().where(N=(1e7, 9e9)), objective="squared_log")
    text = fit.summary()
    lines = text.splitlines()
    assert lines[0] == "chinchilla: L = E + A / N**alpha + B / D**beta"
    labels = [line.split("  ")[0] for line in lines]
    for label in ("data", "dropped", "objective", "std errors", "correlated", "bounds hit", "basins", "status"):
        assert label in labels, label
    assert "30 runs, from a dict of arrays" in text
    assert "6 (not where N = (10000000.0, 9000000000.0))" in text
    assert "sum of squared residuals on log loss = 0.00" in text
    assert "25 starts, 1 distinct optimum" in text
    assert fit.status.message in text
    assert "A, alpha +0.99" in text
    for name in fit.names:
        assert any(line.startswith(f"{name} ") for line in lines), name


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_asked(width):
    fit = iso.fit("chinchilla", runs(group="run"), objective="squared_log", bounds={"alpha": (0, 0.3)})
    for shown in (fit, fit.with_draws(fit.bootstrap(30))):
        assert max(map(len, shown.summary(width=width).splitlines())) <= width


def test_remarks_on_single_parameters():
    fit = iso.fit("chinchilla", runs(), fix={"E": 1.69}, tie={"beta": "alpha"}, objective="squared_log")
    assert "alpha, beta" not in str(fit)  # one number under two names, not two that are correlated
    rows = {line.split()[0]: line for line in fit.summary().splitlines() if line.split()}
    assert rows["E"].endswith("fixed")
    assert rows["beta"].endswith("= alpha")
    assert rows["alpha"].split()[1] == rows["beta"].split()[1]
    bounded = iso.fit("chinchilla", runs(), bounds={"alpha": (0, 0.3)}, objective="squared_log").summary()
    assert "at its upper bound" in bounded
    assert "alpha upper" in bounded


def test_missing_errors_are_explained():
    text = iso.fit("chinchilla", runs(), objective="absolute_log").summary()
    assert "absolute error has no curvature" in text
    assert "bootstrap" in text


def test_intervals_are_shown_with_their_origin():
    fit = iso.fit("chinchilla", runs(group="run"), objective="squared_log")
    text = fit.with_draws(fit.bootstrap(40, seed=0)).summary(level=0.9)
    assert "90 % bootstrap interval" in text
    assert "percentile intervals expanded for 17 degrees of freedom, 40 wild draws by group" in text
    assert "in 18 groups" in text
    assert "cluster-robust" in text


def test_printing_a_fit_prints_its_summary():
    fit = iso.fit("chinchilla", runs())
    assert str(fit) == fit.summary()
    assert repr(fit).startswith("Fit(chinchilla: E=")
    assert "\n" not in repr(fit)


def test_standard_errors_from_few_residuals_are_called_rough():
    few = iso.fit("chinchilla", runs(), objective=iso.Huber(2.5e-3))
    inside = int(np.sum(np.abs(few.residuals) <= 2.5e-3))
    assert 15 <= inside < 18
    assert f"rough, with {inside} of 36 residuals within delta" in few.summary()
    assert "rough" not in iso.fit("chinchilla", runs(), objective=iso.Huber(0.1)).summary()
