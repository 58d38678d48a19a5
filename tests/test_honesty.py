"""Answers that must not go without a warning: few runs, one ray, other units, rows of two kinds, far plans, odd runs.

The designs, noises and answers are made here; what should be told follows from how they were made.
"""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import isoloss as iso
from isoloss import diagnostics
from isoloss.errors import DataError, FitError
from isoloss.fit.misfit import FAR, FAR_SQUARED, far_off
from isoloss.runs.doubts import unit_doubts
from isoloss.runs.order import disagreeing, lowest, out_of_order

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1500.0, "beta": 0.36}
LAW = iso.laws.get("chinchilla").bind(TRUTH)


def grid(size=6):
    return (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, size), np.geomspace(1e9, 1e12, size)))


def table(N, D, *, noise=0.003, seed=0, factor=1.0):
    e = np.random.default_rng(seed).standard_normal(np.shape(N))
    return {"N": N, "D": D, "loss": factor * LAW(N=N, D=D) * np.exp(noise * e)}


def codes(notices, severity=None):
    return [n.code for n in notices if severity in (None, n.severity)]


@pytest.fixture(scope="module")
def good():
    return iso.fit("chinchilla", table(*grid()))


@pytest.fixture(scope="module")
def five():
    N, D = grid()
    picked = [0, 5, 14, 30, 35]
    return iso.fit("chinchilla", table(N[picked], D[picked]))


@pytest.fixture(scope="module")
def on_ray():
    N = np.geomspace(1e7, 1e10, 14)
    return iso.fit("chinchilla", table(N, 20.0 * N))


@pytest.fixture(scope="module")
def stacked():
    """A sweep on top of itself at half the loss."""
    one, half = table(*grid()), table(*grid(), factor=0.5)
    return iso.read({name: np.concatenate([one[name], half[name]]) for name in one})


# Ordinary fits stay quiet --------------------------------------------------------------------------------------------


def test_an_ordinary_fit_has_nothing_to_tell(good):
    assert codes(good.warnings, "serious") == []
    draws = good.bootstrap(100, seed=0)
    band, plan = draws.predict(N=7e9, D=1e12), good.allocate(C=1e23, draws=draws)
    assert draws.warnings == band.warnings == plan.warnings == ()
    assert draws.calibrated()
    assert str(band).count("\n") == 0
    assert good.runs.check().warnings == ()


# Few runs ------------------------------------------------------------------------------------------------------------


def test_as_many_parameters_as_runs_are_no_estimate(five, good):
    (notice,) = (n for n in five.warnings if n.code == "few-units")
    assert notice.severity == "serious"
    assert notice.details == {"units": 5, "parameters": 5}
    assert "few-units" not in codes(good.warnings)
    held = iso.fit("chinchilla", five.runs, fix={"E": 1.7})
    assert "few-units" not in codes(held.warnings)


def test_bands_and_plans_carry_what_makes_their_draws_doubtful(five):
    fit = five.with_draws(five.bootstrap(60, seed=0))
    band, plan = fit.predict(N=7e9, D=1e12, level=0.95), fit.allocate(C=1e23)
    assert not band.calibrated
    assert {"few-units", "draws-failed"} <= set(codes(band.warnings, "serious"))
    assert codes(band.warnings).count("few-units") == 1
    assert set(codes(band.warnings, "serious")) == set(codes(plan.warnings, "serious"))
    for shown in (str(band), str(plan)):
        assert "serious [few-units]" in shown
        assert "95 % of draws, which are no confidence interval" in shown
    record = json.loads(json.dumps(band.to_dict()))
    assert record["calibrated"] is False
    assert "few-units" in [notice["code"] for notice in record["warnings"]]
    assert {"code", "severity", "message", "details"} == set(record["warnings"][0])
    assert "few-units" in fit.bootstrap(60, seed=0).summary()
    assert " ".join(fit.summary().split()).count("[few-units]") == 1


def test_no_more_groups_than_parameters_are_told_apart_from_curves():
    N, D = np.repeat([1e8, 4e8, 1e9, 4e9], 9), np.tile(np.geomspace(1e9, 1e11, 9), 4)
    fit = iso.fit("chinchilla", iso.read({**table(N, D), "run": np.repeat(list("abcd"), 9)}, group="run"))
    (notice,) = (n for n in fit.warnings if n.code == "few-units")
    assert notice.details == {"units": 4, "parameters": 5}
    assert "groups" in notice.message


