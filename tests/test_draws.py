"""Bootstrap draws: determinism, resampled units, failures, intervals."""

from dataclasses import replace

import numpy as np
import pytest

import isoloss as iso
from isoloss import _core
from isoloss.errors import DataError, FitError, OptionError
from isoloss.stats import bootstrap as bootstrapping
from isoloss.stats.draws import RANK_DEFICIENT
from isoloss.stats.resampling import units_of

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1500.0, "beta": 0.36}
LEVELS = 8


def sweep(noise=0.01, seed=0, copies=1, shared=0.0, objective="squared_log"):
    """A fit of runs on a grid; each run has checkpoints that share part of their noise."""
    rng = np.random.default_rng(seed)
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, LEVELS), np.geomspace(1e9, 1e12, LEVELS)))
    loss = iso.laws.get("chinchilla").bind(TRUTH)(N=N, D=D) * np.exp(shared * rng.standard_normal(len(N)))
    data = {name: np.repeat(column, copies) for name, column in {"N": N, "D": D, "loss": loss}.items()}
    data["loss"] = data["loss"] * np.exp(noise * rng.standard_normal(len(data["N"])))
    data["run"] = np.repeat(np.arange(len(N)), copies)
    return iso.fit("chinchilla", iso.read(data, group="run" if copies > 1 else None), objective=objective)


@pytest.fixture(scope="module")
def fit():
    return sweep()


@pytest.fixture(scope="module")
def draws(fit):
    return fit.bootstrap(1000, seed=1)


def test_shapes_and_names(fit, draws):
    assert draws.params.shape == (1000, 5)
    assert draws.names == fit.names
    assert draws.value.shape == (1000,)
    assert draws.status.shape == (1000,)
    assert draws.index.tolist() == list(range(1000))
    assert (len(draws), draws.requested, draws.failed) == (1000, 1000, 0)
    assert draws["alpha"].tolist() == draws.params[:, 2].tolist()
    assert sum(draws.won_by_start) == 1000
    assert len(draws.won_by_start) == 4


def test_each_draw_is_the_fit_to_its_resample(fit):
    n, units = fit.runs.n, units_of(fit.runs, fit.problem, "row")
    counts = _core.resample_counts(1, 1000, units.codes, n)
    assert counts.sum(axis=1).tolist() == [n] * 1000
    draws = fit.bootstrap(1000, seed=1, method="case")
    for k in (0, 1, 999):
        refit = iso.fit("chinchilla", fit.runs, objective="squared_log", weights=counts[k])
        assert draws.value[k] == pytest.approx(refit.value, rel=1e-9)
        assert draws.params[k] == pytest.approx(refit.vector, rel=1e-3)


