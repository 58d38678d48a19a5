"""Laws of loss curves: golden numbers on the released curves of 25, 100 and 400 million parameters, and journey J4.

The expected figures were computed apart from this package, with NumPy and SciPy, from the same file
(`lr_schedule_curves.csv`, curves of the Multi-Power Law's repository).
"""

import json
import pickle

import numpy as np
import pytest

import isoloss as iso
from isoloss.curves.best_schedule import FinalLoss, pooled
from isoloss.curves.fit import CurveFit
from isoloss.errors import DataError, LawError, OptionError
from isoloss.laws.annealing import annealing, annealing_size

S = iso.schedules
WARMUP, PEAK = 2160, 3e-4


@pytest.fixture(scope="module")
def released(released_curves):
    return released_curves


def test_the_released_curves_are_read_whole_with_their_exact_schedules(released):
    assert len(released) == 27
    assert released.n == 6265
    assert released.dropped == ()
    for curve in released:
        assert curve.schedule.peak == PEAK
        assert curve.schedule.S1[curve.step[-1]] > 1.0


def test_logged_learning_rates_with_the_warm_up_give_nearly_the_same_areas(data_dir, released):
    logged = iso.read_curves(
        data_dir / "lr_schedule_curves.csv", run=["model_size_millions", "schedule"], warmup=WARMUP
    )
    for mine, exact in zip(logged, released, strict=True):
        last = mine.step[-1]
        assert mine.schedule.S1[last] == pytest.approx(exact.schedule.S1[last], rel=5e-3), mine.run
        assert mine.schedule.S2()[last] == pytest.approx(exact.schedule.S2()[last], rel=1e-2, abs=1e-9), mine.run


# size, trained on, R2 and MAE on the WSD curve with exponential decay.
GOLDEN = [
    (25, ["cosine_24000"], 0.99557, 0.00769),
    (100, ["cosine_24000"], 0.99900, 0.00416),
    (400, ["cosine_24000"], 0.99762, 0.00713),
    (25, ["cosine_24000", "constant_24000"], None, 0.00299),
    (100, ["cosine_24000", "constant_24000"], None, 0.00244),
    (400, ["cosine_24000", "constant_24000"], None, 0.00371),
]


@pytest.mark.parametrize(("size", "trained", "r2", "mae"), GOLDEN)
def test_the_annealing_law_predicts_wsd_as_well_as_it_should(released, size, trained, r2, mae):
    ours = released.where(N=size)
    fit = iso.fit("annealing", ours.where(schedule=trained))
    assert fit.success
    error = fit.holdout(ours.where(schedule="wsd"))
    assert error.mae == pytest.approx(mae, abs=1.5e-5)
    if r2 is not None:
        assert error.r2 == pytest.approx(r2, abs=1.5e-5)


# Refits of the catalogue: lambda, L0, A, alpha, C, MAPE in per cent on cosine_72000, wsd, wsdld and wsdcon_3.
REFITS = [
    (25, 0.999, (3.1640, 0.5094, 0.5239, 0.4062), (0.267, 0.087, 0.075, 0.233), -0.011),
    (100, 0.999, (2.7899, 0.5915, 0.4560, 0.4801), (0.338, 0.080, 0.058, 0.220), -0.015),
    (400, 0.998, (2.5252, 0.6526, 0.4196, 1.1148), (0.397, 0.154, 0.102, 0.459), -0.035),
]


@pytest.mark.parametrize(("size", "lam", "params", "mape", "final"), REFITS)
def test_the_refits_of_the_catalogue_come_out(released, size, lam, params, mape, final):
    ours = released.where(N=size)
    fit = iso.fit(annealing(lam), ours.where(schedule=["cosine_24000", "constant_24000"]))
    for name, value in zip(("L0", "A", "alpha", "C"), params, strict=True):
        assert fit.params[name] == pytest.approx(value, rel=5e-4), name
    for kind, value in zip(("cosine_72000", "wsd", "wsdld", "wsdcon_3"), mape, strict=True):
        assert 100 * fit.holdout(ours.where(schedule=kind)).mape == pytest.approx(value, abs=0.0015), kind
    assert fit.holdout(ours.where(schedule="wsd")).final == pytest.approx(final, abs=6e-4)