# One ray -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("objective", ["huber_log", "squared_log"])
def test_runs_on_a_ray_are_told_whatever_the_seed(seed, objective):
    N = np.geomspace(1e7, 1e10, 14)
    fit = iso.fit("chinchilla", table(N, 20.0 * N, seed=seed), objective=objective)
    (notice,) = (n for n in fit.warnings if n.code == "design-ray")
    assert notice.severity == "serious"
    assert notice.details["scale"] == pytest.approx(20.0)


def test_what_rests_on_a_ray_says_so(on_ray):
    draws = on_ray.bootstrap(60, seed=0)
    assert not draws.calibrated()
    assert "95 % of draws" in draws.summary()
    for told in (draws.warnings, draws.predict(N=1e9, D=1e12).warnings):
        assert "design-ray" in codes(told, "serious")
    with pytest.raises(FitError, match="D = 20 N") as caught:
        on_ray.allocate(C=1e22)
    assert caught.value.code == "design-ray"
    made = iso.compare(on_ray.runs, ["chinchilla"], split=iso.Rollout(by="N", groups=7), draws=0)
    assert made.best != "chinchilla" or "design-ray" in codes(made.warnings, "serious")
    alone = [score for score in made.scores if score.law == "chinchilla"]
    assert "design-ray" in alone[0].flag


def test_what_hangs_on_a_doubtful_fit_carries_its_notice(on_ray):
    found = diagnostics.influence(on_ray)
    choices = iso.multiverse(on_ray, objectives=["huber_log"], smallest=[0], worst=[0, 2])
    mixed = iso.compare(on_ray.runs, ["chinchilla"], split=iso.Rollout(by="N"), draws=40).ensemble()
    for made in (found, choices, mixed, mixed.predict(N=1e10, D=1e12)):
        assert "design-ray" in [notice.code for notice in made.warnings]
        assert "serious [design-ray]" in str(made)


def test_a_law_that_leaves_nothing_to_trade_is_fine_on_a_ray(on_ray):
    assert "design-ray" not in codes(iso.fit("power_law_N", on_ray.runs).warnings)
    given = iso.fit("chinchilla", on_ray.runs, fix={"A": 400.0, "alpha": 0.34})
    assert "design-ray" not in codes(given.warnings)
    # What the runs leave to tell is D's term, and that gives the plan of the truth.
    truth = iso.fit("chinchilla", table(*grid(), noise=0.0)).allocate(C=1e20)
    assert pytest.approx(truth.N, rel=0.2) == given.allocate(C=1e20).N
    tied = iso.fit("chinchilla", on_ray.runs, tie={"beta": "alpha"})
    assert "design-ray" in codes(tied.warnings)


# Units ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "role", "words"),
    [
        ({"D": 1e-9}, "D", "millions or billions"),
        ({"D": 1e-6}, "D", "another unit"),
        ({"D": 1e3}, "D", "another unit"),
        ({"loss": 100.0}, "loss", "per cent"),
    ],
    ids=str,
)
def test_other_units_are_told_by_check_fit_and_plan(change, role, words):
    wrong = {name: values * change.get(name, 1.0) for name, values in table(*grid()).items()}
    fit = iso.fit("chinchilla", wrong)
    for found in (iso.read(wrong).check().warnings, fit.warnings, fit.allocate(C=1e20).warnings):
        notices = [n for n in found if n.code == "unit-doubtful"]
        assert [n.details["role"] for n in notices] == [role]
        assert words in notices[0].message


def test_swapped_columns_and_perplexities_are_recognised():
    right = table(*grid())
    (notice,) = unit_doubts(iso.read({**right, "N": right["D"], "D": right["N"]}))
    assert "swapped" in notice.message
    (notice,) = unit_doubts(iso.read({**right, "loss": np.exp(right["loss"])}))
    assert notice.details["role"] == "loss"


@pytest.mark.parametrize(("N", "D"), [(1e5, 1e7), (1e5, 9e8), (7e10, 1.5e13), (1e8, 6e7)], ids=str)
def test_small_and_large_experiments_pass(N, D):
    spread = np.geomspace(0.5, 2.0, 5)
    runs = iso.read({"N": N * spread, "D": D * spread[::-1], "loss": np.linspace(6.0, 2.0, 5)})
    assert unit_doubts(runs) == []


def test_one_diverged_run_is_no_other_unit_and_other_targets_are_no_losses():
    runs = table(*grid())
    runs["loss"][3] = 400.0
    assert unit_doubts(iso.read(runs)) == []
    h = np.geomspace(6.0, 96.0, 9)
    fit = iso.fit("languini_trend", {"h": h, "loss": 60.0 * h**-0.3 * np.exp(0.2 * np.sin(9.0 * h))})
    assert fit.law.target == "perplexity"
    assert np.median(np.abs(fit.residuals)) > 0.05
    assert not {"unit-doubtful", "misfit"} & set(codes(fit.warnings))


