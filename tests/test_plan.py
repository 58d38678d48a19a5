"""Compute-optimal allocation against its closed form and SciPy."""

import json
import math

import numpy as np
import pytest
from scipy import optimize

import isoloss as iso
from isoloss.errors import DataError, LawError, OptionError

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1500.0, "beta": 0.36}


def runs(law="chinchilla", truth=TRUTH, noise=0.0):
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e9, 1e12, 6)))
    loss = iso.laws.get(law).bind(truth)(N=N, D=D)
    return iso.read({"N": N, "D": D, "loss": loss * np.exp(noise * np.random.default_rng(0).standard_normal(36))})


@pytest.fixture(scope="module")
def fit():
    return iso.fit("chinchilla", runs(noise=0.01), objective="squared_log")


def closed_form(p, C, rate=6.0):
    """Hoffmann et al. 2022, equation 4."""
    total = p["alpha"] + p["beta"]
    G = (p["alpha"] * p["A"] / (p["beta"] * p["B"])) ** (1 / total)
    return G * (C / rate) ** (p["beta"] / total)


@pytest.mark.parametrize("C", [1e15, 1e20, 5.76e23, 1e24, 1e30])
def test_the_closed_form_is_met(fit, C):
    plan = fit.allocate(C=C)
    assert math.isclose(plan.N, closed_form(fit.params, C), rel_tol=1e-6)
    assert math.isclose(plan.N * plan.D * 6.0, C, rel_tol=1e-12)
    assert plan.tokens_per_parameter == pytest.approx(plan.D / plan.N)
    assert plan.loss == pytest.approx(fit.predict(N=plan.N, D=plan.D), rel=1e-12)
    assert {notice.code for notice in plan.warnings} == ({"extrapolated"} if C == 1e30 else set())


def test_several_budgets_at_once_and_texts(fit):
    plan = fit.allocate(C=[1e21, 1e23])
    assert plan.N.shape == (2,)
    assert plan.N[1] == pytest.approx(fit.allocate(C="1e23").N)
    lines = str(plan).splitlines()
    assert [line[:9] for line in lines[::2]] == ["C 1e21 | ", "C 1e23 | "]
    assert all("the runs" in line for line in lines[1::2])


def test_flops_may_be_counted_otherwise(fit):
    plan = fit.allocate(C=1e23, flops=7.5)
    assert math.isclose(plan.N * plan.D * 7.5, 1e23, rel_tol=1e-12)
    assert math.isclose(plan.N, closed_form(fit.params, 1e23, 7.5), rel_tol=1e-6)


def test_intervals_come_from_the_optimum_of_every_draw(fit):
    draws = fit.bootstrap(500, seed=0, method="case")
    plan = fit.allocate(C=1e24, draws=draws)
    each = [closed_form(dict(zip(draws.names, row, strict=True)), 1e24) for row in draws.params]
    assert plan.intervals["N"] == pytest.approx(tuple(np.quantile(each, [0.025, 0.975])), rel=1e-6)
    for name in ("N", "D", "tokens_per_parameter", "loss"):
        low, high = plan.intervals[name]
        assert low < getattr(plan, name) < high
    assert fit.with_draws(draws).allocate(C=1e24).intervals == plan.intervals
    narrow = fit.allocate(C=1e24, draws=draws, level=0.5).intervals["N"]
    assert plan.intervals["N"][0] < narrow[0] < narrow[1] < plan.intervals["N"][1]
    several = fit.allocate(C=[1e22, 1e24], draws=draws)
    assert several.intervals["N"][0][1] == pytest.approx(plan.intervals["N"][0])


def test_it_prints_as_one_line_and_how_far_it_is_from_the_runs(fit):
    plan = fit.allocate(C=1e24, draws=fit.bootstrap(100))
    line, far = str(plan).splitlines()
    assert far.startswith("  beyond the runs by ")
    assert len(line) <= 110
    parts = [part.split()[0] for part in line.split(" | ")]
    assert parts == ["N", "D", "D/N", "loss"]
    assert line.count("[") == 4
    assert str(fit.allocate(C=1e24)).count("[") == 0