@pytest.mark.parametrize("key", iso.laws.get("annealing").published)
def test_the_sets_that_the_law_carries_are_what_a_fit_gives(released, key):
    published = iso.laws.get("annealing").published[key]
    size = int(key.removeprefix("refit_").removesuffix("m"))
    fit = iso.fit("annealing", released.where(N=size, schedule=["cosine_24000", "constant_24000"]))
    assert fit.params == pytest.approx(dict(published.params), rel=2e-6)


def test_one_law_over_three_sizes_predicts_wsd_of_all(released):
    fit = iso.fit("tissue+N", released.where(schedule=["cosine_24000", "constant_24000"]))
    assert fit.success
    error = fit.holdout(released.where(schedule="wsd"))
    assert error.mae < 0.01
    # With N as a column, predictions need a size where the fitted curves have several.
    wsd = released["100 wsd_20000_24000"].schedule
    assert fit.predict(wsd, N=100).final == pytest.approx(2.95, abs=0.05)
    with pytest.raises(DataError, match="has no 'N'"):
        fit.predict(wsd)


# Without the published data --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated():
    return iso.read_curves(iso.simulate.curves(steps=8_000))


@pytest.fixture(scope="module")
def fit(simulated):
    return iso.fit("annealing", simulated.where(schedule=["cosine", "constant"]))


def test_a_planted_law_is_found_again_without_noise():
    table = iso.simulate.curves(steps=24_000, every=200, noise=0.0)
    made = {kind: S.KINDS[kind](steps=24_000, peak=PEAK, warmup=1500) for kind in ("constant", "cosine", "wsd")}
    curves = iso.read_curves(table, schedules=made).where(schedule=list(made))
    found = iso.fit("annealing", curves)
    truth = iso.laws.get("annealing").published["refit_100m"].params
    assert found.params == pytest.approx(dict(truth), rel=1e-6)


def test_a_fit_to_curves_is_a_fit_that_knows_them(simulated, fit):
    assert isinstance(fit, CurveFit)
    assert isinstance(fit, iso.Fit)
    assert fit.curves.runs == ("constant", "cosine")
    assert fit.n == fit.curves.n
    wsd = simulated["wsd"]
    by_schedule = fit.predict(wsd.schedule, step=wsd.step).loss
    by_columns = fit.predict(S1=wsd.schedule.S1[wsd.step], S2=wsd.schedule.S2()[wsd.step])
    np.testing.assert_array_equal(by_schedule, by_columns)
    errors = by_schedule - wsd.loss
    holdout = fit.holdout(simulated.where(schedule="wsd"))
    assert holdout.mae == pytest.approx(np.abs(errors).mean(), rel=1e-12)
    assert holdout.worst == pytest.approx(np.abs(errors).max(), rel=1e-12)
    assert holdout.final == pytest.approx(errors[-1], rel=1e-12)
    assert holdout["wsd"].r2 == pytest.approx(1 - (errors**2).sum() / ((wsd.loss - wsd.loss.mean()) ** 2).sum())
    assert holdout.seen == ()
    assert fit.holdout(simulated).seen == ("constant", "cosine")
    assert "fitted to, not held out: constant, cosine" in str(fit.holdout(simulated))
    assert holdout.table()["run"] == ["wsd"]


def test_a_prediction_covers_the_schedule_from_the_warm_up_to_its_end(fit):
    wsd = S.wsd(steps=8_000, peak=PEAK, warmup=500)
    made = fit.predict(wsd)
    assert (made.step[0], made.step[-1]) == (501, 8_000)
    assert made.final == made.loss[-1]
    assert f"loss {made.final:.4f} at step 8,000" in str(made)
    assert fit.predict(wsd, step=8_000).loss.shape == (1,)
    for wrong in (0, 8_001, 2.5):
        with pytest.raises(OptionError, match="step"):
            fit.predict(wsd, step=wrong)
    with pytest.raises(OptionError, match="'N' is no variable"):
        fit.predict(wsd, N=1e9)
    with pytest.raises(OptionError, match="read_curves"):
        fit.holdout([1, 2])