# Rows of two kinds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("starts", [1, 25])
def test_a_level_objective_is_not_identified(stacked, starts):
    fit = iso.fit("chinchilla", stacked, starts=starts)
    (notice,) = (n for n in fit.warnings if n.code == "not-identified")
    assert notice.details["parameters"] == ["E", "A", "alpha", "B", "beta"]
    assert notice.details["inside"] < 5  # a row may lie inside by chance; five parameters need as many
    assert "misfit" in codes(fit.warnings, "serious")
    assert {"not-identified", "misfit"} <= set(codes(fit.allocate(C=1e22).warnings, "serious"))
    assert fit.at_bound == {}  # others do as well, not only zero


def test_an_objective_that_few_runs_curve_is_identified_all_the_same():
    # Ten times the noise that delta expects: hardly a residual lies within, and yet there is one best answer.
    for seed in range(5):
        fit = iso.fit("chinchilla", table(*grid(), noise=0.03, seed=seed))
        assert np.count_nonzero(np.abs(fit.residuals) < 1e-3) < 15
        assert "not-identified" not in codes(fit.warnings)
    assert "not-identified" not in codes(iso.fit("chinchilla", table(*grid(4)), objective="absolute_log").warnings)
    level = {"x": np.zeros(4) + 1.0, "loss": np.array([1.0, 1.0, 2.0, 2.0])}
    flat = iso.fit(iso.law("a * x", vars=["x"], positive=["a"]), level, objective="absolute_raw", starts=[[1.5]])
    assert "not-identified" in codes(flat.warnings)


def test_repeated_settings_that_disagree_are_told(stacked):
    (notice,) = disagreeing(stacked)
    assert notice.code == "repeats-disagree"
    assert notice.details["factor"] == pytest.approx(2.0, rel=0.02)
    assert notice in stacked.check().warnings
    seeds = [table(*grid(), noise=0.01, seed=seed) for seed in range(4)]
    assert disagreeing(iso.read({name: np.concatenate([t[name] for t in seeds]) for name in seeds[0]})) == []


@pytest.fixture(scope="module")
def swept():
    """Every size and data at five learning rates, of which the middle one is best and the last one diverges."""
    N, D = (np.repeat(axis, 5) for axis in grid(4))
    made = table(N, D)
    away = np.tile([-2.0, -1.0, 0.0, 1.0, 2.0], 16)
    return iso.read(
        made | {"lr": 1e-3 * 2.0**away, "loss": made["loss"] * np.where(away == 2.0, 1.5, 1 + 0.02 * away**2)}
    )


def test_a_law_that_leaves_out_what_was_swept_is_told(swept):
    fit = iso.fit("chinchilla", swept)
    (notice,) = (n for n in fit.warnings if n.code == "tuning-varies")
    assert notice.details["varied"] == ["lr"]
    assert notice.details["settings"] == 16
    low, high = notice.details["rows"]
    assert low // 5 == high // 5
    assert high % 5 == 4
    assert notice.details["factor"] == pytest.approx(swept["loss"][high] / swept["loss"][low])
    best = swept.best("N", "D")
    assert np.all(best["lr"] == 1e-3)
    assert best.dropped[-1].count == 64
    kept = iso.fit("chinchilla", best)
    assert "tuning-varies" not in codes(kept.warnings)
    assert kept.params["alpha"] == pytest.approx(0.34, abs=0.02)
    # A law that knows the learning rate may say what it likes of it.
    knows = iso.law(
        "E + A / N**alpha + B / D**beta + s * (log(lr) - m)**2", positive=["E", "A", "B"], vars=["N", "D", "lr"]
    )
    assert "tuning-varies" not in codes(iso.fit(knows, swept).warnings)


def test_runs_that_count_for_nothing_vary_nothing(swept):
    weight = (swept["lr"] == 1e-3).astype(float)
    told = codes(iso.fit("chinchilla", swept, weights=weight).warnings)
    assert "tuning-varies" not in told


