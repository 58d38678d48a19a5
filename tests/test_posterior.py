"""Posterior draws: against the known posterior of a line, between samplers, diagnostics, ArviZ."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

import isoloss as iso
from isoloss.errors import FitError, OptionError
from isoloss.stats.mixing import effective_size, r_hat
from isoloss.stats.posterior import _Target


@pytest.fixture(scope="module")
def line():
    """A line with twelve points: its posterior under flat priors is Student's distribution."""
    rng = np.random.default_rng(0)
    x = np.linspace(-1.0, 1.0, 12)
    y = 3.0 + 0.5 * x + 0.1 * rng.standard_normal(12)
    return iso.fit(iso.law("a + b*x", vars=["x"]), iso.read({"x": x, "loss": y}, x="x"), objective="squared_raw")


@pytest.fixture(scope="module")
def fit():
    return iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)), objective="squared_log")


@pytest.mark.parametrize("method", ["laplace", "ensemble"])
def test_the_posterior_of_a_line_is_students(line, method):
    made = line.posterior(8000, method=method, seed=1)
    error = np.sqrt(line.value / 10 / 12)  # of the mean, with x around zero
    low, high = made.conf_int()["a"]
    t = stats.t.ppf(0.975, 10)
    assert (low, high) == pytest.approx(
        (line.params["a"] - t * error, line.params["a"] + t * error), abs=0.15 * t * error
    )
    assert made.std()["a"] == pytest.approx(error * np.sqrt(10 / 8), rel=0.1)
    assert min(made.ess.values()) > 1000
    assert max(made.r_hat.values()) < 1.02
    assert made.warnings == ()


def test_samplers_agree_on_a_law(fit):
    one, two = fit.posterior(4000, seed=0), fit.posterior(4000, method="ensemble", seed=0)
    for name, sd in one.std().items():
        assert two.std()[name] == pytest.approx(sd, rel=0.15)
        assert abs(np.mean(one[name]) - np.mean(two[name])) < 0.2 * sd
        assert fit.conf_int()[name] == pytest.approx(one.conf_int()[name], abs=0.6 * sd)
    assert one.params.shape == (4, 1000, 5)
    assert len(two) == two.params.shape[0] * two.params.shape[1] >= 4000
    band = one.predict(N="70B", D="1.4T")
    assert band.low < fit.predict(N="70B", D="1.4T") < band.high
    assert band.decades["C"] > 1.0
    assert "4,000 posterior draws in 4 chains, laplace" in str(one)
    plan = fit.allocate(C=1e24, draws=one.as_draws())
    assert plan.intervals["N"][0] < plan.N < plan.intervals["N"][1]


@pytest.mark.parametrize("method", ["laplace", "ensemble"])
def test_the_seed_decides_and_threads_do_not(fit, method):
    one, two = (fit.posterior(200, method=method, seed=3, n_threads=threads) for threads in (1, 2))
    assert np.array_equal(one.params, two.params)
    assert not np.array_equal(fit.posterior(200, method=method, seed=4).params, one.params)


def test_a_prior_pulls_as_normal_theory_says(line):
    plain = line.posterior(8000)
    mean, sd = line.params["a"] + 0.05, 0.02
    pulled = line.posterior(8000, prior={"a": (mean, sd)})
    weight = 1 / sd**2 / (1 / sd**2 + 1 / plain.std()["a"] ** 2)
    expected = weight * mean + (1 - weight) * line.params["a"]
    assert np.mean(pulled["a"]) == pytest.approx(expected, abs=0.01)
    assert pulled.std()["a"] < plain.std()["a"]


@pytest.mark.parametrize("method", ["laplace", "ensemble"])
def test_the_posterior_follows_a_change_of_units(method):
    data = iso.simulate.sweep(settings=1, seed=0)
    moved = {**data, "N": data["N"] / 1e9, "D": data["D"] / 1e9}
    one, two = (
        iso.fit("chinchilla", {name: table[name] for name in ("N", "D", "loss")}, objective="squared_log").posterior(
            4000, method=method
        )
        for table in (data, moved)
    )
    if method == "laplace":  # the same numbers make the same draws
        for name in ("E", "alpha", "beta"):
            np.testing.assert_allclose(two[name], one[name], rtol=1e-6)
        np.testing.assert_allclose(two["A"], one["A"] / 10.0 ** (9.0 * one["alpha"]), rtol=1e-5)
    for name in ("E", "alpha", "beta"):
        assert np.mean(two[name]) == pytest.approx(np.mean(one[name]), abs=0.15 * one.std()[name])
        assert two.std()[name] == pytest.approx(one.std()[name], rel=0.15)


