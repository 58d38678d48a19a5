"""Ridges in words, the sloppy direction, profiles of two parameters, intervals without draws, and bounds at zero."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import isoloss as iso
from isoloss.errors import FitError, LawError, OptionError
from isoloss.stats.profiles import likelihood_limit, rise_scale

TRUTH = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37}


def table(noise=0.004, seed=0):
    rng = np.random.default_rng(seed)
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(5e7, 5e9, 6), np.geomspace(1e9, 5e11, 6)))
    return {"N": N, "D": D, "loss": iso.laws.get("chinchilla").bind(TRUTH)(N=N, D=D) * np.exp(rng.normal(0, noise, 36))}


@pytest.fixture(scope="module")
def fit():
    return iso.fit("chinchilla", table(), objective="squared_log")


# Ridges --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repeats(data_dir):
    """Muennighoff et al. 2023: the C4 coefficients held, the two decays fitted to the 182 published runs."""
    with (data_dir / "datablations.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["in_published_fit"] == "1"]
    names = {"N": "params", "D": "tokens", "U": "unique_tokens", "loss": "loss"}
    data = {role: np.array([float(row[name]) for row in rows]) for role, name in names.items()}
    held = {k: v for k, v in iso.laws.get("data_constrained").published["muennighoff2023"].params.items()
            if k not in ("R_D", "R_N")}  # fmt: skip
    return iso.fit("data_constrained", data, fix=held, starts={"R_D": [1, 5, 10, 20], "R_N": [1, 5, 10, 20]})


def test_the_ridge_of_repeated_data_is_found_and_named(repeats):
    made = repeats.identify()
    (ridge,) = made.ridges
    assert ridge.startswith("R_D above ")
    assert ridge.endswith(" is not identified")
    (notice,) = made.warnings
    assert (notice.code, notice.details["parameter"], notice.details["high"]) == ("flat-ridge", "R_D", None)
    assert "R_D above" in str(made)
    assert made.profiles["R_N"].ridge is None
    # The published 15.4 and the better 95.4 are both on it.
    assert made.profiles["R_D"].support[0] < 15.3878
    # As the golden numbers say: above about 12. Half of the profile, and the bootstrap, begin there.
    assert repeats.profile("R_D", level=0.5).support[0] == pytest.approx(12.0, rel=0.1)
    low, high = repeats.bootstrap(1000).conf_int()["R_D"]
    assert low == pytest.approx(12.0, rel=0.25)
    assert high > 1000.0


def test_what_is_identified_has_no_ridge(fit):
    made = fit.identify()
    assert made.ridges == ()
    assert made.warnings == ()
    assert list(made.profiles) == list(fit.names)
    json.dumps(made.to_dict())


def test_a_term_that_has_died_out_is_open_above():
    N = np.linspace(1.0, 3.0, 12)
    loss = 2.0 + np.exp(-20 * N) + 0.01 * np.random.default_rng(1).standard_normal(12)
    law = iso.law("E + exp(-k*N)", positive=["E"])
    for objective in ("squared_raw", iso.Huber(0.02, space="raw")):
        made = iso.fit(law, {"N": N, "loss": loss}, objective=objective).profile("k")
        assert made.ridge.startswith("k above")
        assert np.isinf(made.support[1])
        assert (made.interval is None) == (objective != "squared_raw")


def test_the_scale_of_a_robust_rise_is_that_of_least_squares_for_normal_noise():
    wide = iso.fit("chinchilla", table(), objective=iso.Huber(10.0, space="log"))
    exact = 2.0 * (wide.n - 5) / (2.0 * wide.value)  # the sum of r^2 / 2
    assert rise_scale(wide.problem, wide.vector) == pytest.approx(exact, rel=1e-6)
    plain, robust = (
        iso.fit("chinchilla", table(), objective=goal).profile("alpha").support
        for goal in ("squared_log", iso.Huber(10.0, space="log"))
    )
    assert robust == pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize("objective", ["huber_log", "absolute_log"])
@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_scale_of_the_weights_opens_and_closes_no_profile(objective, scale):
    rng = np.random.default_rng(2)
    N = np.geomspace(1e7, 1e10, 20)
    data = {"N": N, "loss": (1.3 + 300 / N**0.34) * np.exp(0.02 * rng.standard_normal(20))}
    law = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    weights = rng.uniform(0.5, 2.0, 20)
    one, other = (iso.fit(law, data, objective=objective, weights=w) for w in (weights, scale * weights))
    assert rise_scale(other.problem, other.vector) == pytest.approx(rise_scale(one.problem, one.vector) / scale)
    assert np.isfinite(one.profile("alpha").support).all()
    assert other.profile("alpha").support == pytest.approx(one.profile("alpha").support, rel=1e-4)
    assert other.profile2("alpha", "E").inside.sum() == one.profile2("alpha", "E").inside.sum() > 0


def test_the_rise_under_weights_that_are_precisions_is_that_of_weighted_least_squares():
    """Of the rises at the truth of 400 studies, scaled, the 95 % quantile is that of chi squared or F."""
    rng = np.random.default_rng(5)
    sigma = np.where(np.arange(60) % 2, 0.01, 0.1)
    law = iso.law("a + b*x", vars=["x"])
    x = np.linspace(-1.0, 1.0, 60)
    losses = 2.0 + x + sigma * rng.standard_normal((400, 60))
    goal = iso.Huber(10.0, space="raw")
    free = iso.fit_many(law, {"x": x}, losses, weights=sigma**-2.0, objective=goal)
    held = iso.fit_many(law, {"x": x}, losses, weights=sigma**-2.0, objective=goal, fix={"b": 1.0})
    posed = iso.fit(law, iso.read({"x": x, "loss": losses[0]}, x="x"), weights=sigma**-2.0, objective=goal).problem
    scales = [rise_scale(replace(posed, target=y), params) for y, params in zip(losses, free.params, strict=True)]
    share = np.mean((held.value - free.value) * scales > stats.chi2.ppf(0.95, 1))
    assert 0.03 < share < 0.08


def test_runs_without_a_residual_give_no_interval_and_say_so():
    law = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    for objective in ("squared_log", "absolute_log", "huber_log"):
        fit = iso.fit(law, {"N": [1e7, 1e8, 1e9], "loss": [3.0, 2.6, 2.3]}, objective=objective)
        made = fit.profile("alpha")
        assert made.interval is None
        assert made.reason == "the runs leave no residual"
        assert made.ridge is None
        assert np.isnan(made.support).all()
        assert fit.identify().ridges == ()
        assert str(fit.profile2("alpha", "E")) == "no region of alpha and E: the runs leave no residual"
        with pytest.raises(iso.FitError, match="no residual"):
            fit.conf_int(method="profile")


def test_an_open_end_of_a_positive_parameter_is_zero_as_in_conf_int():
    rng = np.random.default_rng(2)
    N = np.geomspace(1e7, 1e10, 10)
    data = {"N": N, "loss": (0.3 + 30 / N**0.2) * np.exp(0.02 * rng.standard_normal(10))}
    law = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    fit = iso.fit(law, data, objective="squared_raw")
    made = fit.profile("E")
    assert np.isinf(made.support[0])
    assert made.interval[0] == 0.0
    assert made.interval == fit.conf_int(method="profile")["E"]
    assert made.ridge.startswith("E below")


# The sloppy direction ------------------------------------------------------------------------------------------------


def test_the_sloppy_direction_changes_the_predictions_least(fit):
    made = fit.sloppiness
    assert max(abs(value) for value in made.direction.values()) == 1.0
    step = np.array([made.direction[name] for name in fit.names])

    def change(direction):
        scaled = direction / np.linalg.norm(direction)
        moved = fit.vector * (1 + 1e-5 * scaled)
        return np.linalg.norm(np.log(fit.problem.predict(moved)[0] / fit.problem.predict(fit.vector)[0]))

    rng = np.random.default_rng(0)
    assert change(step) < min(change(rng.standard_normal(5)) for _ in range(200))
    assert f"condition    {made.condition:.3g}"[:14] in fit.summary()
    assert "sloppiest along A +1.00" in fit.summary()


def test_the_condition_does_not_depend_on_the_unit_of_the_loss(fit):
    data = table()
    other = iso.fit("chinchilla", {**data, "loss": 1e3 * data["loss"]}, objective="squared_log")
    assert other.sloppiness.condition == pytest.approx(fit.sloppiness.condition, rel=1e-4)


def test_fixed_and_tied_parameters_are_no_directions():
    made = iso.fit("chinchilla", table(), fix={"E": 1.8}, tie={"beta": "alpha"}).sloppiness
    assert list(made.direction) == ["A", "alpha", "B"]
    one = iso.fit("chinchilla", table(), fix={name: TRUTH[name] for name in ("E", "A", "B", "beta")})
    assert one.sloppiness is None
    assert "condition" not in one.summary()


# Two parameters ------------------------------------------------------------------------------------------------------


def test_a_surface_is_the_constrained_optimum(fit):
    made = fit.profile2("alpha", "beta", ([0.34, 0.36], [0.36, 0.37, 0.38]))
    assert made.objective.shape == (2, 3)
    for i, alpha in enumerate(made.values[0]):
        for k, beta in enumerate(made.values[1]):
            held = iso.fit("chinchilla", table(), objective="squared_log", fix={"alpha": alpha, "beta": beta})
            assert made.objective[i, k] == pytest.approx(held.value, rel=1e-8)
            assert made.params[i, k] == pytest.approx(held.vector, rel=1e-4)


def test_the_region_is_that_of_the_f_test_and_its_shadow_holds_the_interval(fit):
    df = fit.n - 5
    assert likelihood_limit(fit.problem, 0.9, 2) == pytest.approx(2 * stats.f.ppf(0.9, 2, df))
    assert likelihood_limit(fit.problem, 0.9) == pytest.approx(stats.t.ppf(0.95, df) ** 2)
    made = fit.profile2("alpha", "beta")
    assert not made.open
    ratio = df * (made.objective / fit.value - 1)
    assert np.array_equal(made.inside, ratio <= 2 * stats.f.ppf(0.95, 2, df))
    low, high = fit.profile("alpha").interval
    shadow = made.values[0][made.inside.any(axis=1)]
    step = np.diff(made.values[0])[0]
    assert shadow[0] < low + step
    assert shadow[-1] > high - step
    assert str(made).startswith("95 % joint confidence region of alpha and beta: alpha ")
    json.dumps(made.to_dict(), allow_nan=False)


@pytest.mark.parametrize("seed", [0, 4])
def test_a_surface_finds_the_basins_that_other_linear_parameters_lead_to(seed):
    """Far from the estimate A and B differ from theirs; starts that only move E and a end up to 18 % above this."""
    rng = np.random.default_rng(seed)
    law, N = iso.law("E + A*N**-a + B*exp(-k*N)"), np.linspace(0.1, 6.0, 25)
    truth = {name: float(rng.uniform(0.3, 2.5)) for name in law.parameters}
    data = {"N": N, "loss": law(N=N, **truth) + 0.02 * rng.standard_normal(25)}
    made = iso.fit(law, data, objective="squared_raw", starts=list(truth.values()))
    held = [sorted(share * made.params[name] for share in (0.5, 1.5)) for name in ("E", "a")]
    found = made.profile2("E", "a", tuple(held)).objective
    for i, E in enumerate(held[0]):
        for j, a in enumerate(held[1]):
            alone = iso.fit(law, data, objective="squared_raw", fix={"E": E, "a": a}, starts=64)
            assert found[i, j] <= alone.value * (1.0 + 1e-9)


def test_a_surface_is_drawn(fit):
    pytest.importorskip("matplotlib").use("Agg")
    axes = fit.profile2("alpha", "beta").plot()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("alpha", "beta")


def test_surfaces_refuse_what_has_none(fit):
    tied = iso.fit("chinchilla", table(), fix={"E": 1.8}, tie={"beta": "alpha"})
    with pytest.raises(LawError, match="same parameter"):
        tied.profile2("alpha", "beta")
    with pytest.raises(LawError, match="fixed"):
        tied.profile2("E", "alpha")
    with pytest.raises(OptionError, match="above zero"):
        fit.profile2("A", "alpha", ([-1.0, 2.0], None))
    rough = iso.fit("chinchilla", table()).profile2("alpha", "beta", ([0.34, 0.36], [0.36, 0.38]))
    assert "no likelihood" in rough.reason
    assert "rough" in str(rough)


# Intervals without draws ---------------------------------------------------------------------------------------------


def test_the_automatic_interval_is_the_best_that_is_to_be_had(fit):
    assert fit.conf_int() == fit.conf_int(method="profile")
    draws = fit.bootstrap(100)
    assert fit.with_draws(draws).conf_int(0.9) == draws.conf_int(0.9)
    huber = iso.fit("chinchilla", table(), objective=iso.Huber(0.004, space="log"))
    assert huber.conf_int() == huber.conf_int(method="wald")
    for name, (low, high) in fit.conf_int(method="wald").items():
        middle = fit.conf_int()[name]
        assert (low, high) == pytest.approx(middle, abs=0.6 * (middle[1] - middle[0]))


def test_wald_is_refused_with_the_reason_where_curvature_misleads():
    tiny = iso.fit("chinchilla", table(), objective=iso.Huber(1e-7, space="log"))
    with pytest.raises(FitError, match="lie within delta = 1e-07") as caught:
        tiny.conf_int(method="wald")
    assert caught.value.code == "covariance-unavailable"
    with pytest.raises(FitError, match="no likelihood"):
        tiny.conf_int(method="profile")
    with pytest.raises(OptionError, match="no draws"):
        tiny.conf_int(method="draws")
    with pytest.raises(OptionError, match="did you mean 'wald'"):
        tiny.conf_int(method="walt")


def test_profile_intervals_keep_to_fixed_and_tied():
    made = iso.fit("chinchilla", table(), objective="squared_log", fix={"E": 1.8}, tie={"beta": "alpha"}).conf_int()
    assert made["E"] == (1.8, 1.8)
    assert made["alpha"] == made["beta"]


# Zero ----------------------------------------------------------------------------------------------------------------


def test_a_positive_parameter_that_runs_to_zero_is_at_its_bound():
    N = np.geomspace(1e7, 1e10, 30)
    rng = np.random.default_rng(0)
    law = iso.law("E + A/N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    data = {"N": N, "loss": 9 * N**-0.1 * np.exp(0.003 * rng.standard_normal(30)) - 0.1}
    fit = iso.fit(law, data, objective="squared_log")
    assert fit.params["E"] < 1e-6
    assert fit.at_bound == {"E": -1}
    assert "at-bound" in [notice.code for notice in fit.warnings]
    without = iso.fit(iso.law("A/N**alpha", positive=["A"]), data, objective="squared_log")
    # Held at the bound, it does not widen the errors of the others.
    assert fit.stderr["alpha"] == pytest.approx(without.stderr["alpha"], rel=0.05)
    assert np.isnan(fit.stderr["E"])
    inside = iso.fit(law, {"N": N, "loss": data["loss"] + 1.0}, objective="squared_log")
    assert inside.at_bound == {}