def test_any_law_of_size_and_data_has_an_allocation():
    kaplan = {"Nc": 6.4e13, "alpha_N": 0.076, "alpha_D": 0.103, "Dc": 1.8e13}
    fit = iso.fit("kaplan", runs("kaplan", kaplan), fix=kaplan)
    plan = fit.allocate(C=1e21)

    def loss(x):
        return fit.predict(N=math.exp(x), D=1e21 / 6 / math.exp(x))

    theirs = optimize.minimize_scalar(loss, bounds=(10, 35), method="bounded", options={"xatol": 1e-8})
    assert math.isclose(plan.N, math.exp(theirs.x), rel_tol=1e-4)
    assert plan.loss <= theirs.fun * (1 + 1e-14)


def test_further_variables_need_a_value():
    law = iso.law("E + A / N**a + B / D**b + k * (log(lr / 3e-4))**2", positive=["E", "A", "B", "k"])
    data = dict(runs().columns)
    lr = np.tile([1e-4, 3e-4, 1e-3], 12)
    data["loss"] = data["loss"] + 0.05 * np.log(lr / 3e-4) ** 2
    fit = iso.fit(law, {**data, "lr": lr}, objective="squared_log")
    plan = fit.allocate(C=1e23, lr=3e-4)
    assert fit.allocate(C=1e23, lr=1e-3).loss > plan.loss
    assert math.isclose(fit.allocate(C=1e23, lr=1e-3).N, plan.N, rel_tol=1e-6)
    with pytest.raises(LawError, match="lr"):
        fit.allocate(C=1e23)
    with pytest.raises(LawError, match="'lrr'"):
        fit.allocate(C=1e23, lrr=1e-3)


def test_a_law_without_an_interior_optimum_says_so():
    fit = iso.fit("E + A / N**a + 0 * D", runs(noise=0.01), starts=[[1.7, 400.0, 0.34]], objective="squared_log")
    plan = fit.allocate(C=1e24)
    # Its optimum is far from any run, and a law without D is not that of these runs.
    told = [(n.code, n.severity) for n in plan.warnings]
    assert told == [("misfit", "serious"), ("allocation-unbounded", "serious"), ("extrapolated", "serious")]
    assert "allocation-unbounded" in str(plan)


def test_refusals(fit):
    for C in (-1.0, 0.0, float("nan"), [], [[1e20]]):
        with pytest.raises(DataError):
            fit.allocate(C=C)
    for flops in ("8ND", 0.0, True):
        with pytest.raises(OptionError):
            fit.allocate(C=1e20, flops=flops)
    only_size = iso.fit("power_law_N", runs(noise=0.01), objective="squared_log")
    with pytest.raises(LawError, match="N and D"):
        only_size.allocate(C=1e20)


def test_plain_data_for_json(fit):
    plan = fit.allocate(C=[1e20, 1e21], draws=fit.bootstrap(50))
    data = json.loads(json.dumps(plan.to_dict()))
    assert data["N"] == plan.N.tolist()
    assert data["intervals"]["loss"][0] == plan.intervals["loss"][0].tolist()


# Another size, and serving --------------------------------------------------------------------------------------------


def test_regret_is_the_loss_above_the_optimum_and_the_compute_that_would_do(fit):
    plan = fit.allocate(C=1e24)
    price = plan.regret(N=plan.N / 3.0)
    assert price.loss == pytest.approx(fit.predict(N=plan.N / 3.0, C=1e24), rel=1e-12)
    assert price.penalty == pytest.approx(price.loss - plan.loss, rel=1e-9)
    assert 0.5 < price.worth < 1.0
    assert fit.allocate(C=price.worth * 1e24).loss == pytest.approx(price.loss, rel=1e-9)
    assert plan.regret(N=plan.N).worth == pytest.approx(1.0, abs=1e-6)
    assert plan.regret(N="70B").to_dict()["N"] == 7e10


def test_regret_of_several_budgets_has_intervals_that_hold_the_estimate(fit):
    plan = fit.allocate(C=[1e22, 1e24], draws=fit.bootstrap(100))
    price = plan.regret(N=["2B", 3e10])
    assert np.array_equal(price.N, plan.regret(N=np.array([2e9, 3e10])).N)
    assert np.array_equal(price.loss, plan.regret(N=[2e9, 3e10]).loss)
    for name, (low, high) in price.intervals.items():
        assert np.all(low <= getattr(price, name)), name
        assert np.all(getattr(price, name) <= high), name
    assert len(str(price).splitlines()) == 2
    json.dumps(price.to_dict(), allow_nan=False)


