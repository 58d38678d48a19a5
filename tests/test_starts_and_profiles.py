"""Boxes of starting points, the screening, decisions under each optimum, profiles, and a law of one's own (J7)."""

import json
import math
import pickle

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.stats import qmc

import isoloss as iso
from isoloss.engine.basins import Basins
from isoloss.engine.boxes import _halton, _sobol
from isoloss.errors import LawError, OptionError


@pytest.fixture(scope="module")
def runs():
    return iso.read(iso.simulate.sweep(settings=1, seed=0))


# Boxes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimensions", [1, 2, 7, 16])
def test_sequences_are_those_of_scipy(dimensions):
    assert np.array_equal(_sobol(512, dimensions), qmc.Sobol(dimensions, scramble=False).random(512))
    expected = qmc.Halton(dimensions, scramble=False).random(501)[1:]
    np.testing.assert_allclose(_halton(500, dimensions), expected, rtol=1e-12)


@pytest.mark.parametrize("make", [iso.starts.halton, iso.starts.sobol])
@pytest.mark.parametrize("seed", [0, 5])
def test_boxes_fill_their_ranges_positive_ones_in_the_logarithm(make, seed):
    box = make(256, {"A": ("1", "10k"), "E": (0.0, 2.0), "b": (-1.0, 1.0)}, seed=seed)
    columns = box.columns({"A": True, "E": True, "b": False})
    assert columns["A"].min() >= 1.0
    assert columns["A"].max() <= 1e4
    assert abs(np.mean(columns["A"] < 100.0) - 0.5) < 0.02  # half the points in half the decades
    assert columns["E"].min() > 0.0
    assert columns["E"].max() < 2.0
    assert abs(np.mean(columns["b"])) < 0.02


def test_seeds_shift_a_box():
    one, two = (iso.starts.halton(20, {"alpha": (0, 1)}, seed=s).unit() for s in (1, 2))
    assert not np.allclose(one, two)


def test_a_box_is_fitted_stored_and_repeated(runs, tmp_path):
    box = iso.starts.sobol(32, {"alpha": (0.1, 1.0), "beta": (0.1, 1.0)})
    fit = iso.fit("chinchilla", runs, starts=box)
    assert fit.basins.starts == 32
    assert fit.value <= iso.fit("chinchilla", runs).value * (1 + 1e-9)
    assert "32 Sobol points over alpha 0.1..1, beta 0.1..1" in " ".join(fit.summary().split())
    fit.save(tmp_path / "fit.json")
    again = iso.load(tmp_path / "fit.json")
    assert again.settings.starts == box
    assert again.rerun().params == fit.params
    assert pickle.loads(pickle.dumps(box)) == box


def test_a_box_over_all_parameters_starts_where_it_says(runs):
    box = iso.starts.halton(
        200, {"E": (1, 3), "A": (10, 1e4), "B": (10, 1e5), "alpha": (0.1, 1), "beta": (0.1, 1)}, seed=3
    )
    fit = iso.fit("chinchilla", runs, starts=box)
    assert fit.value == pytest.approx(iso.fit("chinchilla", runs).value, rel=1e-9)


@pytest.mark.parametrize(
    ("make", "error", "code"),
    [
        (lambda: iso.starts.halton(0, {"alpha": (0, 1)}), OptionError, "option"),
        (lambda: iso.starts.halton(2.5, {"alpha": (0, 1)}), OptionError, "option"),
        (lambda: iso.starts.halton(5, {}), OptionError, "option"),
        (lambda: iso.starts.sobol(5, {f"a{j}": (0, 1) for j in range(17)}), OptionError, "option"),
        (lambda: iso.starts.sobol(5, {"alpha": (1, 0)}), LawError, "law-starts"),
        (lambda: iso.starts.sobol(5, {"alpha": (0, math.inf)}), LawError, "law-starts"),
        (lambda: iso.starts.sobol(5, {"alpha": 3}), LawError, "law-starts"),
    ],
)
def test_wrong_boxes_are_refused(make, error, code):
    with pytest.raises(error) as caught:
        make()
    assert caught.value.code == code


def test_boxes_that_do_not_fit_the_law_are_refused(runs):
    with pytest.raises(LawError, match="alpha"):
        iso.fit("chinchilla", runs, starts=iso.starts.halton(4, {"alhpa": (0, 1)}))
    with pytest.raises(LawError, match="positive"):
        iso.fit("chinchilla", runs, starts=iso.starts.halton(4, {"A": (-1, 1)}))


# The census ----------------------------------------------------------------------------------------------------------