def test_bands_come_from_stretches_of_few_curves_and_from_runs_of_many(simulated, fit):
    draws = fit.bootstrap(100, seed=1)
    assert (draws.by, draws.units) == ("block", 40)
    assert [notice.code for notice in draws.warnings] == ["curves-few"]
    np.testing.assert_array_equal(draws.params, fit.bootstrap(100, seed=1, n_threads=1).params)
    assert fit.bootstrap(10, by="row").units == fit.n
    many = iso.read_curves(
        iso.simulate.curves(
            {
                f"{kind} {n}": S.KINDS[kind](steps=n, peak=PEAK, warmup=300)
                for kind in ("cosine", "wsd")
                for n in (3000, 4000, 5000, 6000)
            }
        )
    )
    whole = iso.fit("annealing", many).bootstrap(40)
    assert (whole.by, whole.units) == ("group", 8)
    assert whole.warnings == ()
    wsd = S.wsd(steps=8_000, peak=PEAK, warmup=500)
    band = fit.predict(wsd).band(0.9, draws=draws)
    assert (band.low < band.high).all()
    assert band.low[-1] < band.final < band.high[-1]
    every = np.array(
        [fit.law.bind(dict(zip(fit.names, row, strict=True)))(S1=wsd.S1[-1], S2=wsd.S2()[-1]) for row in draws.params]
    )
    plain = fit.predict(wsd).band(0.9, draws=draws, interval="percentile")
    np.testing.assert_allclose([plain.low[-1], plain.high[-1]], np.quantile(every, [0.05, 0.95]), rtol=1e-12)
    attached = fit.with_draws(draws)
    np.testing.assert_array_equal(attached.predict(wsd).band(0.9).low, band.low)
    assert "100 draws of 40 blocks" in str(band)


def test_figures_show_the_prediction_and_its_band(fit):
    made = fit.predict(S.wsd(steps=8_000, peak=PEAK, warmup=500))
    axes = made.plot(band=0.95, draws=fit.bootstrap(50))
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["fitted to", "95 % band", "annealing: wsd"]
    drawn = next(line for line in axes.get_lines() if line.get_label() == "annealing: wsd")
    np.testing.assert_array_equal(drawn.get_ydata(), made.loss)


def test_a_fit_to_curves_comes_back_from_its_file(fit, tmp_path):
    path = tmp_path / "fit.json"
    fit.save(path, draws=fit.bootstrap(10))
    for again in (iso.load(path), pickle.loads(pickle.dumps(fit))):
        assert isinstance(again, CurveFit)
        assert again.params == fit.params
        assert again.curves.sha256 == fit.curves.sha256
        assert again.rerun().params == fit.params
    assert json.loads(path.read_text())["runs"] is None


@pytest.mark.parametrize("law", ["annealing", "tissue+N"])
def test_results_do_not_depend_on_threads(simulated, law):
    curves = (
        simulated
        if law == "annealing"
        else iso.read_curves(
            {name: np.concatenate([column, column]) for name, column in iso.simulate.curves(steps=2_000).items()}
            | {"N": np.repeat([1e8, 4e8], 200)},
            run=["N", "run"],
        )
    )
    one, two = (iso.fit(law, curves, n_threads=n) for n in (1, 2))
    assert one.params == two.params


def test_names_that_could_be_texts_mean_the_registered_law():
    assert iso.laws.get("tissue+N") is iso.laws.get("tissue+N")
    with pytest.raises(LawError):
        iso.fit("tissue+M", {"S1": [1.0], "loss": [1.0]})