def test_regret_refuses_what_is_no_size(fit):
    plan = fit.allocate(C=1e22)
    for N in (0.0, -1.0, float("nan")):
        with pytest.raises(DataError, match="not a size above zero"):
            plan.regret(N=N)
    with pytest.raises(DataError, match="one for each of the 1 budgets"):
        plan.regret(N=[1e9, 2e9])
    with pytest.raises(DataError, match="leaves tokens to train on"):
        fit.allocate(C=1e22, inference_tokens=1e12).regret(N=1e10)


def test_serving_makes_the_best_model_smaller_and_is_the_cheapest_way_to_its_loss(fit):
    plain, served = fit.allocate(C=1e24), fit.allocate(C=1e24, inference_tokens="5T")
    assert served.N < plain.N
    assert served.loss > plain.loss
    spent = 6.0 * served.N * served.D + 2.0 * served.N * 5e12
    assert spent == pytest.approx(1e24, rel=1e-12)
    sizes = served.N * np.geomspace(0.5, 2.0, 4001)
    tokens = 1e24 / (6.0 * sizes) - 5e12 / 3.0
    losses = fit.predict(N=sizes[tokens > 0.0], D=tokens[tokens > 0.0])
    assert losses.min() == pytest.approx(served.loss, rel=1e-9)
    # Sardana et al. ask it the other way round: the least compute for a loss. It is the same point.
    p = fit.params
    need = served.loss - p["E"] - p["A"] / sizes ** p["alpha"]
    able = need > 0.0
    whole = 6.0 * sizes[able] * (p["B"] / need[able]) ** (1.0 / p["beta"]) + 2.0 * sizes[able] * 5e12
    assert whole.min() == pytest.approx(1e24, rel=1e-6)
    assert sizes[able][whole.argmin()] == pytest.approx(served.N, rel=2e-3)
    for tokens_served in (-1.0, float("inf")):
        with pytest.raises(OptionError, match="inference_tokens"):
            fit.allocate(C=1e24, inference_tokens=tokens_served)


# Approach 2 beside approach 3 -----------------------------------------------------------------------------------------


def test_parabolas_and_a_law_that_is_true_agree_and_a_wrong_one_does_not():
    C, s = (a.ravel() for a in np.meshgrid(np.geomspace(1e19, 1e22, 4), np.geomspace(0.4, 2.5, 9)))
    N = 0.12 * C**0.5 * s
    loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, C=C)
    loss = loss * np.exp(1e-4 * np.random.default_rng(0).standard_normal(len(N)))
    # Budgets that were only nearly met are one budget each.
    runs = iso.read({"N": N, "C": C * (1.0 + 0.01 * np.sin(np.arange(len(C)))), "loss": loss})
    fit = iso.fit("chinchilla", runs, objective="squared_log")
    found = fit.isoflop()
    assert (len(found.C), found.passed_over) == (4, 0)
    same = found.agrees(fit.with_draws(fit.bootstrap(100)))
    np.testing.assert_allclose(same.ratio, 1.0, atol=0.05)
    assert np.all((same.low < same.N) & (same.high > same.N))
    assert same.exponent == pytest.approx(found.exponent, abs=0.02)
    assert list(same.table) == ["C", "N_isoflop", "N_law", "ratio", "N_law_low", "N_law_high"]
    wrong = iso.fit("chinchilla", runs, objective="squared_log", fix={"alpha": 0.2})
    assert np.max(np.abs(np.log(wrong.isoflop().agrees(wrong).ratio))) > 0.1


def test_budgets_without_an_optimum_are_counted_and_none_at_all_is_refused():
    C, s = (a.ravel() for a in np.meshgrid([1e20, 1e21], np.geomspace(0.4, 2.5, 7)))
    N = 0.12 * C**0.5 * s
    loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, C=C)
    keep = (C == 1e20) | (N < 0.06 * C**0.5)  # of the larger budget the sizes below the best
    fit = iso.fit("chinchilla", iso.read({"N": N[keep], "C": C[keep], "loss": loss[keep]}))
    found = fit.isoflop()
    assert (found.C.tolist(), found.passed_over) == ([1e20], 1)
    assert np.isnan(found.exponent)
    assert "1 budgets" in str(found)
    with pytest.raises(DataError, match="no isoFLOP runs"):
        iso.fit("chinchilla", runs(noise=0.01)).isoflop(within=1.0)