@pytest.mark.parametrize("method", ["laplace", "ensemble"])
def test_draws_are_the_same_in_any_units(method):
    rng = np.random.default_rng(0)
    N, D = np.repeat([5e7, 2e9], 7), 10 ** rng.uniform(9, 12, 14)
    loss = (1.5 + 300 / N**0.3 + 1000 / D**0.3) * np.exp(0.01 * rng.standard_normal(14))
    law = iso.law("a + b*N + c*D", vars=["N", "D"])
    raw, scaled = (
        iso.fit(law, {"N": N / unit, "D": D / unit, "loss": loss}, objective="squared_raw").posterior(
            400, method=method
        )
        for unit in (1.0, 1e9)
    )
    if method == "laplace":
        np.testing.assert_allclose(scaled.flat, raw.flat * [1.0, 1e9, 1e9], rtol=1e-5)
    else:  # walkers part in their last bits and go different ways
        spread = np.array(list(raw.std().values())) * [1.0, 1e9, 1e9]
        assert list(scaled.std().values()) == pytest.approx(spread, rel=0.15)
    half = 0.5 * np.diff(raw.conf_int()["b"])[0]
    assert 1.0 < half / raw.std()["b"] < 3.0


def test_weights_only_matter_in_proportion_to_each_other():
    rng = np.random.default_rng(1)
    x = np.linspace(-1.0, 1.0, 40)
    sigma = np.where(np.arange(40) % 2, 0.02, 0.5)
    y = 3.0 + 0.5 * x + sigma * rng.standard_normal(40)
    runs, law = iso.read({"x": x, "loss": y}, x="x"), iso.law("a + b*x", vars=["x"])
    one, other = (
        iso.fit(law, runs, objective="squared_raw", weights=w).posterior(4000) for w in (sigma**-2.0, 1e4 * sigma**-2.0)
    )
    np.testing.assert_allclose(other.flat, one.flat, rtol=1e-6)
    exact = np.sqrt(np.linalg.inv(np.array([[np.sum(u * v / sigma**2) for u in (x**0, x)] for v in (x**0, x)]))[1, 1])
    assert one.std()["b"] == pytest.approx(exact, rel=0.3)
    assert one.ess["b"] > 3000  # the proposals know the weights


@pytest.mark.parametrize("method", ["laplace", "ensemble"])
@pytest.mark.parametrize("tied", [False, True])
def test_a_prior_of_a_positive_parameter_is_normal_in_its_value(method, tied):
    x = np.arange(1.0, 7.0)
    y = np.abs(0.3 * x + 0.8 * np.random.default_rng(0).standard_normal(6))
    mean, sd = 0.05, 0.3
    text, names, options = ("a*x", ["a"], {}) if not tied else ("a*x/2 + b*x/2", ["a", "b"], {"tie": {"b": "a"}})
    law = iso.law(text, vars=["x"], positive=names)
    fit = iso.fit(law, iso.read({"x": x, "loss": y}, x="x"), objective="squared_raw", **options)
    made = fit.posterior(20_000, method=method, prior={names[-1]: (mean, sd)})[names[0]]
    a = np.linspace(1e-5, 3.0, 200_001)  # quadrature of the density in the value itself
    log_density = (
        -3.0 * np.log(np.sum(y**2) - 2 * a * np.sum(x * y) + a**2 * np.sum(x**2)) - 0.5 * ((a - mean) / sd) ** 2
    )
    density = np.exp(log_density - log_density.max())
    share = np.cumsum(density) / density.sum()
    assert np.mean(made) == pytest.approx(np.sum(a * density) / density.sum(), abs=0.003)
    ends = a[np.searchsorted(share, [0.025, 0.975])]
    assert np.quantile(made, [0.025, 0.975]) == pytest.approx(ends, abs=0.006)


def test_a_curvature_that_is_not_finite_is_refused_with_advice(line):
    target = _Target(line.problem, line.vector, {}, 1)
    for cov in (np.full((2, 2), np.nan), np.array([[1.0, 2.0], [2.0, 1.0]])):
        with pytest.raises(FitError, match=r"bootstrap\(\)") as caught:
            target.factor(cov)
        assert caught.value.code == "covariance-unavailable"
    root = target.factor(np.array([[4e-18, 0.0], [0.0, 0.0]]))
    assert root[0, 0] == pytest.approx(2e-9)
    assert 0.0 < root[1, 1] < 1e-6


def test_as_many_parameters_as_runs_have_no_posterior():
    law = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    fit = iso.fit(law, {"N": [1e7, 1e8, 1e9], "loss": [3.0, 2.6, 2.3]}, objective="squared_log")
    with pytest.raises(FitError, match="leave no residual"):
        fit.posterior()