def test_a_published_sweep_of_learning_rates_is_told(data_dir):
    path = data_dir / "steplaw_dense.csv"
    runs = iso.read(path, N="params_non_embedding", D="tokens", loss="loss_smooth")
    fit = iso.fit("chinchilla", runs)
    (notice,) = (n for n in fit.warnings if n.code == "tuning-varies")
    low, high = notice.details["rows"]
    assert runs["N"][low] == runs["N"][high]
    assert runs["D"][low] == runs["D"][high]
    assert runs["loss"][high] == runs["loss"].max()  # which the sweep holds in a cell whose best is low
    best = runs.best("N", "D")
    assert best.n == notice.details["settings"] == 17
    assert "tuning-varies" not in codes(iso.fit("chinchilla", best).warnings)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=40))
def test_the_lowest_of_each_setting_is_the_first_of_equals(rows):
    n, d, loss = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    expected = np.zeros(len(rows), dtype=bool)
    for setting in set(zip(n, d, strict=True)):
        members = [k for k in range(len(rows)) if (n[k], d[k]) == setting]
        expected[min(members, key=lambda k: (loss[k], k))] = True
    assert np.array_equal(lowest([n, d], loss), expected)


def test_the_best_of_nothing_named_is_refused(swept):
    with pytest.raises(iso.OptionError, match="make up a setting"):
        swept.best()
    with pytest.raises(DataError, match="width"):
        swept.best("width")


def test_a_law_of_the_wrong_form_is_a_misfit():
    N, D = grid()
    fit = iso.fit("power_law_N", table(N, D), objective="squared_log")
    (notice,) = (n for n in fit.warnings if n.code == "misfit")
    assert notice.details["median"] == pytest.approx(np.median(np.abs(fit.residuals)))
    assert notice.details["median"] > 0.05


def test_a_bound_is_named_by_its_own_value():
    N = np.geomspace(1e7, 1e10, 30)
    law = iso.law("E + A/N**alpha", positive=["E", "A"], bounds={"alpha": (0, 0.2)})
    (notice,) = (n for n in iso.fit(law, {"N": N, "loss": 1.7 + 400.0 / N**0.34}).warnings if n.code == "at-bound")
    assert notice.message == "alpha is at its upper bound 0.2"
    assert notice.details["bound"] == 0.2


# Far plans -----------------------------------------------------------------------------------------------------------


def test_plans_say_how_far_they_lie_from_the_runs(good):
    plan = good.allocate(C=1e24)
    high = {name: float(good.runs[name].max()) for name in ("N", "D", "C")}
    assert plan.decades["N"] == pytest.approx(np.log10(plan.N / high["N"]))
    assert plan.decades["C"] == pytest.approx(np.log10(1e24 / high["C"]))
    assert "beyond the runs by" in str(plan)
    assert plan.to_dict()["decades"] == pytest.approx(plan.decades)
    assert "within the runs" in str(good.allocate(C=1e21))


@pytest.mark.parametrize("C", [24.0, 1e30])
def test_absurd_budgets_are_serious(good, C):
    plan = good.allocate(C=C)
    (notice,) = plan.warnings
    assert (notice.code, notice.severity) == ("extrapolated", "serious")
    assert notice.details["C"] == pytest.approx(abs(plan.decades["C"]))
    several = good.allocate(C=[1e21, 1e22])
    assert several.decades["C"] == pytest.approx([0.0, 0.0])
    assert several.warnings == ()


def test_far_points_of_a_band_are_told(good):
    draws = good.bootstrap(60, seed=0)
    assert codes(draws.predict(N=[1e9, 2e12], D=[1e11, 1e12]).warnings) == ["extrapolated"]
    assert draws.predict(N=1e9, D=1e11).warnings == ()


# Odd runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("objective", "severity"), [("huber_log", "warning"), ("squared_log", "serious")])
def test_a_diverged_run_is_named(objective, severity):
    runs = table(*grid())
    runs["loss"][20] = 9.5
    fit = iso.fit("chinchilla", runs, objective=objective)
    (notice,) = (n for n in fit.warnings if n.code == "gross-outlier")
    assert notice.severity == severity
    assert notice.details["rows"] == [20]
    assert "row 20 (loss 9.500" in notice.message
    (found,) = iso.read(runs).check().warnings
    assert (found.code, found.details["rows"]) == ("gross-outlier", [20])


def test_rows_keep_their_numbers_where_others_weigh_nothing():
    runs = table(*grid())
    runs["loss"][20] = 9.5
    fit = iso.fit("chinchilla", runs, weights=np.where(np.arange(36) < 4, 0.0, 1.0))
    (notice,) = (n for n in fit.warnings if n.code == "gross-outlier")
    assert notice.details["rows"] == [20]


