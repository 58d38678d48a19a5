"""How draws are made, method by method; intervals; checkpoints; bands and extrapolation."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import isoloss as iso
from isoloss.engine.problem import Solved
from isoloss.engine.status import Status
from isoloss.engine.watch import Watch
from isoloss.errors import DataError, OptionError
from isoloss.plan import allocation
from isoloss.plan.optimum import Split
from isoloss.runs.checkpoints import looks_like_checkpoints
from isoloss.stats import bootstrap
from isoloss.stats.intervals import ends, t_quantile
from isoloss.stats.resampling import METHODS, residuals_of, units_of

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1500.0, "beta": 0.36}
AROUND = ("wild", "residual", "parametric")


def table(noise=0.01, seed=0, slope=0.0, sizes=6, tokens=5):
    """A sweep over sizes and tokens; the noise grows by C**slope."""
    rng = np.random.default_rng(seed)
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, sizes), np.geomspace(1e9, 1e12, tokens)))
    spread = noise * (N * D / np.exp(np.mean(np.log(N * D)))) ** slope
    loss = iso.laws.get("chinchilla").bind(TRUTH)(N=N, D=D) * np.exp(spread * rng.standard_normal(len(N)))
    return {"N": N, "D": D, "loss": loss}


@pytest.fixture(scope="module")
def fit():
    return iso.fit("chinchilla", table(), objective="squared_log")


# Methods -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*AROUND, "case", "jackknife"])
def test_spread_agrees_with_the_sandwich(method):
    fit = iso.fit("chinchilla", table(sizes=10, tokens=10), objective="squared_log")
    draws = fit.bootstrap(600, method=method, seed=3)
    assert draws.method == method
    assert draws.failed == 0
    for name, error in fit.stderr.items():
        assert draws.std()[name] == pytest.approx(error, rel=0.3), name


@pytest.mark.parametrize("method", [*AROUND, "case"])
def test_the_seed_decides_and_threads_do_not(fit, method):
    one, two = (fit.bootstrap(300, method=method, seed=5, n_threads=threads) for threads in (1, 2))
    assert np.array_equal(one.params, two.params)
    assert np.array_equal(fit.bootstrap(40, method=method, seed=5).params, one.params[:40])
    assert not np.array_equal(fit.bootstrap(40, method=method, seed=6).params, one.params[:40])


@pytest.mark.parametrize("method", AROUND)
def test_each_draw_is_the_fit_to_its_losses(fit, method):
    source = bootstrap._Source(fit, method, units_of(fit.runs, fit.problem, None), 2, None, Watch())
    chunk = source.chunk(0, 30, Watch())
    draws = fit.bootstrap(30, method=method, seed=2)
    for k in (0, 29):
        again = iso.fit("chinchilla", {**table(), "loss": chunk.target[k]}, objective="squared_log")
        assert draws.value[k] == pytest.approx(again.value, rel=1e-9)
        assert draws.params[k] == pytest.approx(again.vector, rel=1e-4)


def test_left_out_residuals_are_those_of_the_refits(fit):
    units = units_of(fit.runs, fit.problem, None)
    made = residuals_of(fit.problem, fit.vector, units, Watch())
    for row in (0, 17):
        weights = np.ones(fit.n)
        weights[row] = 0.0
        without = iso.fit("chinchilla", fit.runs, objective="squared_log", weights=weights)
        expected = np.log(fit.runs["loss"][row] / without.predict(N=fit.runs["N"][row], D=fit.runs["D"][row]))
        assert made.outer[row] == pytest.approx(expected, rel=1e-5)
    # Under least squares e_(i) = e_i / (1 - h_i), and the mean leverage is p / n.
    leverage = 1.0 + fit.residuals / made.outer
    assert leverage.mean() == pytest.approx(5 / fit.n, rel=0.05)


def test_wild_draws_take_webbs_points_when_there_are_few_groups():
    runs = iso.read({**table(), "run": np.arange(30) % 6}, group="run")
    fit = iso.fit("chinchilla", runs, objective="squared_log", fix={"E": 1.7, "alpha": 0.34, "beta": 0.36})
    units = units_of(runs, fit.problem, None)
    source = bootstrap._Source(fit, "wild", units, 0, None, Watch())
    noise = np.log(source.chunk(0, 400, Watch()).target) - source.residuals.base
    factor = noise / source.residuals.outer
    assert np.unique(factor.round(6)).tolist() == pytest.approx([-(1.5**0.5), -1, -(0.5**0.5), 0.5**0.5, 1, 1.5**0.5])
    for unit in range(6):  # one number for all rows of a group
        rows = units.codes == unit
        assert np.ptp(factor[:, rows], axis=1).max() < 1e-6


def test_automatic_method_follows_objective_and_groups():
    data = {**table(), "run": np.arange(30) // 3}
    runs, grouped = iso.read(data, group=None), iso.read(data, group="run")
    assert iso.fit("chinchilla", runs).bootstrap(5).method == "wild"
    assert (iso.fit("chinchilla", grouped).bootstrap(5).method, iso.fit("chinchilla", grouped).bootstrap(5).by) == (
        "wild",
        "group",
    )
    assert iso.fit("chinchilla", runs, objective="quantile_log:0.2").bootstrap(5).method == "residual"
    assert iso.fit("chinchilla", grouped, objective="quantile_log:0.2").bootstrap(5).method == "case"
    chance = 1.0 / (1.0 + np.exp(8.0 - 0.4 * np.log(data["N"])))
    passed = np.random.default_rng(0).binomial(50, chance) / 50
    counts = iso.read({"N": data["N"], "loss": passed, "trials": np.full(30, 50)}, trials="trials")
    passes = iso.fit("1/(1 + exp(a + b*log(N)))", counts, objective="binomial")
    draws = passes.bootstrap(400)
    assert draws.method == "parametric"
    assert draws.std()["b"] == pytest.approx(passes.bootstrap(400, method="case").std()["b"], rel=0.5)


@pytest.mark.parametrize(
    ("method", "options", "match"),
    [
        ("wild-cluster", {}, "needs groups"),
        ("run-cluster", {}, "needs groups"),
        ("residual", {"by": "N"}, "independent"),
        ("wilde", {}, "did you mean 'wild'"),
        ("wild", {"noise": 0.1}, "seed-noise"),
        ("seed-noise", {"noise": -1.0}, "zero or above"),
    ],
)
def test_methods_that_do_not_apply_are_refused(fit, method, options, match):
    with pytest.raises(OptionError, match=match):
        fit.bootstrap(10, method=method, **options)


def test_wild_is_refused_where_turning_residuals_around_makes_no_sense():
    lopsided = iso.fit("chinchilla", table(), objective="quantile_log:0.1")
    with pytest.raises(OptionError, match="turns residuals around"):
        lopsided.bootstrap(10, method="wild")


def test_seed_noise_is_that_of_repeated_runs():
    rng = np.random.default_rng(0)
    data = {name: np.repeat(column, 3) for name, column in table(noise=0.02).items()}
    data["loss"] = data["loss"] * np.exp(0.002 * rng.standard_normal(90))
    fit = iso.fit("chinchilla", data, objective="squared_log")
    seeds, given = fit.bootstrap(400, method="seed-noise"), fit.bootstrap(400, method="seed-noise", noise=0.002)
    assert seeds.basis.df == 60
    assert seeds.std()["alpha"] == pytest.approx(given.std()["alpha"], rel=0.3)
    assert seeds.std()["alpha"] < 0.3 * fit.bootstrap(400, by="N").std()["alpha"]
    with pytest.raises(DataError) as caught:
        iso.fit("chinchilla", table()).bootstrap(10, method="seed-noise")
    assert caught.value.code == "data-no-replicates"


def test_parametric_draws_by_groups_share_the_noise_of_a_run():
    rng = np.random.default_rng(1)
    data = {name: np.repeat(column, 4) for name, column in table(sizes=8, tokens=6, noise=0.0).items()}
    run = np.repeat(np.arange(48), 4)
    data["loss"] = data["loss"] * np.exp(0.01 * rng.standard_normal(48)[run] + 0.003 * rng.standard_normal(192))
    fit = iso.fit("chinchilla", iso.read({**data, "run": run}, group="run"), objective="squared_log")
    source = bootstrap._Source(fit, "parametric", units_of(fit.runs, fit.problem, None), 0, None, Watch())
    assert source.spread == pytest.approx((0.01, 0.003), rel=0.3)
    draws = fit.bootstrap(400, method="parametric")
    assert draws.std()["alpha"] == pytest.approx(fit.bootstrap(400).std()["alpha"], rel=0.35)


def test_a_jackknife_that_lost_blocks_says_so():
    law = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    rng = np.random.default_rng(0)
    N = np.concatenate(
        [np.repeat([1e7, 1e8], 6), [1e9]]
    )  # without the last run two sizes are left, for three parameters
    data = {"N": N, "loss": (1.5 + 300 / N**0.3) * np.exp(0.01 * rng.standard_normal(13))}
    draws = iso.fit(law, data, objective="squared_log").bootstrap(method="jackknife")
    assert draws.failed == 1
    assert not draws.calibrated()
    notice = next(notice for notice in draws.warnings if notice.code == "draws-failed")
    assert notice.severity == "serious"
    assert "1 of 13 blocks could not be left out" in notice.message
    assert "jackknife errors, which make no confidence interval here" in draws.summary()


@pytest.mark.parametrize("method", ["jackknife", "case", "wild"])
@pytest.mark.parametrize("left", [0, 1])
def test_draws_of_which_none_or_one_is_left_give_no_interval(fit, method, left):
    made = fit.bootstrap(60, method=method)
    draws = replace(made, params=made.params[:left], value=made.value[:left], index=made.index[:left])
    assert not draws.calibrated()
    held = fit.with_draws(draws)
    bands = [held.predict(N=1e9, D=1e10, level=0.9), draws.predict(N=np.array([1e9, 1e10]), D=1e10)]
    assert all(np.shape(band.low) == np.shape(band.estimate) and not band.calibrated for band in bands)
    if left == 0 or method == "jackknife":
        assert np.isnan(list(draws.conf_int().values())).all()
        assert all(np.isnan(band.low).all() and np.isnan(band.high).all() for band in bands)
    assert np.isnan(list(draws.std().values())).all()
    assert "no confidence interval" in held.summary()
    assert fit.allocate(C=1e24, draws=draws).N > 0.0


def test_nothing_that_is_no_number_leaks_a_warning():
    """A parameter that is zero, and refits without a unit that all failed."""
    x = np.linspace(-1.0, 1.0, 12)
    law = iso.law("a + b*x + c*x**2", vars=["x"])
    even = iso.fit(law, iso.read({"x": x, "loss": 1.0 + x**4}, x="x"), objective="squared_raw", starts=[[1, 0, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert even.conf_int(method="wald")["b"][0] <= 0.0 <= even.conf_int(method="wald")["b"][1]
        samples = np.random.default_rng(0).standard_normal((200, 2))
        low, high = ends("bca", samples, np.zeros(2), 0.9, df=5.0, left_out=np.full((4, 2), np.nan))
    assert np.all(low < 0.0)
    assert np.all(high > 0.0)


def test_a_jackknife_in_blocks_counts_blocks(fit):
    draws = fit.bootstrap(10, method="jackknife")
    assert (len(draws), draws.units) == (10, 30)
    assert "jackknife of 30 runs in 10 blocks" in draws.summary()
    with pytest.raises(OptionError, match="jackknife"):
        draws.conf_int(interval="percentile")
    with pytest.raises(OptionError, match="jackknife"):
        fit.bootstrap(10).conf_int(interval="jackknife")


def test_too_few_units_are_no_basis_for_an_interval():
    runs = iso.read({**table(), "run": np.arange(30) % 6}, group="run")
    draws = iso.fit("chinchilla", runs).bootstrap(50)
    assert not draws.basis.calibrated
    assert [notice.code for notice in draws.warnings] == ["few-units"]
    assert "95 % interval" not in draws.summary()


def test_few_draws_are_no_basis_for_an_interval(fit):
    few = fit.bootstrap(38)
    (notice,) = few.warnings
    assert (notice.code, notice.severity, notice.details) == ("few-draws", "serious", {"draws": 38, "least": 39})
    assert "95 % of draws," in few.summary()
    assert "no confidence interval" in few.summary()
    assert "95 % bootstrap of draws" in fit.with_draws(few).summary()
    assert not few.predict(N="70B", D="1.4T").calibrated
    plan = fit.allocate(C=1e24, draws=few)
    assert not plan.calibrated
    assert notice in plan.warnings
    enough = fit.bootstrap(39)
    assert enough.warnings == ()
    assert enough.calibrated(0.95)
    assert not enough.calibrated(0.99)
    assert "99 % of draws," in enough.summary(level=0.99)
    assert fit.bootstrap(30, method="jackknife").calibrated(0.99)  # its ends are no quantiles of draws


def test_bands_and_plans_are_studentised():
    """For a law that is nearly linear in few parameters all kinds of intervals are about the same."""
    fit = iso.fit("chinchilla", table(noise=0.001), objective="squared_log")
    draws = fit.bootstrap(800, studentize=True)
    plain = draws.predict(N="70B", D="1.4T", interval="percentile")
    student = draws.predict(N="70B", D="1.4T", interval="studentized")
    assert student.interval == "studentized"
    assert student.low < student.estimate < student.high
    assert (student.high - student.low) / (plain.high - plain.low) == pytest.approx(1.0, abs=0.2)
    first, second = (fit.allocate(C=[1e22, 1e24], draws=draws, interval=kind) for kind in ("percentile", "studentized"))
    for name, (low, high) in second.intervals.items():
        below, above = first.intervals[name]
        assert np.all(low < getattr(second, name))
        assert np.all(getattr(second, name) < high)
        np.testing.assert_allclose((high - low) / (above - below), 1.0, atol=0.25)
    corrected = fit.allocate(C=1e24, draws=draws, interval="bca").intervals["N"]
    assert corrected[0] < fit.allocate(C=1e24).N < corrected[1]


def test_the_error_of_an_optimum_is_that_of_the_closed_form():
    """ln N* is a linear function of the parameters where only the scales A and B move."""
    fit = iso.fit("chinchilla", table(noise=0.001), objective="squared_log",
                  fix={"alpha": 0.34, "beta": 0.36})  # fmt: skip
    draws = fit.bootstrap(60, studentize=True)
    split = Split(bound=fit.bound, rate=6.0, others={})
    own, _ = allocation._errors(draws, lambda p: {"N": split.least(p, np.array([1e24]))[0]})["N"]
    plan = fit.allocate(C=1e24)
    slope = np.array([0.0, 1.0 / fit.params["A"], 0.0, -1.0 / fit.params["B"], 0.0]) / (0.34 + 0.36)
    assert own[0] / plan.N == pytest.approx(np.sqrt(slope @ draws.basis.cov @ slope), rel=1e-3)


def test_kinds_of_intervals_that_new_runs_do_not_have(fit):
    draws = fit.bootstrap(50, studentize=True)
    for kind in ("bca", "studentized"):
        with pytest.raises(OptionError, match="the loss of a new run is not"):
            draws.predict(N="70B", D="1.4T", kind="new-run", interval=kind)
    with pytest.raises(OptionError, match="studentize=True"):
        fit.bootstrap(50).predict(N="70B", D="1.4T", interval="studentized")
    with pytest.raises(OptionError, match="studentize=True"):
        fit.allocate(C=1e24, draws=fit.bootstrap(50), interval="studentized")


# Starts that ran out of steps ----------------------------------------------------------------------------------------


def solved(value, status):
    rows = len(value)
    return Solved(
        params=np.zeros((rows, 1)),
        value=np.array(value, dtype=float),
        status=np.array(status, dtype=np.uint8),
        iterations=np.zeros(rows, dtype=np.uint32),
        at_bound=np.zeros((rows, 1), dtype=np.int8),
    )


def test_a_start_that_stopped_early_below_the_others_is_not_passed_over():
    done = next(int(status) for status in Status if status.success)
    early = next(int(status) for status in Status if not status.success and status.name != "CANCELLED")
    two_draws = solved([1.0, 0.5, 1.0, 2.0], [done, early, done, early])
    assert bootstrap._promising(two_draws, 2, 0.0).tolist() == [1]
    assert bootstrap._promising(two_draws, 2, 0.6).tolist() == []  # all the same to rounding
    alone = solved([1.0, np.nan, 1.0, 2.0], [early, early, done, done])
    assert bootstrap._promising(alone, 2, 0.0).tolist() == [0]


# Invariance ----------------------------------------------------------------------------------------------------------


@settings(max_examples=8)
@given(st.integers(0, 1000), st.sampled_from(["wild", "residual", "case", "parametric"]))
def test_intervals_do_not_depend_on_the_order_of_rows(seed, method):
    data = table(seed=seed)
    order = np.random.default_rng(seed).permutation(30)
    mixed = {name: column[order] for name, column in data.items()}
    one, two = (
        iso.fit("chinchilla", each, objective="squared_log").bootstrap(60, method=method, seed=seed).conf_int()
        for each in (data, mixed)
    )
    for name, interval in one.items():
        assert two[name] == pytest.approx(interval, rel=1e-5), name


@settings(max_examples=8)
@given(
    st.integers(0, 1000),
    st.sampled_from(["wild", "case", "residual"]),
    st.floats(-9.0, 9.0),
    st.floats(-9.0, 9.0),
    st.floats(-3.0, 3.0),
)
def test_intervals_follow_a_change_of_units(seed, method, n, d, y):
    data = table(seed=seed)
    moved = {"N": data["N"] * 10.0**n, "D": data["D"] * 10.0**d, "loss": data["loss"] * 10.0**y}
    one, two = (
        iso.fit("chinchilla", each, objective="squared_log").bootstrap(60, method=method, seed=seed)
        for each in (data, moved)
    )
    for name in ("alpha", "beta"):
        assert two.conf_int()[name] == pytest.approx(one.conf_int()[name], rel=1e-5)
    assert two.conf_int()["E"] == pytest.approx(tuple(10.0**y * end for end in one.conf_int()["E"]), rel=1e-5)
    here, there = one.predict(N=1e11, D=1e13), two.predict(N=1e11 * 10.0**n, D=1e13 * 10.0**d)
    assert (there.low, there.high) == pytest.approx((10.0**y * here.low, 10.0**y * here.high), rel=1e-6)
    assert there.decades == pytest.approx(here.decades, abs=1e-9)


@settings(max_examples=8)
@given(st.integers(0, 1000), st.sampled_from(["wild", "residual", "parametric"]))
def test_bands_of_new_runs_depend_on_no_order_and_no_company(seed, method):
    data = table(seed=seed)
    order = np.random.default_rng(seed).permutation(30)
    one, two = (
        iso.fit("chinchilla", each, objective="squared_log").bootstrap(60, method=method, seed=seed)
        for each in (data, {name: column[order] for name, column in data.items()})
    )
    N, D = np.array([1e9, 1e10, 1e11]), np.array([1e10, 1e12, 1e13])
    bands = [one.predict(kind="new-run", N=N, D=D), two.predict(kind="new-run", N=N[::-1], D=D[::-1])]
    np.testing.assert_allclose(bands[1].low[::-1], bands[0].low, rtol=1e-6)
    alone = one.predict(kind="new-run", N=N[1], D=D[1])
    assert (alone.low, alone.high) == pytest.approx((bands[0].low[1], bands[0].high[1]), rel=1e-12)


@settings(max_examples=6)
@given(st.integers(0, 1000), st.sampled_from(["wild", "residual", "case", "parametric"]), st.booleans())
def test_intervals_do_not_depend_on_the_number_of_threads(seed, method, grouped):
    runs = iso.read({**table(seed=seed), "run": np.arange(30) // 3}, group="run" if grouped else None)
    if grouped and method == "residual":
        method = "jackknife"
    found = [
        iso.fit("chinchilla", runs, objective=iso.Huber(0.003), n_threads=threads)
        .bootstrap(60, method=method, seed=seed, n_threads=threads)
        .conf_int()
        for threads in (1, 2)
    ]
    assert found[0] == found[1]


@settings(max_examples=6)
@given(st.integers(0, 1000), st.sampled_from(["wild", "case", "parametric", "jackknife"]))
def test_intervals_of_groups_do_not_depend_on_the_order_of_rows_or_on_labels(seed, method):
    data = {**table(seed=seed), "run": np.arange(30) // 3}
    rng = np.random.default_rng(seed)
    order = rng.permutation(30)
    mixed = {name: column[order] for name, column in data.items()}
    mixed["run"] = rng.permutation(10)[mixed["run"]]
    one, two = (
        iso.fit("chinchilla", iso.read(each, group="run"), objective="squared_log")
        .bootstrap(60, method=method, seed=seed)
        .conf_int()
        for each in (data, mixed)
    )
    for name, interval in one.items():
        assert two[name] == pytest.approx(interval, rel=1e-5), name


@settings(max_examples=6)
@given(
    st.integers(0, 1000), st.sampled_from(["wald", "profile"]), st.floats(-9.0, 9.0), st.floats(-9.0, 9.0),
    st.floats(-3.0, 3.0)
)  # fmt: skip
def test_intervals_without_draws_follow_a_change_of_units_and_of_order(seed, method, n, d, y):
    data = table(seed=seed)
    order = np.random.default_rng(seed).permutation(30)
    moved = {"N": data["N"] * 10.0**n, "D": data["D"] * 10.0**d, "loss": data["loss"] * 10.0**y}
    one, two = (
        iso.fit("chinchilla", each, objective="squared_log").conf_int(method=method)
        for each in (data, {name: column[order] for name, column in moved.items()})
    )
    # Profiles are read off between values that are held: as fine as those.
    rel = 1e-5 if method == "wald" else 2e-3
    for name in ("alpha", "beta"):
        assert two[name] == pytest.approx(one[name], rel=rel)
    assert two["E"] == pytest.approx(tuple(10.0**y * end for end in one["E"]), rel=rel)


# Intervals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("df", [1, 2, 7, 7.5, 40, 1000])
@pytest.mark.parametrize("p", [1e-5, 0.025, 0.4, 0.5, 0.975])
def test_quantiles_of_students_distribution(p, df):
    assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-12)


def test_expanded_percentiles_of_normal_draws_are_students_interval():
    samples = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)[:, None]
    low, high = ends("expanded", samples, np.zeros(1), 0.95, df=7)
    assert (low[0], high[0]) == pytest.approx((-stats.t.ppf(0.975, 7), stats.t.ppf(0.975, 7)), rel=1e-3)
    kept = np.exp(samples)
    assert ends("expanded", kept, np.ones(1), 0.95, df=7)[0] == pytest.approx(np.exp(low))


def test_bca_agrees_with_scipy():
    rng = np.random.default_rng(0)
    data = rng.exponential(size=40)
    index = rng.integers(0, 40, (20_000, 40))
    samples = data[index].mean(axis=1)[:, None]
    left_out = np.array([np.delete(data, k).mean() for k in range(40)])[:, None]
    made = ends("bca", samples, np.array([data.mean()]), 0.95, df=39, left_out=left_out)
    theirs = stats.bootstrap((data,), np.mean, method="BCa", n_resamples=20_000, rng=1).confidence_interval
    assert (made[0][0], made[1][0]) == pytest.approx(tuple(theirs), rel=0.01)


def test_all_kinds_of_intervals_are_alike_where_the_law_is_nearly_linear():
    fit = iso.fit("chinchilla", table(noise=1e-4, sizes=10, tokens=10), objective="squared_log")
    draws = fit.bootstrap(2000, studentize=True)
    plain = draws.conf_int(interval="percentile")
    for kind in ("expanded", "bca", "studentized"):
        for name, (low, high) in draws.conf_int(interval=kind).items():
            width = plain[name][1] - plain[name][0]
            assert abs(low - plain[name][0]) < 0.2 * width, (kind, name)
            assert abs(high - plain[name][1]) < 0.2 * width, (kind, name)


def test_kinds_that_are_not_to_be_had_say_why(fit):
    draws = fit.bootstrap(20)
    with pytest.raises(OptionError, match="studentize=True"):
        draws.conf_int(interval="studentized")
    with pytest.raises(OptionError, match="did you mean 'bca'"):
        draws.conf_int(interval="bcaa")
    absolute = iso.fit("chinchilla", table(), objective="absolute_log")
    with pytest.raises(OptionError, match="no standard errors"):
        absolute.bootstrap(20, studentize=True)


# Checkpoints ---------------------------------------------------------------------------------------------------------


def checkpointed(even=True, shared=0.01, steps=False):
    rng = np.random.default_rng(4)
    fractions = np.linspace(0.1, 1.0, 8) if even else np.geomspace(0.1, 1.0, 8)
    N = np.repeat(np.geomspace(1e8, 4e9, 12), 8)
    D = (np.geomspace(4e9, 2e11, 12)[:, None] * fractions).ravel()
    run = np.repeat(np.arange(12), 8)
    loss = iso.laws.get("chinchilla").bind(TRUTH)(N=N, D=D)
    loss = loss * np.exp(shared * rng.standard_normal(12)[run] + 0.002 * rng.standard_normal(96))
    return {"N": N, "D": D, "loss": loss, **({"step": np.tile(np.arange(8), 12)} if steps else {})}, run


@pytest.mark.parametrize(
    ("options", "evidence"),
    [({}, "even steps"), ({"even": False, "steps": True}, "steps"), ({"even": False}, "residuals")],
)
def test_rows_that_look_like_checkpoints_are_no_basis_for_an_interval(options, evidence):
    data, run = checkpointed(**options)
    further = {"step": "step"} if "step" in data else {}
    rows = iso.fit("chinchilla", iso.read(data, **further), objective="squared_log").bootstrap(200)
    (notice,) = rows.warnings
    assert (notice.code, notice.severity) == ("checkpoints-as-runs", "serious")
    assert notice.details["evidence"] == evidence
    assert notice.details["runs"] == 12
    assert not rows.basis.calibrated
    assert "95 % interval" not in rows.summary()
    assert "no confidence interval" in rows.summary()
    grouped = iso.fit("chinchilla", iso.read({**data, "run": run}, group="run"), objective="squared_log").bootstrap(200)
    assert grouped.basis.calibrated
    assert grouped.warnings == ()
    assert grouped.std()["alpha"] > 1.5 * rows.std()["alpha"]


def test_sweeps_of_independent_runs_do_not_look_like_checkpoints():
    data, _ = checkpointed(even=False, shared=0.0)
    assert looks_like_checkpoints(iso.read(data), np.random.default_rng(0).standard_normal(96)) is None
    for seed in range(30):
        assert looks_like_checkpoints(iso.read(table(seed=seed)), np.random.default_rng(seed).normal(size=30)) is None
    assert iso.fit("chinchilla", table()).bootstrap(50).warnings == ()


# Noise and bands -----------------------------------------------------------------------------------------------------


def test_noise_that_falls_with_scale_is_found_and_used():
    fit = iso.fit("chinchilla", table(slope=-0.3, sizes=12, tokens=10), objective="squared_log")
    model = fit.bootstrap(20).basis.noise
    assert model.slope == pytest.approx(-0.3, abs=0.08)
    assert "at the smallest scale" in model.describe()
    draws = fit.bootstrap(2000)
    widths = []
    for k in (0, -1):  # at the smallest run and the largest
        band = draws.predict(kind="new-run", N=fit.runs["N"].min() if k == 0 else fit.runs["N"].max(),
                             D=fit.runs["D"].min() if k == 0 else fit.runs["D"].max())  # fmt: skip
        widths.append(np.log(band.high / band.low))
    ratio = (1e6) ** 0.3  # six decades of compute between them
    assert 0.25 * ratio < widths[0] / widths[1] < ratio  # the law itself is not sure either, at the largest
    assert iso.fit("chinchilla", table(), objective="squared_log").bootstrap(20).basis.noise.slope == 0.0


def test_bands_of_new_runs_hold_new_runs():
    law = iso.laws.get("chinchilla").bind(TRUTH)
    rng = np.random.default_rng(0)
    inside, mean_inside, total = 0, 0, 0
    for seed in range(25):
        draws = iso.fit("chinchilla", table(seed=seed), objective="squared_log").bootstrap(300, seed=seed)
        N, D = 10.0 ** rng.uniform(7, 10, 20), 10.0 ** rng.uniform(9, 12, 20)
        new = law(N=N, D=D) * np.exp(0.01 * rng.standard_normal(20))
        band, mean = draws.predict(kind="new-run", level=0.9, N=N, D=D), draws.predict(level=0.9, N=N, D=D)
        inside += int(np.sum((band.low <= new) & (new <= band.high)))
        mean_inside += int(np.sum((mean.low <= new) & (new <= mean.high)))
        total += 20
    assert 0.84 < inside / total < 0.95  # 90 % of 500
    assert mean_inside / total < 0.75  # which the band of the mean is not for


def test_bands_say_how_far_they_reach(fit):
    draws = fit.bootstrap(100)
    band = draws.predict(N=np.array([1e10, 1e12, 1e6]), D=1e11)
    assert band.decades["N"] == pytest.approx([0.0, 2.0, -1.0], abs=1e-9)
    assert band.decades["D"] == pytest.approx([0.0, 0.0, 0.0])
    assert [line.split("], ")[1] for line in str(band).splitlines()] == [
        "within the runs",
        "beyond the runs by 2.0 decades of N, 1.0 of C",
        "below the runs by 1.0 decades of N",
    ]
    json.dumps(band.to_dict(), allow_nan=False)
    with pytest.raises(OptionError, match="new-run"):
        draws.predict(kind="run", N=1e9, D=1e10)


_MAKERS = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}


def test_a_fit_with_draws_predicts_bands(fit):
    drawn = fit.with_draws(fit.bootstrap(200))
    band = drawn.predict(N="70B", D="1.4T", level=0.9)
    assert band.to_dict() == drawn.draws.predict(N="70B", D="1.4T", level=0.9).to_dict()
    wide = drawn.predict(N="70B", D="1.4T", kind="new-run")
    assert (wide.kind, wide.level) == ("new-run", 0.95)
    assert wide.high - wide.low > band.high - band.low
    assert drawn.predict(N="70B", D="1.4T") == fit.predict(N="70B", D="1.4T")
    several = drawn.predict(fit.runs, level=0.9)
    assert several.low.shape == (30,)
    frame = drawn.predict({"N": [7e10, 1e8], "D": [1.4e12, 1e10]}, level=0.9)
    assert frame["loss_pred_low"][0] == band.low
    assert frame["decades_N"].tolist() == [band.decades["N"], 0.0]
    for options in ({"level": 0.9}, {"kind": "new-run"}, {"interval": "bca"}):
        with pytest.raises(OptionError, match="none are attached"):
            fit.predict(N=1e9, D=1e10, **options)
    with pytest.raises(OptionError, match="neither 'mean' nor"):
        drawn.predict(N=1e9, D=1e10, kind="median")


@pytest.mark.parametrize("library", ["dict", "pandas", "polars", "pyarrow"])
def test_a_frame_carries_the_codes_of_the_notices_that_a_band_would(fit, library):
    points = {"N": [1e9, 1e13, 1e15], "D": [1e10, 1e11, 1e11]}
    frame = points if library == "dict" else getattr(pytest.importorskip(library), _MAKERS[library])(points)
    column = fit.with_draws(fit.bootstrap(100)).predict(frame, level=0.9)["loss_pred_warnings"]
    codes = column.to_pylist() if library == "pyarrow" else list(column)
    assert codes == ["", "extrapolated", "extrapolated"]
    drawn = fit.with_draws(fit.bootstrap(100))
    for N, D, code in zip(points["N"], points["D"], codes, strict=True):
        assert "; ".join(notice.code for notice in drawn.predict(N=N, D=D, level=0.9).warnings) == code


def test_what_makes_draws_doubtful_is_told_in_every_row():
    N, D = np.array([1e8, 1e9, 1e10, 1e9, 1e8]), np.array([1e10, 1e11, 1e10, 1e10, 1e11])
    few = iso.fit("chinchilla", {"N": N, "D": D, "loss": 1.8 + 400 / N**0.34 + 1500 / D**0.36 + 0.01 * np.sin(N)})
    drawn = few.with_draws(few.bootstrap(50))
    table = drawn.predict({"N": [1e9, 1e15], "D": [1e10, 1e10]}, level=0.9)
    for row, N in enumerate((1e9, 1e15)):
        told = [notice.code for notice in drawn.predict(N=N, D=1e10, level=0.9).warnings]
        assert "few-units" in told
        assert table["loss_pred_warnings"][row] == "; ".join(told)


def test_draws_keep_what_their_intervals_rest_on(fit, tmp_path):
    draws = fit.bootstrap(100, studentize=True)
    fit.with_draws(draws).save(tmp_path / "fit.json")
    again = iso.load(tmp_path / "fit.json").draws
    for kind in (None, "bca", "studentized"):
        assert again.conf_int(interval=kind) == draws.conf_int(interval=kind)
    here, there = (each.predict(kind="new-run", N=1e11, D=1e13) for each in (draws, again))
    assert (here.low, here.high) == (there.low, there.high)


def test_every_method_has_a_name_in_the_documentation():
    text = iso.Fit.bootstrap.__doc__
    assert [method for method in METHODS if f'"{method}"' not in text] == []