def test_the_seed_decides_and_threads_do_not(fit, draws):
    again = fit.bootstrap(1000, seed=1, n_threads=1)
    assert np.array_equal(again.params, draws.params)
    assert np.array_equal(fit.bootstrap(100, seed=1).params, draws.params[:100])
    assert not np.array_equal(fit.bootstrap(1000, seed=2).params, draws.params)
    one, two = (fit.bootstrap(50, seed=np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(one.params, two.params)


def test_spread_agrees_with_the_sandwich(fit, draws):
    errors = np.sqrt(np.diag(fit.cov)) / fit.vector
    assert np.log(draws.params).std(axis=0) == pytest.approx(errors, rel=0.2)


def test_percentile_intervals(fit):
    draws = fit.bootstrap(1000, seed=1, method="case")
    intervals = draws.conf_int(0.9)
    assert intervals["alpha"] == pytest.approx(tuple(np.quantile(draws["alpha"], [0.05, 0.95])))
    wider = draws.conf_int(0.99)
    assert all(wider[name][0] <= low and high <= wider[name][1] for name, (low, high) in intervals.items())
    assert draws.conf_int() == draws.conf_int(0.95)
    for level in (0.0, 1.0, 95):
        with pytest.raises(OptionError, match="level"):
            draws.conf_int(level)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    hits = np.zeros(5)
    studies = 60
    for k in range(studies):
        intervals = sweep(seed=k).bootstrap(300, seed=k).conf_int(0.9)
        hits += [low <= TRUTH[name] <= high for name, (low, high) in intervals.items()]
    # 60 studies at 90 %: three binomial standard deviations are 0.12, and 64 runs are few.
    assert hits / studies == pytest.approx(np.full(5, 0.88), abs=0.13)


def test_groups_are_resampled_when_the_runs_have_them():
    fit = sweep(noise=0.001, shared=0.01, copies=6)
    grouped, rows = fit.bootstrap(400), fit.bootstrap(400, by="row")
    assert (grouped.by, grouped.units) == ("group", LEVELS**2)
    assert (rows.by, rows.units) == ("row", 6 * LEVELS**2)
    ratio = grouped.std()["alpha"] / rows.std()["alpha"]
    assert ratio == pytest.approx(np.sqrt(6.0), rel=0.25)


def test_any_column_can_say_what_belongs_together(fit):
    by_size = fit.bootstrap(50, by="N")
    assert (by_size.by, by_size.units) == ("N", LEVELS)
    with pytest.raises(DataError, match="no group") as caught:
        fit.bootstrap(10, by="group")
    assert caught.value.code == "data-missing-column"
    with pytest.raises(DataError, match="'nosuch'"):
        fit.bootstrap(10, by="nosuch")


def test_resamples_with_too_few_points_are_counted_and_left_out():
    # Six points for five parameters: most resamples hold fewer than five of them.
    N = np.array([1e7, 1e8, 1e9, 1e10, 1e8, 1e9])
    D = np.array([1e9, 1e11, 1e10, 1e12, 1e12, 1e9])
    fit = iso.fit("chinchilla", {"N": N, "D": D, "loss": iso.laws.get("chinchilla").bind(TRUTH)(N=N, D=D)})
    draws = fit.bootstrap(500, seed=0, method="case")
    deficient = int((draws.status == RANK_DEFICIENT).sum())
    # Chance that six draws of six show five or six distinct ones: (6! + 15 * 6!) / 6**6.
    assert 1 - deficient / 500 == pytest.approx(16 * 720 / 6**6, abs=0.06)
    assert draws.failed >= deficient
    assert len(draws) == 500 - draws.failed
    assert np.isfinite(draws.params).all()
    assert draws.index.tolist() == np.flatnonzero(np.isin(np.arange(500), draws.index)).tolist()
    notice = draws.warnings[0]
    assert (notice.code, notice.severity) == ("draws-failed", "serious")
    assert notice.details["rank_deficient"] == deficient
    assert f"{draws.failed:,} failed" in draws.summary()


def test_resamples_whose_points_leave_a_direction_open_are_counted_and_left_out():
    """Whole token counts are resampled: with two different ones E, B and beta cannot be told apart."""
    sizes, tokens = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(1e9, 1e12, 5)))
    loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=sizes, D=tokens)
    loss = loss * np.exp(0.005 * np.random.default_rng(0).standard_normal(30))
    fit = iso.fit("chinchilla", {"N": sizes, "D": tokens, "loss": loss}, objective="squared_log")
    draws = fit.bootstrap(300, method="case", by="D", seed=1)
    counts = _core.resample_counts(1, 300, np.unique(tokens, return_inverse=True)[1].astype(np.int64), 5)
    different = np.array([len(np.unique(tokens[row > 0.0])) for row in counts])
    assert np.array_equal(draws.status == RANK_DEFICIENT, different < 3)
    assert 10 < np.sum(different < 3) < 250
    assert draws.warnings[0].details["rank_deficient"] == np.sum(different < 3)


def test_weights_of_runs_are_multiplied_with_counts(fit):
    weights = np.ones(fit.runs.n)
    weights[:8] = 0.0
    without = iso.fit("chinchilla", fit.runs, weights=weights, objective="squared_log").bootstrap(300)
    assert without.failed == 0
    kept = iso.fit("chinchilla", fit.runs.where(weights > 0), objective="squared_log").bootstrap(300)
    assert without.std()["alpha"] == pytest.approx(kept.std()["alpha"], rel=0.3)


def test_fixed_and_tied_parameters_stay_so_in_every_draw(fit):
    tied = iso.fit("chinchilla", fit.runs, fix={"E": 1.7}, tie={"beta": "alpha"}).bootstrap(40)
    assert np.all(tied["E"] == 1.7)
    assert np.array_equal(tied["alpha"], tied["beta"])


def test_other_optima_can_win_draws():
    # Noise decides which of two mirror optima is the better one.
    x = np.linspace(0.5, 2.0, 20)
    law = iso.law("(c**2 - 4)**2 * x + 0.05 * c", vars=["x"])
    runs = iso.read({"x": x, "loss": x + 0.5 * np.random.default_rng(0).standard_normal(20)}, x="x")
    fit = iso.fit(law, runs, objective=iso.SquaredError("raw"), starts=[[2.1], [-2.1], [1.5], [-1.5]])
    many = fit.bootstrap(500, starts=3)
    alone = fit.bootstrap(500, starts=0)
    assert alone.won_by_start == (500,)
    assert sum(many.won_by_start[1:]) > 20
    assert np.all(many.value <= alone.value * (1 + 1e-9))