def test_schedules_that_end_in_zeros_are_refused(fit):
    idle = S.from_array([3e-4] * 100 + [0.0] * 20)
    with pytest.raises(DataError, match="20 steps of learning rate zero") as caught:
        fit.predict(idle)
    assert caught.value.code == "curve-zero-tail"
    assert np.isfinite(fit.predict(idle, step=[50, 100]).loss).all()
    assert np.isfinite(fit.predict(S.linear(steps=100, peak=3e-4)).final)  # a single zero, at the end
    law = annealing_size()
    with pytest.raises(DataError, match="run 'cosine' has no 'N'"):
        iso.fit(law, iso.read_curves(iso.simulate.curves(["cosine"], steps=1_600)))


def test_lambda_is_part_of_the_variable():
    assert annealing(0.998).variables == ("S1", "S2_998")
    assert annealing(0.9995).name == "annealing_9995"
    assert annealing(0.0).variables == ("S1", "S2_0")
    for wrong in (1.0, -0.1):
        with pytest.raises(OptionError, match="lam"):
            annealing(wrong)


# The best schedule -----------------------------------------------------------------------------------------------


def test_the_derivative_by_the_schedule_is_that_of_differences(fit):
    target = FinalLoss(fit, {}, 50)
    lr = S.wsd(steps=400, peak=PEAK, warmup=50).values
    loss, slope = target(lr)
    assert loss == pytest.approx(fit.predict(S.wsd(steps=400, peak=PEAK, warmup=50)).final, rel=1e-14)
    for step in (1, 49, 50, 51, 200, 399, 400):
        ends = []
        for sign in (1, -1):
            moved = lr.copy()
            moved[step] += sign * 1e-8
            ends.append(target(moved)[0])
        assert slope[step] == pytest.approx((ends[0] - ends[1]) / 2e-8, rel=1e-5), step


def test_the_best_schedule_beats_those_one_would_try(fit):
    best = fit.optimize_schedule(steps=8_000, peak=PEAK, warmup=500)
    assert {"constant", "cosine", "linear", "wsd"} <= set(best.rivals)
    assert all(best.loss < loss for loss in best.rivals.values())
    assert best.gap < 1e-6
    schedule = best.schedule
    assert (np.diff(schedule.values[500:]) <= 1e-18).all()
    assert schedule.values[500:].max() <= PEAK * (1 + 1e-12)
    assert schedule.final >= best.floor * (1 - 1e-12)
    assert best.floor == pytest.approx(0.1 * PEAK, rel=1e-6)
    assert fit.predict(schedule).final == pytest.approx(best.loss, rel=1e-12)
    assert best.warnings == ()
    assert f"{best.loss:.5f}" in str(best)
    assert best.plot().get_lines()
    # The annealing law is best served by one fall, late; no such fall at any other step is better.
    falls = [S.multi_step(steps=8_000, peak=PEAK, at=[at], to=[0.1], warmup=500) for at in range(600, 8_000, 100)]
    assert best.loss < min(fit.predict(fall).final for fall in falls) + 1e-5


def test_limits_of_the_best_schedule_are_checked_and_said(fit):
    best = fit.optimize_schedule(steps=2_000, peak=6e-4, floor=0.0)
    assert [notice.code for notice in best.warnings] == ["extrapolated-peak"]
    with pytest.raises(OptionError, match="floor"):
        fit.optimize_schedule(steps=2_000, peak=PEAK, floor=PEAK)


def test_pooling_gives_the_nearest_falling_values():
    random = np.random.default_rng(0)
    for _ in range(20):
        values, weights = random.standard_normal(12), random.uniform(0.1, 3.0, 12)
        mine = pooled(values, weights)
        assert (np.diff(mine) <= 1e-12).all()
        cost = np.sum(weights * (mine - values) ** 2)
        for _ in range(50):  # no falling values nearby are closer
            other = np.sort(mine + 0.1 * random.standard_normal(12))[::-1]
            assert np.sum(weights * (other - values) ** 2) >= cost - 1e-12