def test_points_without_a_value_are_screened_and_counted():
    N = np.linspace(1.0, 9.0, 20)
    data = {"N": N, "loss": 2.0 + np.log(N + 0.5)}
    # log(N + b) has no value for b < -1: half the box.
    box = iso.starts.halton(64, {"b": (-3.0, 1.0)})
    without = int(np.count_nonzero(box.columns({})["b"] <= -1.0))
    assert without >= 32
    fit = iso.fit("a + log(N + b)", data, starts=box, objective="squared_raw")
    assert fit.success
    assert fit.basins.starts + fit.basins.screened == 64
    assert fit.basins.screened == without
    assert fit.basins.hopeless == 0
    assert f"{without} screened out" in str(fit.basins)
    assert Basins.from_dict(json.loads(json.dumps(fit.basins.to_dict()))) == fit.basins


def test_points_given_by_the_user_are_solved_and_the_hopeless_counted():
    N = np.linspace(1.0, 9.0, 20)
    fit = iso.fit("a + log(N + b)", {"N": N, "loss": 2 + np.log(N)}, starts=[[1.0, -2.0], [1.0, 0.5]])
    assert (fit.basins.starts, fit.basins.failed, fit.basins.hopeless, fit.basins.screened) == (2, 1, 1, 0)
    assert "1 not converged (1 without a value)" in str(fit.basins)


def rivals():
    """A law with two valleys, neither of which comes down to the data."""
    N = np.linspace(0.1, 10.0, 40)
    loss = 1.0 + 0.01 * np.sin(7.0 * N)
    return iso.fit("3 + (k**2 - 4)**2 + 0.5*k + 0.001*N", {"N": N, "loss": loss}, objective="squared_raw", starts=64)


def test_decisions_are_those_of_each_optimum():
    fit = rivals()
    assert fit.basins.distinct > 1
    made = fit.decisions(N=7.0)
    assert len(made) == len(fit.basins.optima)
    for k, optimum in enumerate(fit.basins.optima):
        expected = fit.law.bind(optimum.params)(N=7.0)
        assert made.quantities["loss"][k] == pytest.approx(expected, rel=1e-12)
        assert made.gap[k] == pytest.approx(optimum.value / fit.value - 1, abs=1e-12)
    assert fit.decisions().quantities["loss"][0] == pytest.approx(fit.predict(N=10.0))
    assert "largest run" in str(fit.decisions())
    assert len(str(made).splitlines()) == 1 + len(made)
    json.dumps(made.to_dict(), allow_nan=False)
    with pytest.raises(OptionError):
        fit.decisions(N=[1.0, 2.0])


def test_the_decision_on_compute_is_the_allocation(runs):
    fit = iso.fit("chinchilla", runs)
    made, plan = fit.decisions(C="1e24"), fit.allocate(C="1e24")
    assert made.quantities["N"][0] == plan.N
    assert made.quantities["loss"][0] == plan.loss
    at = fit.decisions()
    row = int(np.argmax(runs["C"]))
    assert at.quantities["loss"][0] == pytest.approx(fit.predict(N=runs["N"][row], D=runs["D"][row]))


# Profiles ------------------------------------------------------------------------------------------------------------


def test_a_profile_is_the_constrained_optimum(runs):
    fit = iso.fit("chinchilla", runs, objective="squared_log")
    values = fit.params["alpha"] * np.array([0.97, 1.02, 0.9])
    made = fit.profile("alpha", values)
    assert made.values.tolist() == sorted(values)
    for value, objective, params in zip(made.values, made.objective, made.params, strict=True):
        held = iso.fit("chinchilla", runs, objective="squared_log", fix={"alpha": value})
        assert objective == pytest.approx(held.value, rel=1e-9)
        np.testing.assert_allclose(params, held.vector, rtol=1e-4)
    assert (made.objective >= fit.value).all()


def test_the_interval_is_where_the_likelihood_ratio_meets_its_limit(runs):
    fit = iso.fit("chinchilla", runs, objective="squared_log")
    limit = stats.t.ppf(0.95, runs.n - 5) ** 2

    def excess(value):
        held = iso.fit("chinchilla", runs, objective="squared_log", fix={"alpha": value})
        return (runs.n - 5) * (held.value / fit.value - 1) - limit

    made = fit.profile("alpha", level=0.9)
    alpha = fit.params["alpha"]
    low = optimize.brentq(excess, 0.9 * alpha, alpha)
    high = optimize.brentq(excess, alpha, 1.1 * alpha)
    np.testing.assert_allclose(made.interval, (low, high), rtol=1e-4)
    assert str(made).startswith(f"alpha {alpha:.6f}, 90 % profile interval [")
    assert keys(made) >= {"name", "values", "objective", "interval"}