def test_bands_hold_the_estimate_and_broadcast(fit, draws):
    band = draws.predict(N="70B", D="1.4T")
    assert band.low < band.estimate < band.high
    assert band.estimate == fit.predict(N=70e9, D=1.4e12)
    table = draws.predict(N=np.array([1e9, 1e10])[:, None], D=np.array([1e10, 1e11, 1e12]), level=0.5)
    assert table.low.shape == table.high.shape == (2, 3)
    assert np.all((table.low < table.estimate) & (table.estimate < table.high))
    each = [fit.law.bind(dict(zip(draws.names, row, strict=True)))(N=1e10, D=1e12) for row in draws.params[:200]]
    assert np.median(each) == pytest.approx(table.estimate[1, 2], rel=1e-3)


def test_progress_counts_all_starts_of_all_draws(fit):
    seen = []
    fit.bootstrap(3000, progress=lambda done, total: seen.append((done, total)))
    assert all(0 <= done <= total == 3000 * 4 for done, total in seen)
    assert seen == sorted(seen)
    assert seen[-1] == (12_000, 12_000)


def test_large_resamples_are_cut_into_chunks_without_losing_any(fit, monkeypatch):
    monkeypatch.setattr("isoloss.stats.bootstrap._MOST_NUMBERS", 64 * fit.runs.n)
    chunked = fit.bootstrap(150, seed=1)
    assert chunked.params.shape == (150, 5)
    assert np.unique(chunked.value).size == 150
    assert chunked.std()["alpha"] == pytest.approx(fit.bootstrap(1000, seed=1).std()["alpha"], rel=0.25)


@pytest.mark.parametrize(
    "options", [{"n": 0}, {"n": 1.5}, {"n": 2**70}, {"starts": -1}, {"method": "jacknife"}, {"seed": -4}, {"seed": "x"}]
)
def test_nonsense_options_are_refused(fit, options):
    with pytest.raises(OptionError) as caught:
        fit.bootstrap(**{"n": 10, **options})
    assert caught.value.code == "option"


def test_there_is_nothing_to_resample_around_without_an_optimum():
    law = iso.law("log(A) + 0 * N", vars=["N"])
    fit = iso.fit(law, {"N": [1.0, 2.0, 3.0], "D": [1.0] * 3, "loss": [1.0, 1.0, 1.0]}, starts=[[-1.0]])
    with pytest.raises(FitError) as caught:
        fit.bootstrap(10)
    assert caught.value.code == "fit-failed"


def test_the_summary_says_what_was_resampled(draws):
    text = draws.summary()
    assert "1,000 wild bootstrap draws of 64 runs, seed 1" in text
    assert "warm start best in" in text
    assert all(name in text for name in draws.names)
    assert max(map(len, text.splitlines())) <= 88


def test_a_fixed_parameter_takes_no_draw_from_studentised_intervals(fit):
    held = iso.fit("chinchilla", fit.runs, fix={"E": 1.8}, objective="squared_log")
    draws = held.bootstrap(99, seed=0, studentize=True)
    found = draws.conf_int(0.9, interval="studentized")
    assert found["E"] == (1.8, 1.8)
    assert draws.std()["E"] == 0.0
    at = held.names.index("alpha")
    own, each = np.sqrt(draws.basis.cov[at, at]), np.sqrt(draws.basis.covs[:, at, at])
    low, high = np.quantile((draws["alpha"] - held.params["alpha"]) / each, [0.05, 0.95])
    assert found["alpha"] == pytest.approx((held.params["alpha"] - high * own, held.params["alpha"] - low * own))


def test_draws_without_standard_errors_are_told(fit, monkeypatch):
    held = iso.fit("chinchilla", fit.runs, objective="squared_log")
    whole = bootstrapping.covariance
    asked = iter(range(1000))

    def now_and_then(*given):
        made = whole(*given)
        return made if next(asked) % 10 else replace(made, cov=None)

    assert not held.bootstrap(40, seed=0, studentize=True).warnings
    next(asked)  # the fit itself has its own
    monkeypatch.setattr(bootstrapping, "covariance", now_and_then)
    (notice,) = held.bootstrap(40, seed=0, studentize=True).warnings
    assert (notice.code, notice.severity, notice.details) == ("draws-failed", "serious", {"failed": 4, "draws": 40})


def test_what_an_interval_is_of_is_said(fit):
    seeds = fit.bootstrap(60, seed=0, method="seed-noise", noise=0.002)
    assert seeds.describe_interval() == "percentile intervals of what other seeds would change, and no more"
    three = iso.fit("E + A/N**alpha", {"N": [1e8, 1e9, 1e10], "loss": [3.0, 2.5, 2.3]})
    assert "no draw to tell which start is best" in three.bootstrap(3, method="jackknife").summary()