@pytest.mark.parametrize(("objective", "n"), [("huber_log", 20), ("huber_log", 100), ("squared_log", 100)])
@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "t4"])
def test_noise_alone_is_hardly_ever_a_gross_outlier(objective, n, heavy):
    # 2,000 fits each: a rate of one in a thousand would give more than 6 in less than one per cent of such tests.
    side = int(np.ceil(np.sqrt(n)))
    N, D = (axis[:n] for axis in grid(side))
    rng = np.random.default_rng(3)
    e = rng.standard_t(4, (2000, n)) if heavy else rng.standard_normal((2000, n))
    loss = LAW(N=N, D=D) * np.exp(0.01 * e)
    fits = iso.fit_many("chinchilla", {"N": N, "D": D}, loss, objective=objective, starts=3)
    E, A, alpha, B, beta = (column[:, None] for column in np.asarray(fits.params).T)
    residual = np.log(loss / (E + A / N**alpha + B / D**beta))
    rigid = objective == "squared_log"
    told = sum(len(far_off(r, 0 if rigid else 5, FAR_SQUARED if rigid else FAR)[0]) > 0 for r in residual)
    assert told <= (6 if heavy else 0)


def test_runs_out_of_order_are_named_and_a_noisy_sweep_is_not():
    runs = table(*grid(), noise=0.03)
    assert out_of_order(iso.read(runs)) == []
    low = {**runs, "loss": runs["loss"].copy()}
    low["loss"][2] = 0.9
    assert out_of_order(iso.read(low))[0].details["rows"] == [2]
    shuffled = {**runs, "loss": np.random.default_rng(0).permutation(runs["loss"])}
    assert out_of_order(iso.read(shuffled)) == []  # not a few odd ones: no order at all


# Runs without noise --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["squared_log", "squared_raw"])
def exact(request):
    N, D = grid()
    loss = 1.8 + 480.0 / N**0.35 + 2000.0 / D**0.36
    return iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}, objective=request.param)


def test_draws_of_runs_without_noise_are_no_certainty(exact):
    draws = exact.bootstrap(60, seed=0)
    assert "no-noise" in [notice.code for notice in draws.warnings]
    assert not draws.calibrated()
    assert draws.won_by_start[0] == 60  # differences of objectives that are rounding are no better optimum
    seeds = exact.bootstrap(60, seed=0, method="seed-noise", noise=0.002)  # says itself what it is of
    assert "no-noise" not in [notice.code for notice in seeds.warnings]


def test_runs_without_noise_have_no_likelihood_and_no_coverage(exact):
    assert "the residuals vanish" in str(exact.profile("alpha"))
    with pytest.raises(FitError, match="the residuals vanish") as refused:
        exact.posterior(400)
    assert refused.value.code == "no-likelihood"
    with pytest.raises(DataError, match="no noise to simulate") as refused:
        exact.coverage(20, draws=39)
    assert refused.value.code == "no-noise"


def test_rounding_makes_no_outlier_and_no_rung_undertuned(exact):
    assert diagnostics.outliers(exact).rows == ()
    assert diagnostics.undertuned(exact, by="N").undertuned == ()


def test_noise_of_a_part_in_a_million_million_is_noise():
    N, D = grid()
    loss = (1.8 + 480.0 / N**0.35 + 2000.0 / D**0.36) * (1.0 + 1e-12 * np.sin(7.0 * np.arange(len(N))))
    fit = iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}, objective="squared_log")
    assert "no-noise" not in [notice.code for notice in fit.bootstrap(60, seed=0).warnings]


# Command line --------------------------------------------------------------------------------------------------------


def test_predict_prints_notices_with_and_without_draws(five, tmp_path, capsys):
    from isoloss.cli import main

    for name, fit in (("bare", five), ("drawn", five.with_draws(five.bootstrap(60, seed=0)))):
        path = tmp_path / f"{name}.json"
        fit.save(path)
        main(["predict", str(path), "--at", "N=7e12,D=1e12"])
        shown = capsys.readouterr().out
        assert "serious [few-units]" in shown
        assert "[extrapolated]: 2.8 decades of N" in shown
        assert "beyond the runs by 2.8 of N" in shown.replace("decades ", "")
        head = shown.splitlines()[0]
        assert "interval" not in head
        assert ("95 % of draws" in head) == (name == "drawn")
        main(["predict", str(path), "--at", "N=7e9,D=1e12", "--json"])
        record = json.loads(capsys.readouterr().out)
        assert record["calibrated"] is (False if name == "drawn" else None)
        assert "few-units" in [notice["code"] for notice in record["warnings"]]
        assert set(record["predictions"][0]["decades"]) == {"N", "D", "C"}