def keys(made):
    return set(json.loads(json.dumps(made.to_dict())))


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    N = np.geomspace(1.0, 100.0, 30)
    truth = iso.law("E + A / N**alpha", positive=["E", "A"])
    mean = truth(N=N, E=2.0, A=3.0, alpha=0.5)
    inside = 0
    for _ in range(100):
        loss = mean + 0.05 * rng.standard_normal(30)
        made = iso.fit(truth, {"N": N, "loss": loss}, objective="squared_raw").profile("alpha", level=0.8)
        inside += made.interval[0] <= 0.5 <= made.interval[1]
    assert 68 <= inside <= 91  # 80 of 100, three standard errors to each side


def test_an_end_that_the_data_do_not_fix_is_infinite():
    N = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    rng = np.random.default_rng(2)
    loss = 2.0 + 0.02 * rng.standard_normal(6)
    made = iso.fit(iso.law("E + A / N**alpha", positive=["E", "A"]), {"N": N, "loss": loss}).profile("alpha")
    assert made.interval is None  # a Huber objective is no likelihood
    assert "bootstrap" in str(made)
    squared = iso.fit(
        iso.law("E + A / N**alpha", positive=["E", "A"]), {"N": N, "loss": loss}, objective="squared_raw"
    ).profile("alpha")
    assert math.isinf(squared.interval[1])


def test_profiles_refuse_what_has_none(runs):
    fit = iso.fit("chinchilla", runs, fix={"E": 1.8}, tie={"beta": "alpha"})
    with pytest.raises(LawError, match="fixed"):
        fit.profile("E")
    with pytest.raises(LawError, match="gamma"):
        fit.profile("gamma")
    with pytest.raises(OptionError):
        fit.profile("A", [-1.0, 2.0])
    with pytest.raises(OptionError):
        fit.profile("A", level=1.0)
    tied = fit.profile("beta", [0.3, 0.4])
    assert np.array_equal(tied.params[:, fit.names.index("alpha")], [0.3, 0.4])
    assert np.array_equal(tied.params[:, fit.names.index("beta")], [0.3, 0.4])


# J7 ------------------------------------------------------------------------------------------------------------------


def test_my_own_law(runs, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.setattr("isoloss.laws._user", {})
    law = iso.law(
        "E + A * (N/N0)**-alpha + B * (D/D0)**-beta * (1 + g*log(N/N0))",
        vars=["N", "D"],
        pivots={"N0": "geomean", "D0": "geomean"},
        bounds={"E": (0, "min_loss"), "alpha": (0, 2), "beta": (0, 2)},
        positive=["A", "B"],
    )
    fit = iso.fit(law, runs, fix={"E": 1.69}, tie={"beta": "alpha"}, objective="huber_log", delta="auto")
    assert fit.success
    assert fit.params["E"] == 1.69
    assert fit.params["alpha"] == fit.params["beta"]
    assert fit.objective.delta > 0
    profile = fit.profile("alpha")
    axes = profile.plot()
    assert axes.get_xlabel() == "alpha"
    assert np.nanmin(profile.objective) == pytest.approx(fit.value, rel=1e-9)
    iso.register(law, name="mylaw-of-the-test", cite="arXiv:2203.15556")
    assert iso.laws.get("mylaw-of-the-test").source.arxiv == "2203.15556"
    again = iso.fit(
        "mylaw-of-the-test", runs, fix={"E": 1.69}, tie={"beta": "alpha"}, objective="huber_log", delta="auto"
    )
    assert again.params == fit.params


def test_the_interval_of_a_parameter_that_ran_to_zero_ends_where_the_runs_end_it():
    # Steps in proportion to an estimate of 1e-9 never met a value that is rejected: E was called not identified at all.
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(1e8, 1e10, 6)))
    loss = (8.0 / N**0.05 + 9e4 / D**0.55) * np.exp(0.01 * np.random.default_rng(1).standard_normal(36))
    fit = iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}, objective="squared_log")
    assert fit.at_bound == {"E": -1}
    low, high = fit.profile("E").interval
    assert low == 0.0

    def excess(E):
        def residuals(p):
            return np.log(E + np.exp(p[0]) / N ** p[1] + np.exp(p[2]) / D ** p[3]) - np.log(loss)

        starts = ([np.log(A), a, np.log(9e4), 0.55] for A, a in ((8.0, 0.05), (20.0, 0.15), (200.0, 0.3)))
        found = [optimize.least_squares(residuals, start, x_scale="jac", max_nfev=2000) for start in starts]
        ratio = 31 * (min(2.0 * one.cost for one in found) / fit.value - 1.0)
        return ratio - stats.t.ppf(0.975, 31) ** 2

    assert high == pytest.approx(optimize.brentq(excess, 0.05, loss.min() * 0.98, xtol=1e-4), rel=0.01)