def test_fixed_and_tied_parameters_stay_so():
    runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
    made = iso.fit("chinchilla", runs, objective="squared_log", fix={"E": 1.8}, tie={"beta": "alpha"}).posterior(400)
    assert np.all(made["E"] == 1.8)
    assert np.array_equal(made["alpha"], made["beta"])
    assert set(made.ess) == {"A", "alpha", "B"}


def test_an_open_posterior_says_so():
    N = np.linspace(1.0, 3.0, 12)
    loss = 2.0 + np.exp(-20 * N) + 0.01 * np.random.default_rng(1).standard_normal(12)
    law = iso.law("E + exp(-k*N)", positive=["E", "k"])
    made = iso.fit(law, {"N": N, "loss": loss}, objective="squared_raw").posterior(method="ensemble")
    assert "posterior-open" in [notice.code for notice in made.warnings]


def test_what_has_no_likelihood_has_no_posterior(fit):
    runs = fit.runs
    with pytest.raises(FitError, match="no likelihood") as caught:
        iso.fit("chinchilla", runs).posterior()
    assert caught.value.code == "no-likelihood"
    grouped = iso.fit("chinchilla", iso.read({**iso.simulate.sweep(settings=1)}, group="N"), objective="squared_log")
    with pytest.raises(FitError, match="not independent"):
        grouped.posterior()
    for options in ({"n": 5}, {"method": "nuts"}, {"prior": {"E": (1.0, 0.0)}}):
        with pytest.raises(OptionError):
            fit.posterior(**options)


def test_pass_counts_have_a_posterior():
    N = np.geomspace(1e7, 1e10, 25)
    chance = 1.0 / (1.0 + np.exp(8.0 - 0.4 * np.log(N)))
    passed = np.random.default_rng(0).binomial(80, chance) / 80
    runs = iso.read({"N": N, "loss": passed, "trials": np.full(25, 80)}, trials="trials")
    fit = iso.fit("1/(1 + exp(a + b*log(N)))", runs, objective="binomial")
    made = fit.posterior(method="ensemble")
    assert made.conf_int()["b"] == pytest.approx(fit.conf_int(method="profile")["b"], rel=0.08)


# Diagnostics ---------------------------------------------------------------------------------------------------------


def test_diagnostics_tell_good_chains_from_bad_ones():
    rng = np.random.default_rng(0)
    good = rng.standard_normal((4, 1000))
    assert r_hat(good) < 1.01
    assert effective_size(good) == pytest.approx(4000, rel=0.15)
    slow = np.empty((4, 4000))
    slow[:, 0] = 0.0
    for k in range(1, 4000):
        slow[:, k] = 0.9 * slow[:, k - 1] + rng.standard_normal(4)
    assert effective_size(slow) == pytest.approx(16_000 * 0.1 / 1.9, rel=0.3)  # (1 - rho) / (1 + rho)
    assert r_hat(good * np.array([1.0, 1.0, 1.0, 5.0])[:, None]) > 1.1  # unlike scales


def test_arviz_takes_the_draws_and_agrees(fit):
    arviz = pytest.importorskip("arviz", reason="the extra arviz is not installed")
    made = fit.posterior(2000, seed=0)
    data = made.to_arviz()
    assert dict(data.posterior.sizes) == {"chain": 4, "draw": 500}
    for name in fit.names:
        assert float(arviz.rhat(data)[name]) == pytest.approx(made.r_hat[name], abs=2e-3)
        own = effective_size(made.params[:, :, fit.names.index(name)])
        assert float(arviz.ess(data)[name]) == pytest.approx(own, rel=0.05)  # another tail of the sum
        assert float(data.posterior[name].mean()) == pytest.approx(np.mean(made[name]))


def test_without_arviz_the_error_names_the_extra(fit, monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(ImportError, match=r"isoloss\[arviz\]"):
        fit.posterior(200).to_arviz()
    told = subprocess.run(
        [sys.executable, "-c", "import sys, isoloss; print('arviz' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"


def test_without_a_free_parameter_there_is_nothing_to_draw(line):
    held = iso.fit(line.law, line.runs, fix=dict(line.params), objective="squared_raw")
    for method in ("laplace", "ensemble"):
        with pytest.raises(OptionError, match="all parameters are fixed"):
            held.posterior(400, method=method)


def test_the_advice_is_not_what_was_done_already(fit):
    asked = fit.posterior(100, seed=0, method="ensemble")
    assert all("method='ensemble'" not in notice.message for notice in asked.warnings if "draws" in notice.code)
